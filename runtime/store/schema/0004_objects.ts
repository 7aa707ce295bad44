/** Version 4: applied objects (Kubernetes v1) and what happened to them. */
export const objectsSchema = `
-- namespace: empty for objects of the cluster. json: the object. applied: what was last applied, or NULL.
CREATE TABLE objects (
  kind             TEXT NOT NULL,
  namespace        TEXT NOT NULL,
  name             TEXT NOT NULL,
  uid              TEXT NOT NULL UNIQUE,
  resource_version INTEGER NOT NULL,
  json             TEXT NOT NULL CHECK (json_valid(json)),
  applied          TEXT CHECK (applied IS NULL OR json_valid(applied)),
  PRIMARY KEY (kind, namespace, name)
) STRICT, WITHOUT ROWID;

-- Counts the changes of all objects; never goes back, not even when the newest object is deleted.
CREATE TABLE object_version (
  one     INTEGER PRIMARY KEY CHECK (one = 1),
  version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO object_version (one, version) VALUES (1, 0);

CREATE TABLE object_events (
  id   INTEGER PRIMARY KEY,
  json TEXT NOT NULL CHECK (json_valid(json))
) STRICT;
`;
