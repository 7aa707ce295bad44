/** The rooms of the house from top to bottom, and which imports the order allows. Pure. */
import type { Import } from "./sources.ts";

/** A file belongs to the room with the longest prefix of its path. Rooms of one line do not import each other. */
export const ROOMS: ReadonlyArray<readonly string[]> = [
  ["mod.ts", "runtime/main.ts"],
  ["runtime/cli/"],
  ["runtime/api/"],
  ["runtime/runtime.ts"],
  ["runtime/system/"],
  ["runtime/migrate/"],
  ["runtime/pod/"],
  ["runtime/container/"],
  ["runtime/image/", "runtime/union/", "runtime/volume/"],
  ["runtime/objects/"],
  ["runtime/services.ts"],
  ["overlay/", "drivers/volume/"],
  ["drivers/storage/"],
  ["drivers/storage/layer/"],
  ["runtime/store/"],
  ["runtime/host/"],
  ["runtime/core/"],
  // The version.
  ["deno.json"],
];

/** Room and floor (0 is the top) of a file; `undefined` for one that belongs nowhere. */
export function roomOf(path: string): { room: string; floor: number } | undefined {
  let best: { room: string; floor: number } | undefined;
  for (const [floor, rooms] of ROOMS.entries()) {
    for (const room of rooms) {
      const inside = room.endsWith("/") ? path.startsWith(room) : path === room;
      if (inside && room.length > (best?.room.length ?? 0)) best = { room, floor };
    }
  }
  return best;
}

/** Why an import breaks the order; `undefined` when it does not. */
export function brokenRule({ from, to }: Import): string | undefined {
  const above = roomOf(from);
  const below = roomOf(to);
  if (above === undefined || below === undefined) {
    return `${above ? to : from} is in no room of tests/architecture/rooms.ts`;
  }
  if (above.room === below.room || above.floor < below.floor) return undefined;
  return `${from} (${above.room}) imports ${to} (${below.room}): imports run downwards only`;
}
