/** Giving an image another name. */
import { lookUpImage } from "./image_lookup.ts";
import type { ImageRoom } from "./image_room.ts";
import { setReference } from "./image_rows.ts";
import { chosenReference } from "./reference_names.ts";

/**
 * Points `reference` at an image; an image that had it loses it.
 *
 * @throws `NOT_FOUND`, `INVALID_ARGUMENT`.
 */
export async function tagImage(room: ImageRoom, image: string, reference: string): Promise<void> {
  const name = chosenReference(reference);
  const { id, changed } = await room.store.write((tx) => {
    const { row } = lookUpImage(tx, image);
    return { id: row.id, changed: setReference(tx, name, row.id) };
  });
  if (changed) room.events.emit({ kind: "image", action: "tag", id, name });
}
