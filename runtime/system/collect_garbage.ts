/** Frees what removed objects left behind. */
import { join } from "@std/path/posix";
import { mountsBelow } from "../core/mountinfo.ts";
import type { Operation } from "../core/operation.ts";
import type { RemovalResult } from "../core/specs/image.ts";
import { readMountTable } from "../host/mount_table.ts";
import type { ContainerRoom } from "../container/container_room.ts";
import type { SystemRoom } from "./system_room.ts";

/** Layers that no image needs, what the driver has not deleted yet, the trash. Nothing that somebody could miss. */
export async function collectGarbage(room: SystemRoom, operation: Operation): Promise<RemovalResult> {
  const { deleted, reclaimed_bytes } = await room.images.collectGarbage(operation);
  await room.containers.driver.cleanup(operation);
  await emptyDirectory(room, room.containers.layout.trash, operation);
  return { untagged: [], deleted, reclaimed_bytes };
}

/** Deletes everything in a directory but what is a mount point or has one in it. */
export async function emptyDirectory(
  room: { readonly containers: Pick<ContainerRoom, "engine"> },
  directory: string,
  operation: Operation,
): Promise<void> {
  const table = readMountTable();
  for await (const { name } of Deno.readDir(directory)) {
    const path = join(directory, name);
    if (mountsBelow(table, path).length > 0) continue;
    await room.containers.engine.removeTree(path, operation);
  }
}
