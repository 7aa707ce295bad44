/** Roots that are mounted and shall stay so: the volume manager sees when one loses a mount, and has it repaired. */
import type { Operation } from "../core/operation.ts";
import { containerLock, type ContainerRoom } from "./container_room.ts";
import { type ContainerRow, findContainerRow, readyContainerRows, specOf } from "./container_rows.ts";
import type { RootfsAssembler } from "./rootfs_assembler.ts";

/** To be called when a root was mounted, or found mounted after a start. */
export function keepRoot(room: ContainerRoom, assembler: RootfsAssembler, row: ContainerRow): void {
  room.kept?.keepRoot({
    id: row.id,
    name: row.name,
    path: room.layout.rootfs(row.id),
    mounts: specOf(row).mounts.length,
    repair: (operation) => repairRoot(room, assembler, row.id, operation),
  });
}

/** Roots of containers that bind `path`, or something below it; a path of a volume's data counts as such. */
export function rootsThatBind({ store, layout }: Pick<ContainerRoom, "store" | "layout">, path: string): string[] {
  return readyContainerRows(store).filter((row) =>
    specOf(row).mounts.some((mount) =>
      (mount.type === "bind" && (mount.source === path || mount.source.startsWith(`${path}/`))) ||
      (mount.type === "volume" && layout.volumeData(mount.source) === path)
    )
  ).map(({ id }) => layout.rootfs(id));
}

async function repairRoot(
  room: ContainerRoom,
  assembler: RootfsAssembler,
  id: string,
  operation: Operation,
): Promise<void> {
  using _lock = await room.locks.acquire(containerLock(id), operation.signal);
  const row = findContainerRow(room.store, id);
  // It may have been unmounted, or have gone, while we waited.
  if (row?.state === "ready" && row.mount_wanted === 1) await assembler.assemble(id, specOf(row), operation);
}
