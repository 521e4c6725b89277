-- What reports are made from: each day of a commune added up, kept so that a year is read in
-- seconds and stays when retention deletes records. Made anew from records, pages are the same.

-- Rows name units, devices, contents and subjects by number; numbers only grow.
CREATE TABLE report_names (
    kind   TEXT    NOT NULL CHECK (kind IN ('unit', 'device', 'content', 'subject')),
    number BIGINT NOT NULL,
    body   TEXT    NOT NULL,
    PRIMARY KEY (kind, number)
);
CREATE UNIQUE INDEX report_names_by_body ON report_names (kind, body);

-- Author, reader, topic and plan line of what a sheet plays, as they were when it was published.
CREATE TABLE sheet_contents (
    sheet   BYTEA    NOT NULL REFERENCES sheets (sha256) ON DELETE CASCADE,
    item    TEXT    NOT NULL,
    content BIGINT NOT NULL,
    PRIMARY KEY (sheet, item)
);

-- Where each device stood from when on; without a unit: it left the register.
CREATE TABLE device_places (
    device   TEXT    NOT NULL,
    since_ms BIGINT NOT NULL,
    unit     TEXT,
    name     TEXT    NOT NULL,
    profile  TEXT    NOT NULL,
    PRIMARY KEY (device, since_ms)
);
INSERT INTO device_places (device, since_ms, unit, name, profile)
SELECT id, registered_ms, unit, name, profile FROM devices;

-- Units that left the register, and stand in the reports of their time.
CREATE TABLE former_units (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL,
    parent      TEXT,
    valid_from  TEXT,
    valid_until TEXT,
    successors  TEXT NOT NULL
);

-- `day` counts local days from 1970-01-01; `next_ms`: when time alone may change the page.
CREATE TABLE report_pages (
    unit      BIGINT NOT NULL,
    day       BIGINT NOT NULL,
    upto      BIGINT NOT NULL,
    judged_ms BIGINT NOT NULL,
    next_ms   BIGINT,
    body      BYTEA    NOT NULL,
    PRIMARY KEY (unit, day)
);
CREATE INDEX report_pages_by_next ON report_pages (next_ms) WHERE next_ms IS NOT NULL;

-- Which devices had to do with which subjects on which days of a month, counted from year 0.
CREATE TABLE report_reach (
    unit  BIGINT NOT NULL,
    month BIGINT NOT NULL,
    body  BYTEA    NOT NULL,
    PRIMARY KEY (unit, month)
);

-- Days of devices that later records may change.
CREATE TABLE report_open (
    device BIGINT NOT NULL,
    day    BIGINT NOT NULL,
    unit   BIGINT NOT NULL,
    PRIMARY KEY (device, day)
);
CREATE INDEX report_open_by_page ON report_open (unit, day);

-- Something was done to the schedule or place of a device, in the same write as this row; of
-- records the position tells the same.
CREATE TABLE report_queue (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device   TEXT    NOT NULL,
    at_ms    BIGINT NOT NULL
);
INSERT INTO report_queue (device, at_ms)
SELECT DISTINCT t.device, d.from_ms FROM timetables t JOIN day_list_days d ON d.list = t.day_list
WHERE t.published_ms IS NOT NULL;

-- Pages that must be made anew.
CREATE TABLE report_marks (
    mark BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day  BIGINT NOT NULL,
    unit TEXT    NOT NULL
);
CREATE UNIQUE INDEX report_marks_by_page ON report_marks (day, unit);

-- Files that were handed out; each is in the log by its hash.
CREATE TABLE report_files (
    position  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sha256    BYTEA    NOT NULL UNIQUE,
    question  TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    bytes     BIGINT NOT NULL,
    made_ms   BIGINT NOT NULL,
    made_by   TEXT    NOT NULL,
    cut_ms    BIGINT NOT NULL,
    origin    TEXT,
    size      BIGINT,
    root      TEXT
);
CREATE INDEX report_files_by_question ON report_files (question, position);

-- Numbers that a device declared lost are asked for with every outcome.
CREATE INDEX records_lost ON records (device) WHERE kind = 'lost';
