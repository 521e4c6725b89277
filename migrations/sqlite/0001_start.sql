-- Instants are milliseconds since 1970 UTC; hashes, cue and chain ids are raw bytes.

CREATE TABLE leases (
    name     TEXT    NOT NULL PRIMARY KEY,
    holder   TEXT    NOT NULL,
    number   INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;

-- Register -----------------------------------------------------------------------------------

CREATE TABLE units (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL,
    parent      TEXT,
    valid_from  TEXT,
    valid_until TEXT,
    successors  TEXT NOT NULL,
    population  INTEGER
) STRICT;

CREATE TABLE devices (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    unit          TEXT    NOT NULL,
    tags          TEXT    NOT NULL,
    profile       TEXT    NOT NULL,
    volume_cap    INTEGER NOT NULL,
    trim_ms       INTEGER NOT NULL,
    registered_ms INTEGER NOT NULL,
    standing      TEXT    NOT NULL CHECK (standing IN ('awaiting', 'enrolled', 'revoked')),
    standing_ms   INTEGER NOT NULL,
    kid           TEXT,
    password      BLOB,
    reason        TEXT
) STRICT;

-- Keys outlive the register: records signed under them must stay verifiable.
CREATE TABLE device_keys (
    device   TEXT    NOT NULL,
    kid      TEXT    NOT NULL,
    key      BLOB    NOT NULL,
    since_ms INTEGER NOT NULL,
    ended    TEXT CHECK (ended IN ('replaced', 'revoked')),
    ended_ms INTEGER,
    PRIMARY KEY (device, kid)
) STRICT;
CREATE INDEX device_keys_by_kid ON device_keys (kid);

CREATE TABLE enrolment_codes (
    id           BLOB    NOT NULL PRIMARY KEY,
    device       TEXT    NOT NULL,
    secret       BLOB    NOT NULL,
    made_ms      INTEGER NOT NULL,
    expires_ms   INTEGER NOT NULL,
    used_ms      INTEGER,
    used_kid     TEXT,
    refused      INTEGER NOT NULL,
    last_refusal TEXT
) STRICT;

CREATE TABLE tokens (
    hash       BLOB    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    made_ms    INTEGER NOT NULL,
    expires_ms INTEGER,
    uses_left  INTEGER
) STRICT;

-- Published schedules ------------------------------------------------------------------------

CREATE TABLE sheets (
    sha256  BLOB    NOT NULL PRIMARY KEY,
    from_ms INTEGER NOT NULL,
    to_ms   INTEGER NOT NULL,
    bytes   BLOB    NOT NULL
) STRICT;

-- Once per sheet, however many devices follow it.
CREATE TABLE sheet_cues (
    sheet  BLOB    NOT NULL REFERENCES sheets (sha256) ON DELETE CASCADE,
    pos    INTEGER NOT NULL,
    cue    BLOB    NOT NULL,
    at_ms  INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    item   TEXT    NOT NULL,
    title  TEXT    NOT NULL,
    output TEXT    NOT NULL CHECK (output IN ('clip', 'pages')),
    PRIMARY KEY (sheet, pos)
) STRICT;
CREATE INDEX sheet_cues_by_cue ON sheet_cues (cue);

-- A list of days, named by its content: devices that follow the same days share it.
CREATE TABLE day_lists (
    id BLOB NOT NULL PRIMARY KEY
) STRICT;

CREATE TABLE day_list_days (
    list    BLOB    NOT NULL REFERENCES day_lists (id) ON DELETE CASCADE,
    from_ms INTEGER NOT NULL,
    to_ms   INTEGER NOT NULL,
    sheet   BLOB    NOT NULL REFERENCES sheets (sha256),
    PRIMARY KEY (list, from_ms)
) STRICT;
CREATE INDEX day_list_days_by_sheet ON day_list_days (sheet);

CREATE TABLE timetables (
    device       TEXT    NOT NULL,
    ver          INTEGER NOT NULL,
    made_ms      INTEGER NOT NULL,
    exp_ms       INTEGER NOT NULL,
    content      BLOB    NOT NULL,
    day_list     BLOB    NOT NULL REFERENCES day_lists (id),
    jws          TEXT    NOT NULL,
    published_ms INTEGER,
    PRIMARY KEY (device, ver)
) STRICT;
CREATE INDEX timetables_by_day_list ON timetables (day_list);

CREATE TABLE retained (
    topic   TEXT    NOT NULL PRIMARY KEY,
    ver     INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    body    BLOB    NOT NULL
) STRICT;

-- Evidence: appended, never changed. It refers to nothing, so that nothing else can delete it.

CREATE TABLE chains (
    device      TEXT    NOT NULL,
    chain       BLOB    NOT NULL,
    upto        INTEGER NOT NULL,
    head        BLOB,
    first_at_ms INTEGER,
    upto_at_ms  INTEGER,
    opened_ms   INTEGER NOT NULL,
    lost        TEXT    NOT NULL,
    revision    INTEGER NOT NULL,
    PRIMARY KEY (device, chain)
) STRICT;

CREATE TABLE records (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    device      TEXT    NOT NULL,
    chain       BLOB    NOT NULL,
    seq         INTEGER NOT NULL,
    digest      BLOB    NOT NULL,
    prev        BLOB,
    kid         TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    cue         BLOB,
    at_ms       INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    via         TEXT    NOT NULL CHECK (via IN ('link', 'import')),
    fault       TEXT,
    jws         TEXT    NOT NULL,
    UNIQUE (device, chain, seq)
) STRICT;
CREATE INDEX records_by_device_time ON records (device, at_ms);
CREATE INDEX records_by_time ON records (at_ms);
CREATE INDEX records_by_cue ON records (cue) WHERE cue IS NOT NULL;
CREATE INDEX records_by_arrival ON records (received_ms);

CREATE TABLE conflicts (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    device      TEXT    NOT NULL,
    chain       BLOB    NOT NULL,
    seq         INTEGER NOT NULL,
    digest      BLOB    NOT NULL,
    first       BLOB    NOT NULL,
    prev        BLOB,
    kid         TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    cue         BLOB,
    at_ms       INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    via         TEXT    NOT NULL CHECK (via IN ('link', 'import')),
    fault       TEXT,
    jws         TEXT    NOT NULL,
    UNIQUE (device, chain, seq, digest)
) STRICT;

-- Unsigned ones are bounded: the newest of each device; `counters` keeps the number of all.
CREATE TABLE rejects (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    device      TEXT    NOT NULL,
    received_ms INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    digest      BLOB    NOT NULL,
    bytes       BLOB    NOT NULL,
    signed      INTEGER NOT NULL CHECK (signed IN (0, 1))
) STRICT;
CREATE INDEX rejects_by_device ON rejects (device);

CREATE TABLE counters (
    name TEXT    NOT NULL PRIMARY KEY,
    n    INTEGER NOT NULL
) STRICT;

CREATE TABLE receipts (
    device  TEXT    NOT NULL PRIMARY KEY,
    chain   BLOB    NOT NULL,
    upto    INTEGER NOT NULL,
    made_ms INTEGER NOT NULL,
    jws     TEXT    NOT NULL
) STRICT;

-- Caches and last good versions --------------------------------------------------------------

CREATE TABLE clips (
    path        TEXT    NOT NULL PRIMARY KEY,
    bytes       INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL,
    sha256      BLOB    NOT NULL,
    rules       INTEGER NOT NULL,
    inspection  TEXT    NOT NULL
) STRICT;

CREATE TABLE station_files (
    path        TEXT    NOT NULL PRIMARY KEY,
    sha256      BLOB    NOT NULL,
    bytes       BLOB    NOT NULL,
    accepted_ms INTEGER NOT NULL,
    accepted    INTEGER NOT NULL
) STRICT;
