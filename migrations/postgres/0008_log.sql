-- When what is logged was logged, at the latest: heads that witnesses vouched for, each with the
-- number of the last leaf that it holds.

CREATE TABLE log_heads (
    number BIGINT NOT NULL PRIMARY KEY,
    shard  TEXT    NOT NULL,
    size   BIGINT NOT NULL,
    met_ms BIGINT NOT NULL
);

-- Records whose time is enclosed too loosely; `width_ms` is null where nothing bounds it from below.
CREATE TABLE late_records (
    record   BIGINT NOT NULL PRIMARY KEY REFERENCES records (position) ON DELETE CASCADE,
    width_ms BIGINT
);

-- The newest time that a chain is known to have passed, by the heads that its records quote; null
-- until one does.
CREATE TABLE chain_floors (
    device   TEXT NOT NULL,
    chain    BYTEA NOT NULL,
    floor_ms BIGINT,
    PRIMARY KEY (device, chain)
);
