-- What devices said of the newest record of a chain, as long as it has not come: a tail that was
-- cut shows in nothing else. `said`: up to which number the log says that they are missing.

CREATE TABLE chain_tails (
    device   TEXT    NOT NULL,
    chain    BLOB    NOT NULL,
    seq      INTEGER NOT NULL,
    head     BLOB,
    since_ms INTEGER NOT NULL,
    came     INTEGER NOT NULL,
    quiet_ms INTEGER NOT NULL,
    stand    TEXT    NOT NULL CHECK (stand IN ('waiting', 'missing', 'given-up')),
    said     INTEGER NOT NULL,
    PRIMARY KEY (device, chain)
) STRICT;
