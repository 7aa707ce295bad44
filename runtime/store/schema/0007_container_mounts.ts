/** Images that containers mount, and volumes that have been filled from an image. */
export const containerMountsSchema = `
-- An image stays as long as a container mounts it.
CREATE TABLE container_images (
  container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
  image_id     TEXT NOT NULL REFERENCES images (id) ON DELETE RESTRICT,
  PRIMARY KEY (container_id, image_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX container_images_by_image ON container_images (image_id);

-- Copy-up is over for these: they are never filled again, even when they are empty.
CREATE TABLE volume_contents (
  volume TEXT PRIMARY KEY REFERENCES volumes (name) ON DELETE CASCADE ON UPDATE CASCADE
) STRICT, WITHOUT ROWID;
`;
