/** The volume manager's actual world: what is set up, or may be. A row is written before its first effect. */
export const actualWorldSchema = `
-- A volume of a workload. proved: places is what the mount table has shown, in the boot of that id. places: JSON of
-- {target, recursive, seen?: {device, root}}.
CREATE TABLE workload_volumes (
  workload_uid       TEXT NOT NULL,
  volume             TEXT NOT NULL,
  workload_kind      TEXT NOT NULL CHECK (workload_kind IN ('pod', 'container')),
  workload_name      TEXT NOT NULL,
  workload_namespace TEXT NOT NULL,
  plugin             TEXT NOT NULL,
  volume_id          TEXT NOT NULL,
  path               TEXT NOT NULL,
  attachable         INTEGER NOT NULL,
  device_mountable   INTEGER NOT NULL,
  proved             INTEGER NOT NULL,
  revision           TEXT,
  size_bytes         INTEGER,
  places             TEXT NOT NULL CHECK (json_valid(places)),
  boot               TEXT NOT NULL,
  PRIMARY KEY (workload_uid, volume)
) STRICT;

-- A volume's device on this node. attached, device_mounted: it is, or may be.
CREATE TABLE volume_devices (
  plugin         TEXT NOT NULL,
  volume_id      TEXT NOT NULL,
  path           TEXT NOT NULL,
  device_path    TEXT,
  attached       INTEGER NOT NULL,
  device_mounted INTEGER NOT NULL,
  proved         INTEGER NOT NULL,
  places         TEXT NOT NULL CHECK (json_valid(places)),
  boot           TEXT NOT NULL,
  PRIMARY KEY (plugin, volume_id)
) STRICT;
`;
