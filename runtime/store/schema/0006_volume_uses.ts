/** Version 6: users of volumes that are no containers, and snapshots of volumes. */
export const volumeUsesSchema = `
-- Who has a volume mounted besides containers: clients of the volume plugin. kind: plugin.
CREATE TABLE volume_users (
  volume TEXT NOT NULL REFERENCES volumes (name) ON DELETE RESTRICT ON UPDATE CASCADE,
  kind   TEXT NOT NULL,
  id     TEXT NOT NULL,
  PRIMARY KEY (volume, kind, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE volume_snapshots (
  volume        TEXT NOT NULL REFERENCES volumes (name) ON DELETE RESTRICT ON UPDATE CASCADE,
  name          TEXT NOT NULL,
  method        TEXT NOT NULL CHECK (method IN ('shared', 'copy')),
  state         TEXT NOT NULL CHECK (state IN ('creating', 'ready', 'removing')),
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (volume, name)
) STRICT, WITHOUT ROWID;
`;
