/** A container comes into being with its root mounted, in hardly more time than the mount program takes. */
import { LaminaError, messageOf, toLaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { ContainerCreate } from "../core/specs/container.ts";
import { containerLock, type ContainerRoom } from "./container_room.ts";
import { type ContainerRow, findContainerRow } from "./container_rows.ts";
import { createContainer } from "./create_container.ts";
import { keepRoot } from "./kept_root.ts";
import { removeContainer, removeMountPoint } from "./remove_container.ts";
import type { RootfsAssembler } from "./rootfs_assembler.ts";

/**
 * Creates and mounts at once: the mount program runs while directory and row are made durable. Success means that the
 * container is there and mounted; any failure, that it is not there.
 *
 * A crash in the middle leaves a mount without a row, which the next start takes away, or a row that wants to be
 * mounted, which it mounts.
 *
 * @returns the container's id.
 * @throws as creating and mounting do.
 */
export async function createMounted(
  room: ContainerRoom,
  assembler: RootfsAssembler,
  request: ContainerCreate,
  operation: Operation,
): Promise<string> {
  let assembling: Promise<unknown> = Promise.resolve();
  await using held = new AsyncDisposableStack();
  const id = await createContainer(room, request, operation, (id, spec, mounts) => {
    // Nobody knows the id yet, so the lock is had at once; who finds the row before the root is mounted has to wait.
    const lock = room.locks.acquire(containerLock(id), undoing().signal);
    held.defer(async () => (await lock)[Symbol.dispose]());
    assembling = assembler.assemble(id, spec, operation, mounts);
    // Awaited below or in `stop`.
    assembling.catch(() => {});
    return {
      stop: async () => {
        const [assembled] = await Promise.allSettled([assembling]);
        if (assembled.status === "fulfilled") await assembler.dismantle(id, spec, { lazy: false }, undoing());
        await removeMountPoint(room.layout.rootfs(id));
      },
    };
  });
  const row = findContainerRow(room.store, id)!;
  try {
    await assembling;
  } catch (error) {
    throw await removed(room, assembler, row, toLaminaError(error, `Cannot mount container "${row.name}"`));
  }
  keepRoot(room, assembler, row);
  const attributes = { rootfs: room.layout.rootfs(id) };
  room.events.emit({ kind: "container", action: "mount", id, name: row.name, attributes });
  return id;
}

/** The failure, when the container that could not be mounted is gone again. */
async function removed(
  room: ContainerRoom,
  assembler: RootfsAssembler,
  row: ContainerRow,
  failure: LaminaError,
): Promise<LaminaError> {
  try {
    await removeContainer(room, assembler, row, { force: true, volumes: true }, undoing());
    return failure;
  } catch (error) {
    return new LaminaError(
      failure.code,
      `${failure.message}. The container "${row.name}" is left: ${messageOf(error)}`,
      {
        cause: failure,
        details: failure.details,
      },
    );
  }
}

/** Taking back goes on when the caller has given up. */
function undoing(): Operation {
  return { signal: AbortSignal.timeout(30_000), progress: () => {} };
}
