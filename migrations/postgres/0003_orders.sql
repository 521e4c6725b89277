-- Urgent notices, drills and holds: what was ordered, by whom, and the exact bytes that were signed.

-- Answers to a notice, hold or command name its id; records from before have none to find.
ALTER TABLE records ADD COLUMN jti TEXT;
ALTER TABLE conflicts ADD COLUMN jti TEXT;
CREATE INDEX records_by_jti ON records (jti) WHERE jti IS NOT NULL;

-- Prepared, then sent, then perhaps withdrawn; a row never goes back and is never deleted.
CREATE TABLE notices (
    jti          TEXT    NOT NULL PRIMARY KEY,
    kind         TEXT    NOT NULL CHECK (kind IN ('urgent', 'drill')),
    content      TEXT    NOT NULL,
    made_ms      BIGINT NOT NULL,
    made_by      TEXT    NOT NULL,
    sent_ms      BIGINT,
    sent_by      TEXT,
    exp_ms       BIGINT,
    jws          TEXT,
    reached      TEXT,
    withdrawn_ms BIGINT,
    withdrawn_by TEXT,
    withdrawn_for TEXT,
    withdrawal   TEXT,
    cleared      BIGINT NOT NULL CHECK (cleared IN (0, 1))
);
CREATE INDEX notices_by_age ON notices (made_ms);

-- Every hold and every release of a unit; the highest version is in force.
CREATE TABLE holds (
    unit     TEXT    NOT NULL,
    ver      BIGINT NOT NULL,
    jti      TEXT    NOT NULL,
    made_ms  BIGINT NOT NULL,
    until_ms BIGINT NOT NULL,
    reason   TEXT    NOT NULL,
    made_by  TEXT    NOT NULL,
    jws      TEXT    NOT NULL,
    PRIMARY KEY (unit, ver)
);
