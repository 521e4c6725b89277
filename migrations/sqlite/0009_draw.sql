-- Draws of plays for inspection, and what was found: nothing here is ever changed or dropped, so
-- that nobody draws, or finds, until the result pleases.

CREATE TABLE draws (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT    NOT NULL UNIQUE,
    made_ms  INTEGER NOT NULL,
    made_by  TEXT    NOT NULL,
    unit     TEXT    NOT NULL,
    body     BLOB    NOT NULL
) STRICT;

CREATE TABLE draw_findings (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    draw     TEXT    NOT NULL,
    made_ms  INTEGER NOT NULL,
    made_by  TEXT    NOT NULL,
    sha256   BLOB    NOT NULL,
    file     BLOB    NOT NULL
) STRICT;
CREATE INDEX draw_findings_by_draw ON draw_findings (draw, position);

-- The first head that was vouched for after some time.
CREATE INDEX log_heads_by_time ON log_heads (met_ms);

CREATE TRIGGER draws_are_not_changed BEFORE UPDATE ON draws
BEGIN
    SELECT RAISE(ABORT, 'draws and findings are append-only');
END;

CREATE TRIGGER draws_are_not_deleted BEFORE DELETE ON draws
BEGIN
    SELECT RAISE(ABORT, 'draws and findings are append-only');
END;

CREATE TRIGGER draw_findings_are_not_changed BEFORE UPDATE ON draw_findings
BEGIN
    SELECT RAISE(ABORT, 'draws and findings are append-only');
END;

CREATE TRIGGER draw_findings_are_not_deleted BEFORE DELETE ON draw_findings
BEGIN
    SELECT RAISE(ABORT, 'draws and findings are append-only');
END;
