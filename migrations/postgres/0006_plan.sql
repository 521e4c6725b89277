-- Administrative plans and topic lists, each version as it was given. None is ever changed: a newer
-- one follows it, or it is withdrawn.

CREATE TABLE ordered_plans (
    plan    TEXT    NOT NULL,
    version BIGINT NOT NULL,
    at_ms   BIGINT NOT NULL,
    made_by TEXT    NOT NULL,
    format  TEXT    NOT NULL,
    sha256  BYTEA   NOT NULL,
    source  BYTEA   NOT NULL,
    body    TEXT    NOT NULL,
    PRIMARY KEY (plan, version)
);

CREATE TABLE plan_withdrawals (
    plan    TEXT    NOT NULL,
    version BIGINT NOT NULL,
    at_ms   BIGINT NOT NULL,
    made_by TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    PRIMARY KEY (plan, version)
);

CREATE TABLE topic_lists (
    list    TEXT    NOT NULL,
    version BIGINT NOT NULL,
    at_ms   BIGINT NOT NULL,
    made_by TEXT    NOT NULL,
    sha256  BYTEA   NOT NULL,
    source  BYTEA   NOT NULL,
    body    TEXT    NOT NULL,
    PRIMARY KEY (list, version)
);

-- Evidence that persons bring. `leaf` is the hash of what the log says of it: by it a correction
-- names what it corrects. The files lie beside the store, by their hashes.
CREATE TABLE hand_entries (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entry    TEXT    NOT NULL UNIQUE,
    at_ms    BIGINT NOT NULL,
    made_by  TEXT    NOT NULL,
    unit     TEXT    NOT NULL,
    channel  TEXT    NOT NULL,
    plan     TEXT    NOT NULL,
    line     TEXT    NOT NULL,
    day      TEXT    NOT NULL,
    corrects TEXT,
    leaf     BYTEA   NOT NULL,
    body     TEXT    NOT NULL
);
CREATE INDEX hand_entries_by_day ON hand_entries (day);
CREATE INDEX hand_entries_by_line ON hand_entries (plan, line, day);

CREATE TABLE hand_corrections (
    entry   TEXT    NOT NULL PRIMARY KEY,
    at_ms   BIGINT NOT NULL,
    made_by TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    by_entry TEXT
);

CREATE FUNCTION book_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'plans and evidence are append-only';
END;
$$;

CREATE TRIGGER hand_entries_are_not_changed BEFORE UPDATE ON hand_entries
FOR EACH ROW EXECUTE FUNCTION book_refuses();

CREATE TRIGGER hand_entries_are_not_deleted BEFORE DELETE ON hand_entries
FOR EACH ROW EXECUTE FUNCTION book_refuses();

CREATE TRIGGER hand_corrections_are_not_changed BEFORE UPDATE ON hand_corrections
FOR EACH ROW EXECUTE FUNCTION book_refuses();

CREATE TRIGGER hand_corrections_are_not_deleted BEFORE DELETE ON hand_corrections
FOR EACH ROW EXECUTE FUNCTION book_refuses();

CREATE TRIGGER ordered_plans_are_not_changed BEFORE UPDATE ON ordered_plans
FOR EACH ROW EXECUTE FUNCTION book_refuses();

CREATE TRIGGER topic_lists_are_not_changed BEFORE UPDATE ON topic_lists
FOR EACH ROW EXECUTE FUNCTION book_refuses();
