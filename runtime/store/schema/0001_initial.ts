/** Version 1: layers, images, containers, volumes, the drivers' snapshots, and the journal. */
export const initialSchema = `
CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Intents: written before an operation's first effect, deleted with its last row. What is here after a start was interrupted.
CREATE TABLE journal (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  kind          TEXT NOT NULL,
  object        TEXT NOT NULL,
  data          TEXT NOT NULL CHECK (json_valid(data)),
  created_at_ms INTEGER NOT NULL
) STRICT;

-- Snapshots of the storage drivers. The id is the directory's (or device's) name: AUTOINCREMENT never gives one twice.
CREATE TABLE snapshots (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  driver        TEXT NOT NULL,
  key           TEXT NOT NULL,
  kind          TEXT NOT NULL CHECK (kind IN ('committed', 'active', 'view')),
  parent_id     INTEGER REFERENCES snapshots (id) ON DELETE RESTRICT,
  labels        TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels)),
  size_bytes    INTEGER,
  inodes        INTEGER,
  limit_bytes   INTEGER,
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  UNIQUE (driver, key)
) STRICT;
CREATE INDEX snapshots_by_parent ON snapshots (parent_id);

CREATE TABLE layers (
  chain_id      TEXT PRIMARY KEY,
  diff_id       TEXT NOT NULL,
  parent        TEXT REFERENCES layers (chain_id) ON DELETE RESTRICT,
  tar_bytes     INTEGER NOT NULL,
  entries       INTEGER NOT NULL,
  size_bytes    INTEGER NOT NULL,
  inodes        INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX layers_by_parent ON layers (parent);

-- id = digest of the config; config = its exact bytes.
CREATE TABLE images (
  id             TEXT PRIMARY KEY,
  config         BLOB NOT NULL,
  top_layer      TEXT REFERENCES layers (chain_id) ON DELETE RESTRICT,
  platform       TEXT NOT NULL,
  imported_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX images_by_layer ON images (top_layer);

CREATE TABLE image_layers (
  image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  chain_id TEXT NOT NULL REFERENCES layers (chain_id) ON DELETE RESTRICT,
  PRIMARY KEY (image_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX image_layers_by_layer ON image_layers (chain_id);

CREATE TABLE image_references (
  name     TEXT PRIMARY KEY,
  image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX image_references_by_image ON image_references (image_id);

-- mount_wanted: the root should be mounted; whether it is, the kernel's mount table says.
CREATE TABLE containers (
  id             TEXT PRIMARY KEY,
  name           TEXT NOT NULL UNIQUE,
  image_id       TEXT NOT NULL REFERENCES images (id) ON DELETE RESTRICT,
  spec           TEXT NOT NULL CHECK (json_valid(spec)),
  state          TEXT NOT NULL CHECK (state IN ('creating', 'ready', 'removing')),
  mount_wanted   INTEGER NOT NULL DEFAULT 0,
  created_at_ms  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX containers_by_image ON containers (image_id);

CREATE TABLE volumes (
  name          TEXT PRIMARY KEY,
  driver        TEXT NOT NULL,
  options       TEXT NOT NULL CHECK (json_valid(options)),
  labels        TEXT NOT NULL CHECK (json_valid(labels)),
  anonymous     INTEGER NOT NULL,
  state         TEXT NOT NULL CHECK (state IN ('creating', 'ready', 'removing')),
  created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE container_volumes (
  container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
  target       TEXT NOT NULL,
  volume       TEXT NOT NULL REFERENCES volumes (name) ON DELETE RESTRICT,
  PRIMARY KEY (container_id, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX container_volumes_by_volume ON container_volumes (volume);
`;
