-- People, what they may, what they did, what they approved.

CREATE TABLE people (
    id       TEXT   NOT NULL PRIMARY KEY,
    name     TEXT   NOT NULL,
    since_ms BIGINT NOT NULL,
    ended_ms BIGINT
);

-- A role over a unit and all below it; '' is the whole station.
CREATE TABLE grants (
    person TEXT NOT NULL REFERENCES people (id),
    role   TEXT NOT NULL,
    unit   TEXT NOT NULL,
    PRIMARY KEY (person, role, unit)
);

ALTER TABLE tokens ADD COLUMN person TEXT;

-- Tokens from before there were people opened everything: they become an administrator's.
INSERT INTO people (id, name, since_ms)
SELECT 'admin', 'Quản trị', MIN(made_ms) FROM tokens WHERE scope = 'api' HAVING COUNT(*) > 0;
INSERT INTO grants (person, role, unit)
SELECT id, 'administrator', '' FROM people WHERE id = 'admin';
UPDATE tokens SET person = 'admin' WHERE scope = 'api';

CREATE TABLE trail (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at_ms    BIGINT NOT NULL,
    who      TEXT   NOT NULL,
    origin   TEXT   NOT NULL,
    action   TEXT   NOT NULL,
    subject  TEXT   NOT NULL,
    was      TEXT,
    became   TEXT
);

CREATE FUNCTION trail_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the trail is append-only';
END;
$$;

CREATE TRIGGER trail_is_not_changed BEFORE UPDATE ON trail
FOR EACH ROW EXECUTE FUNCTION trail_refuses();

CREATE TRIGGER trail_is_not_deleted BEFORE DELETE ON trail
FOR EACH ROW EXECUTE FUNCTION trail_refuses();

-- What is in force, version by version: names and hashes; the bytes stand in `blobs`.
CREATE TABLE versions (
    number   BIGINT NOT NULL PRIMARY KEY,
    at_ms    BIGINT NOT NULL,
    approval BYTEA,
    manifest TEXT NOT NULL
);
CREATE INDEX versions_by_approval ON versions (approval);

CREATE TABLE blobs (
    sha256 BYTEA NOT NULL PRIMARY KEY,
    bytes  BYTEA NOT NULL
);

-- A change that waits for a second person, or once did; named by the hash of what changes.
CREATE TABLE proposals (
    hash     BYTEA NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL,
    made_ms  BIGINT NOT NULL,
    body     TEXT NOT NULL
);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
