-- When what is logged was logged, at the latest: heads that witnesses vouched for, each with the
-- number of the last leaf that it holds.

CREATE TABLE log_heads (
    number INTEGER NOT NULL PRIMARY KEY,
    shard  TEXT    NOT NULL,
    size   INTEGER NOT NULL,
    met_ms INTEGER NOT NULL
) STRICT;

-- Records whose time is enclosed too loosely; `width_ms` is null where nothing bounds it from below.
CREATE TABLE late_records (
    record   INTEGER NOT NULL PRIMARY KEY REFERENCES records (position) ON DELETE CASCADE,
    width_ms INTEGER
) STRICT;

-- The newest time that a chain is known to have passed, by the heads that its records quote; null
-- until one does.
CREATE TABLE chain_floors (
    device   TEXT    NOT NULL,
    chain    BLOB    NOT NULL,
    floor_ms INTEGER,
    PRIMARY KEY (device, chain)
) STRICT;
