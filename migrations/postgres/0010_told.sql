-- What devices said of the newest record of a chain, as long as it has not come: a tail that was
-- cut shows in nothing else. `said`: up to which number the log says that they are missing.

CREATE TABLE chain_tails (
    device   TEXT   NOT NULL,
    chain    BYTEA  NOT NULL,
    seq      BIGINT NOT NULL,
    head     BYTEA,
    since_ms BIGINT NOT NULL,
    came     BIGINT NOT NULL,
    quiet_ms BIGINT NOT NULL,
    stand    TEXT   NOT NULL CHECK (stand IN ('waiting', 'missing', 'given-up')),
    said     BIGINT NOT NULL,
    PRIMARY KEY (device, chain)
);
