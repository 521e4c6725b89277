-- People, what they may, what they did, what they approved.

CREATE TABLE people (
    id       TEXT    NOT NULL PRIMARY KEY,
    name     TEXT    NOT NULL,
    since_ms INTEGER NOT NULL,
    ended_ms INTEGER
) STRICT;

-- A role over a unit and all below it; '' is the whole station.
CREATE TABLE grants (
    person TEXT NOT NULL REFERENCES people (id),
    role   TEXT NOT NULL,
    unit   TEXT NOT NULL,
    PRIMARY KEY (person, role, unit)
) STRICT;

ALTER TABLE tokens ADD COLUMN person TEXT;

-- Tokens from before there were people opened everything: they become an administrator's.
INSERT INTO people (id, name, since_ms)
SELECT 'admin', 'Quản trị', MIN(made_ms) FROM tokens WHERE scope = 'api' HAVING COUNT(*) > 0;
INSERT INTO grants (person, role, unit)
SELECT id, 'administrator', '' FROM people WHERE id = 'admin';
UPDATE tokens SET person = 'admin' WHERE scope = 'api';

CREATE TABLE trail (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms    INTEGER NOT NULL,
    who      TEXT    NOT NULL,
    origin   TEXT    NOT NULL,
    action   TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    was      TEXT,
    became   TEXT
) STRICT;

CREATE TRIGGER trail_is_not_changed BEFORE UPDATE ON trail
BEGIN
    SELECT RAISE(ABORT, 'the trail is append-only');
END;

CREATE TRIGGER trail_is_not_deleted BEFORE DELETE ON trail
BEGIN
    SELECT RAISE(ABORT, 'the trail is append-only');
END;

-- What is in force, version by version: names and hashes; the bytes stand in `blobs`.
CREATE TABLE versions (
    number   INTEGER PRIMARY KEY,
    at_ms    INTEGER NOT NULL,
    approval BLOB,
    manifest TEXT NOT NULL
) STRICT;
CREATE INDEX versions_by_approval ON versions (approval);

CREATE TABLE blobs (
    sha256 BLOB NOT NULL PRIMARY KEY,
    bytes  BLOB NOT NULL
) STRICT;

-- A change that waits for a second person, or once did; named by the hash of what changes.
CREATE TABLE proposals (
    hash     BLOB NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    made_ms  INTEGER NOT NULL,
    body     TEXT NOT NULL
) STRICT;

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
