/** Version 3: branch unions that `lamina union mount` was asked for. */
export const unionsSchema = `
-- branches: [{directory, access}], topmost first. work: directory that the program needs beside a branch, or NULL.
CREATE TABLE unions (
  id            TEXT PRIMARY KEY,
  target        TEXT NOT NULL UNIQUE,
  branches      TEXT NOT NULL CHECK (json_valid(branches)),
  program       TEXT NOT NULL,
  work          TEXT,
  state         TEXT NOT NULL CHECK (state IN ('creating', 'ready', 'removing')),
  created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;
