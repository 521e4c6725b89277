-- Draws of plays for inspection, and what was found: nothing here is ever changed or dropped, so
-- that nobody draws, or finds, until the result pleases.

CREATE TABLE draws (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id       TEXT    NOT NULL UNIQUE,
    made_ms  BIGINT NOT NULL,
    made_by  TEXT    NOT NULL,
    unit     TEXT    NOT NULL,
    body     BYTEA   NOT NULL
);

CREATE TABLE draw_findings (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    draw     TEXT    NOT NULL,
    made_ms  BIGINT NOT NULL,
    made_by  TEXT    NOT NULL,
    sha256   BYTEA   NOT NULL,
    file     BYTEA   NOT NULL
);
CREATE INDEX draw_findings_by_draw ON draw_findings (draw, position);

-- The first head that was vouched for after some time.
CREATE INDEX log_heads_by_time ON log_heads (met_ms);

CREATE TRIGGER draws_are_not_changed BEFORE UPDATE ON draws
FOR EACH ROW EXECUTE FUNCTION book_refuses();

CREATE TRIGGER draws_are_not_deleted BEFORE DELETE ON draws
FOR EACH ROW EXECUTE FUNCTION book_refuses();

CREATE TRIGGER draw_findings_are_not_changed BEFORE UPDATE ON draw_findings
FOR EACH ROW EXECUTE FUNCTION book_refuses();

CREATE TRIGGER draw_findings_are_not_deleted BEFORE DELETE ON draw_findings
FOR EACH ROW EXECUTE FUNCTION book_refuses();
