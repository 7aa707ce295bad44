/** Untagging and removing images, and the layers that go with them. */
import { LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { RemovalResult } from "../core/specs/image.ts";
import { faultPoint } from "../host/faults.ts";
import { beginIntent, endIntent, type Intent } from "../store/journal.ts";
import type { Transaction } from "../store/store.ts";
import { lookUpImage } from "./image_lookup.ts";
import type { ImageRoom } from "./image_room.ts";
import { containersUsing, findImage, layersOf, referencesOf } from "./image_rows.ts";
import { freeLayers } from "./layer_garbage.ts";

/** What one transaction decided and did. */
interface Removal {
  readonly untagged: readonly string[];
  /** Present when the image itself is gone: its layers are to follow. */
  readonly intent?: Intent;
}

/** See `ImageService.remove`. */
export async function removeImage(
  room: ImageRoom,
  name: string,
  options: { readonly force: boolean },
  operation: Operation,
): Promise<RemovalResult> {
  const { row } = lookUpImage(room.store, name);
  using _lock = await room.locks.acquire(`image:${row.id}`, operation.signal);
  return await remove(room, row.id, (tx) => {
    // Looked up again: while we waited the reference may have moved or the image gone.
    const found = lookUpImage(tx, name);
    if (found.row.id !== row.id) {
      throw new LaminaError("CONFLICT", `Cannot remove image ${name}: it was tagged anew meanwhile. Try again`);
    }
    const references = referencesOf(tx, row.id);
    if (found.reference !== undefined && references.length > 1 && !options.force) {
      return untag(tx, [found.reference]);
    }
    const users = containersUsing(tx, row.id);
    if (users.length === 0) return removeRows(tx, row.id, references);
    if (options.force && references.length > 0) return untag(tx, references);
    throw inUse(name, users);
  }, operation);
}

/** See `ImageService.prune`. */
export async function pruneImages(
  room: ImageRoom,
  options: { readonly all: boolean; readonly ids?: readonly string[] },
  operation: Operation,
): Promise<RemovalResult> {
  const wanted = options.ids === undefined ? undefined : new Set(options.ids);
  const candidates = room.store.all<{ id: string }>(
    `SELECT id FROM images WHERE NOT EXISTS (SELECT 1 FROM containers WHERE image_id = images.id)
     AND (?1 OR NOT EXISTS (SELECT 1 FROM image_references WHERE image_id = images.id)) ORDER BY id`,
    options.all ? 1 : 0,
  ).filter(({ id }) => wanted?.has(id) ?? true);
  const untagged: string[] = [];
  const deleted: string[] = [];
  let reclaimed_bytes = 0;
  for (const { id } of candidates) {
    using _lock = await room.locks.acquire(`image:${id}`, operation.signal);
    const result = await remove(room, id, (tx) => {
      const references = referencesOf(tx, id);
      const stays = findImage(tx, id) === undefined || containersUsing(tx, id).length > 0 ||
        (!options.all && references.length > 0);
      return stays ? { untagged: [] } : removeRows(tx, id, references);
    }, operation);
    untagged.push(...result.untagged);
    deleted.push(...result.deleted);
    reclaimed_bytes += result.reclaimed_bytes;
  }
  return { untagged, deleted, reclaimed_bytes };
}

/** Runs the decision in one write, then takes the layers away. The caller holds the image's lock. */
async function remove(
  room: ImageRoom,
  id: string,
  decide: (tx: Transaction) => Removal,
  operation: Operation,
): Promise<RemovalResult> {
  operation.signal.throwIfAborted();
  const layers = layersOf(room.store, id).map(({ chain_id }) => chain_id);
  const { untagged, intent } = await room.store.write(decide, { frees: true });
  for (const name of untagged) room.events.emit({ kind: "image", action: "untag", id, name });
  if (intent === undefined) return { untagged: [...untagged], deleted: [], reclaimed_bytes: 0 };
  faultPoint("image.remove_begun");
  faultPoint("image.remove_row_gone");
  // The image is gone; a caller who loses patience now cannot bring it back.
  const freed = await freeLayers(room, layers.reverse(), { ...operation, signal: new AbortController().signal });
  faultPoint("image.remove_layers_gone");
  await room.store.write((tx) => endIntent(tx, intent), { frees: true });
  room.events.emit({ kind: "image", action: "remove", id, name: untagged[0] });
  return { untagged: [...untagged], deleted: [id, ...freed.deleted], reclaimed_bytes: freed.reclaimed_bytes };
}

/** The image is gone with this write; that its layers follow is the intent's promise. */
function removeRows(tx: Transaction, id: string, references: readonly string[]): Removal {
  tx.run("DELETE FROM images WHERE id = ?", id);
  return { untagged: references, intent: beginIntent(tx, "image.remove", id, {}) };
}

function untag(tx: Transaction, references: readonly string[]): Removal {
  for (const name of references) tx.run("DELETE FROM image_references WHERE name = ?", name);
  return { untagged: references };
}

function inUse(name: string, containers: string[]): LaminaError {
  const shown = containers.map((container) => `"${container}"`).join(", ");
  return new LaminaError(
    "CONFLICT",
    `Cannot remove image ${JSON.stringify(name)}: ${
      containers.length === 1 ? `container ${shown} uses it` : `containers ${shown} use it`
    }. Remove ${containers.length === 1 ? "it" : "them"} first`,
    { details: { containers } },
  );
}
