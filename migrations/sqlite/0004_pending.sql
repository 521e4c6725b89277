-- Several proposals wait beside each other: they are found without reading those that are over.

ALTER TABLE proposals ADD COLUMN pending INTEGER NOT NULL DEFAULT 1;
UPDATE proposals SET pending = 0
WHERE body LIKE '%"state":"approved"%' OR body LIKE '%"state":"superseded"%';
CREATE INDEX proposals_pending ON proposals (pending, made_ms);
