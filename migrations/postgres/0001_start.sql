-- Instants are milliseconds since 1970 UTC; hashes, cue and chain ids are raw bytes.

CREATE TABLE leases (
    name     TEXT    NOT NULL PRIMARY KEY,
    holder   TEXT    NOT NULL,
    number   BIGINT NOT NULL,
    until_ms BIGINT NOT NULL
);

-- Register -----------------------------------------------------------------------------------

CREATE TABLE units (
    id          TEXT NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL,
    parent      TEXT,
    valid_from  TEXT,
    valid_until TEXT,
    successors  TEXT NOT NULL,
    population  BIGINT
);

CREATE TABLE devices (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    unit          TEXT    NOT NULL,
    tags          TEXT    NOT NULL,
    profile       TEXT    NOT NULL,
    volume_cap    BIGINT NOT NULL,
    trim_ms       BIGINT NOT NULL,
    registered_ms BIGINT NOT NULL,
    standing      TEXT    NOT NULL CHECK (standing IN ('awaiting', 'enrolled', 'revoked')),
    standing_ms   BIGINT NOT NULL,
    kid           TEXT,
    password      BYTEA,
    reason        TEXT
);

-- Keys outlive the register: records signed under them must stay verifiable.
CREATE TABLE device_keys (
    device   TEXT    NOT NULL,
    kid      TEXT    NOT NULL,
    key      BYTEA    NOT NULL,
    since_ms BIGINT NOT NULL,
    ended    TEXT CHECK (ended IN ('replaced', 'revoked')),
    ended_ms BIGINT,
    PRIMARY KEY (device, kid)
);
CREATE INDEX device_keys_by_kid ON device_keys (kid);

CREATE TABLE enrolment_codes (
    id           BYTEA    NOT NULL PRIMARY KEY,
    device       TEXT    NOT NULL,
    secret       BYTEA    NOT NULL,
    made_ms      BIGINT NOT NULL,
    expires_ms   BIGINT NOT NULL,
    used_ms      BIGINT,
    used_kid     TEXT,
    refused      BIGINT NOT NULL,
    last_refusal TEXT
);

CREATE TABLE tokens (
    hash       BYTEA    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    made_ms    BIGINT NOT NULL,
    expires_ms BIGINT,
    uses_left  BIGINT
);

-- Published schedules ------------------------------------------------------------------------

CREATE TABLE sheets (
    sha256  BYTEA    NOT NULL PRIMARY KEY,
    from_ms BIGINT NOT NULL,
    to_ms   BIGINT NOT NULL,
    bytes   BYTEA    NOT NULL
);

-- Once per sheet, however many devices follow it.
CREATE TABLE sheet_cues (
    sheet  BYTEA    NOT NULL REFERENCES sheets (sha256) ON DELETE CASCADE,
    pos    BIGINT NOT NULL,
    cue    BYTEA    NOT NULL,
    at_ms  BIGINT NOT NULL,
    end_ms BIGINT NOT NULL,
    item   TEXT    NOT NULL,
    title  TEXT    NOT NULL,
    output TEXT    NOT NULL CHECK (output IN ('clip', 'pages')),
    PRIMARY KEY (sheet, pos)
);
CREATE INDEX sheet_cues_by_cue ON sheet_cues (cue);

-- A list of days, named by its content: devices that follow the same days share it.
CREATE TABLE day_lists (
    id BYTEA NOT NULL PRIMARY KEY
);

CREATE TABLE day_list_days (
    list    BYTEA    NOT NULL REFERENCES day_lists (id) ON DELETE CASCADE,
    from_ms BIGINT NOT NULL,
    to_ms   BIGINT NOT NULL,
    sheet   BYTEA    NOT NULL REFERENCES sheets (sha256),
    PRIMARY KEY (list, from_ms)
);
CREATE INDEX day_list_days_by_sheet ON day_list_days (sheet);

