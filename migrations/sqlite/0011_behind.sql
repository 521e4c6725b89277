-- Devices that cannot speak our contract stand behind a gateway, which signs for them with its own
-- key: `behind` names it, and a key that is a gateway's says whose.

ALTER TABLE devices ADD COLUMN behind TEXT;
ALTER TABLE device_keys ADD COLUMN gateway TEXT;

CREATE INDEX devices_behind ON devices (behind);
