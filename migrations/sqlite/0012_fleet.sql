-- What technicians know of devices beside where they play, how devices stood when last looked at,
-- and the newest turns of each: what began and ended. The trail is asked about one device.

CREATE TABLE device_cards (
    device    TEXT    NOT NULL PRIMARY KEY,
    place     TEXT    NOT NULL,
    lat_e6    INTEGER,
    lon_e6    INTEGER,
    serial    TEXT    NOT NULL,
    installer TEXT    NOT NULL,
    installed TEXT,
    photo     BLOB,
    notes     TEXT    NOT NULL
) STRICT;

CREATE TABLE device_stands (
    device   TEXT    NOT NULL PRIMARY KEY,
    reach    TEXT    NOT NULL,
    since_ms INTEGER NOT NULL,
    faults   TEXT    NOT NULL
) STRICT;

CREATE TABLE device_turns (
    device TEXT    NOT NULL,
    number INTEGER NOT NULL,
    at_ms  INTEGER NOT NULL,
    kind   TEXT    NOT NULL,
    PRIMARY KEY (device, number)
) STRICT;

CREATE INDEX trail_by_subject ON trail (subject, position);