CREATE TABLE timetables (
    device       TEXT    NOT NULL,
    ver          BIGINT NOT NULL,
    made_ms      BIGINT NOT NULL,
    exp_ms       BIGINT NOT NULL,
    content      BYTEA    NOT NULL,
    day_list     BYTEA    NOT NULL REFERENCES day_lists (id),
    jws          TEXT    NOT NULL,
    published_ms BIGINT,
    PRIMARY KEY (device, ver)
);
CREATE INDEX timetables_by_day_list ON timetables (day_list);

CREATE TABLE retained (
    topic   TEXT    NOT NULL PRIMARY KEY,
    ver     BIGINT NOT NULL,
    made_ms BIGINT NOT NULL,
    body    BYTEA    NOT NULL
);

-- Evidence: appended, never changed. It refers to nothing, so that nothing else can delete it.

CREATE TABLE chains (
    device      TEXT    NOT NULL,
    chain       BYTEA    NOT NULL,
    upto        BIGINT NOT NULL,
    head        BYTEA,
    first_at_ms BIGINT,
    upto_at_ms  BIGINT,
    opened_ms   BIGINT NOT NULL,
    lost        TEXT    NOT NULL,
    revision    BIGINT NOT NULL,
    PRIMARY KEY (device, chain)
);

CREATE TABLE records (
    position    BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device      TEXT    NOT NULL,
    chain       BYTEA    NOT NULL,
    seq         BIGINT NOT NULL,
    digest      BYTEA    NOT NULL,
    prev        BYTEA,
    kid         TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    cue         BYTEA,
    at_ms       BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    via         TEXT    NOT NULL CHECK (via IN ('link', 'import')),
    fault       TEXT,
    jws         TEXT    NOT NULL,
    UNIQUE (device, chain, seq)
);
CREATE INDEX records_by_device_time ON records (device, at_ms);
CREATE INDEX records_by_time ON records (at_ms);
CREATE INDEX records_by_cue ON records (cue) WHERE cue IS NOT NULL;
CREATE INDEX records_by_arrival ON records (received_ms);

CREATE TABLE conflicts (
    position    BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device      TEXT    NOT NULL,
    chain       BYTEA    NOT NULL,
    seq         BIGINT NOT NULL,
    digest      BYTEA    NOT NULL,
    first       BYTEA    NOT NULL,
    prev        BYTEA,
    kid         TEXT    NOT NULL,
    kind        TEXT    NOT NULL,
    cue         BYTEA,
    at_ms       BIGINT NOT NULL,
    received_ms BIGINT NOT NULL,
    via         TEXT    NOT NULL CHECK (via IN ('link', 'import')),
    fault       TEXT,
    jws         TEXT    NOT NULL,
    UNIQUE (device, chain, seq, digest)
);

-- Unsigned ones are bounded: the newest of each device; `counters` keeps the number of all.
CREATE TABLE rejects (
    position    BIGINT  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device      TEXT    NOT NULL,
    received_ms BIGINT NOT NULL,
    reason      TEXT    NOT NULL,
    digest      BYTEA    NOT NULL,
    bytes       BYTEA    NOT NULL,
    signed      BIGINT  NOT NULL CHECK (signed IN (0, 1))
);
CREATE INDEX rejects_by_device ON rejects (device);

CREATE TABLE counters (
    name TEXT    NOT NULL PRIMARY KEY,
    n    BIGINT NOT NULL
);

CREATE TABLE receipts (
    device  TEXT    NOT NULL PRIMARY KEY,
    chain   BYTEA    NOT NULL,
    upto    BIGINT NOT NULL,
    made_ms BIGINT NOT NULL,
    jws     TEXT    NOT NULL
);

-- Caches and last good versions --------------------------------------------------------------

CREATE TABLE clips (
    path        TEXT    NOT NULL PRIMARY KEY,
    bytes       BIGINT NOT NULL,
    modified_ms BIGINT NOT NULL,
    sha256      BYTEA    NOT NULL,
    rules       BIGINT NOT NULL,
    inspection  TEXT    NOT NULL
);

CREATE TABLE station_files (
    path        TEXT    NOT NULL PRIMARY KEY,
    sha256      BYTEA    NOT NULL,
    bytes       BYTEA    NOT NULL,
    accepted_ms BIGINT NOT NULL,
    accepted    BIGINT NOT NULL
);
