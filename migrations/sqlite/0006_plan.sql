-- Administrative plans and topic lists, each version as it was given. None is ever changed: a newer
-- one follows it, or it is withdrawn.

CREATE TABLE ordered_plans (
    plan    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    made_by TEXT    NOT NULL,
    format  TEXT    NOT NULL,
    sha256  BLOB    NOT NULL,
    source  BLOB    NOT NULL,
    body    TEXT    NOT NULL,
    PRIMARY KEY (plan, version)
) STRICT;

CREATE TABLE plan_withdrawals (
    plan    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    made_by TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    PRIMARY KEY (plan, version)
) STRICT;

CREATE TABLE topic_lists (
    list    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    made_by TEXT    NOT NULL,
    sha256  BLOB    NOT NULL,
    source  BLOB    NOT NULL,
    body    TEXT    NOT NULL,
    PRIMARY KEY (list, version)
) STRICT;

-- Evidence that persons bring. `leaf` is the hash of what the log says of it: by it a correction
-- names what it corrects. The files lie beside the store, by their hashes.
CREATE TABLE hand_entries (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    entry    TEXT    NOT NULL UNIQUE,
    at_ms    INTEGER NOT NULL,
    made_by  TEXT    NOT NULL,
    unit     TEXT    NOT NULL,
    channel  TEXT    NOT NULL,
    plan     TEXT    NOT NULL,
    line     TEXT    NOT NULL,
    day      TEXT    NOT NULL,
    corrects TEXT,
    leaf     BLOB    NOT NULL,
    body     TEXT    NOT NULL
) STRICT;
CREATE INDEX hand_entries_by_day ON hand_entries (day);
CREATE INDEX hand_entries_by_line ON hand_entries (plan, line, day);

CREATE TABLE hand_corrections (
    entry   TEXT    NOT NULL PRIMARY KEY,
    at_ms   INTEGER NOT NULL,
    made_by TEXT    NOT NULL,
    reason  TEXT    NOT NULL,
    by_entry TEXT
) STRICT;

CREATE TRIGGER hand_entries_are_not_changed BEFORE UPDATE ON hand_entries
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TRIGGER hand_entries_are_not_deleted BEFORE DELETE ON hand_entries
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TRIGGER hand_corrections_are_not_changed BEFORE UPDATE ON hand_corrections
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TRIGGER hand_corrections_are_not_deleted BEFORE DELETE ON hand_corrections
BEGIN
    SELECT RAISE(ABORT, 'evidence is append-only');
END;

CREATE TRIGGER ordered_plans_are_not_changed BEFORE UPDATE ON ordered_plans
BEGIN
    SELECT RAISE(ABORT, 'plans are append-only');
END;

CREATE TRIGGER topic_lists_are_not_changed BEFORE UPDATE ON topic_lists
BEGIN
    SELECT RAISE(ABORT, 'topic lists are append-only');
END;
