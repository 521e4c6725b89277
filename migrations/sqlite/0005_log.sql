-- What goes into the log, in the order in which it became durable here: numbered from 1 without
-- gaps, each in the same write as what it tells of. A leaf's place in its shard is its number less
-- the shard's first; a record is kept once, where it is, and its leaf names it.

CREATE TABLE log_leaves (
    number INTEGER NOT NULL PRIMARY KEY,
    record INTEGER,
    leaf   BLOB,
    CHECK ((record IS NULL) <> (leaf IS NULL))
) STRICT;
CREATE INDEX log_leaves_by_record ON log_leaves (record) WHERE record IS NOT NULL;

-- `logged`: up to there it is durable in the log and under a signed head.
CREATE TABLE log_shards (
    name   TEXT    NOT NULL PRIMARY KEY,
    first  INTEGER NOT NULL,
    logged INTEGER NOT NULL
) STRICT;

-- Records from before the log come first.
INSERT INTO log_leaves (number, record)
SELECT ROW_NUMBER() OVER (ORDER BY position), position FROM records;

-- Which leaf was the newest when a receipt was made: a checkpoint that holds it covers the receipt.
ALTER TABLE receipts ADD COLUMN leaf INTEGER NOT NULL DEFAULT 0;
