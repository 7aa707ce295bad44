/** The root of a container is mounted and unmounted; what should be is noted, so that a restart makes it so again. */
import { setImmediate } from "node:timers";
import { LaminaError, messageOf, toLaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import { faultPoint } from "../host/faults.ts";
import type { ContainerRoom } from "./container_room.ts";
import { type ContainerRow, setMountWanted, specOf } from "./container_rows.ts";
import { keepRoot } from "./kept_root.ts";
import type { RootfsAssembler } from "./rootfs_assembler.ts";

/**
 * Mounts the root; the caller holds the container's lock. True: something was to be done.
 *
 * The wish is committed while the mount program runs, because both wait: for the disk the one, for the kernel the other.
 * Whichever of the two a crash leaves alone, the next start sees an unacknowledged call: a wish without a mount is
 * fulfilled, a mount without a wish is taken away. Success means that both are true.
 */
export async function mountContainer(
  room: ContainerRoom,
  assembler: RootfsAssembler,
  row: ContainerRow,
  operation: Operation,
): Promise<boolean> {
  const wasMounted = assembler.isMounted(row.id);
  const assembling = assembler.assemble(row.id, specOf(row), operation);
  const [recorded, assembled] = await Promise.allSettled([record(room, row, true), assembling]);
  if (recorded.status === "fulfilled" && assembled.status === "fulfilled") {
    keepRoot(room, assembler, row);
    if (!wasMounted) {
      room.events.emit({
        kind: "container",
        action: "mount",
        id: row.id,
        name: row.name,
        attributes: { rootfs: room.layout.rootfs(row.id) },
      });
    }
    return !wasMounted || row.mount_wanted === 0;
  }
  if (row.mount_wanted === 0) await undo(room, assembler, row, wasMounted, recorded, assembled);
  throw assembled.status === "rejected" ? assembled.reason : (recorded as PromiseRejectedResult).reason;
}

/**
 * Unmounts the root; the caller holds the container's lock. True: something was to be done.
 *
 * @throws `CONFLICT` as {@linkcode RootfsAssembler.dismantle}; then the container stays wanted as it was.
 */
export async function unmountContainer(
  room: ContainerRoom,
  assembler: RootfsAssembler,
  row: ContainerRow,
  options: { readonly lazy: boolean },
  operation: Operation,
): Promise<boolean> {
  const wasMounted = assembler.isMounted(row.id);
  if (!wasMounted && row.mount_wanted === 0) return false;
  room.kept?.dropRoot(row.id);
  const dismantling = assembler.dismantle(row.id, specOf(row), options, operation);
  const [recorded, dismantled] = await Promise.allSettled([record(room, row, false), dismantling]);
  if (dismantled.status === "rejected") {
    await putBack(room, assembler, row, wasMounted, dismantled.reason);
    throw dismantled.reason;
  }
  if (recorded.status === "rejected") throw recorded.reason;
  faultPoint("container.unmounted");
  room.events.emit({ kind: "container", action: "unmount", id: row.id, name: row.name });
  return true;
}

/** A root that could not be unmounted, because somebody works in it, gets the volumes back that were out already. */
async function putBack(
  room: ContainerRoom,
  assembler: RootfsAssembler,
  row: ContainerRow,
  wasMounted: boolean,
  reason: unknown,
): Promise<void> {
  try {
    if (row.mount_wanted === 1) {
      await room.store.write((tx) => setMountWanted(tx, row.id, true), { frees: true });
    }
    if (wasMounted && assembler.isMounted(row.id)) {
      await assembler.assemble(row.id, specOf(row), { signal: AbortSignal.timeout(30_000), progress: () => {} });
      keepRoot(room, assembler, row);
    }
  } catch (error) {
    const failure = toLaminaError(reason, `Cannot unmount container "${row.name}"`);
    throw new LaminaError(failure.code, `${failure.message}. Not all of it could be put back: ${messageOf(error)}`, {
      cause: failure,
      details: failure.details,
    });
  }
}

/** Notes the wish, unless it is noted already. */
async function record(room: ContainerRoom, row: ContainerRow, wanted: boolean): Promise<void> {
  if ((row.mount_wanted === 1) === wanted) return;
  // One turn of the event loop later: the mount program is started first and runs while this waits for the disk.
  await new Promise<void>((resolve) => setImmediate(resolve));
  await room.store.write((tx) => setMountWanted(tx, row.id, wanted), { frees: !wanted });
  faultPoint(wanted ? "container.mount_recorded" : "container.unmount_recorded");
}

/** A call that failed leaves nothing mounted and nothing wanted. */
async function undo(
  room: ContainerRoom,
  assembler: RootfsAssembler,
  row: ContainerRow,
  wasMounted: boolean,
  recorded: PromiseSettledResult<void>,
  assembled: PromiseSettledResult<boolean>,
): Promise<void> {
  const failure = toLaminaError(
    assembled.status === "rejected" ? assembled.reason : (recorded as PromiseRejectedResult).reason,
    `Cannot mount container "${row.name}"`,
  );
  try {
    if (recorded.status === "fulfilled") await room.store.write((tx) => setMountWanted(tx, row.id, false));
    if (assembled.status === "fulfilled" && !wasMounted) {
      const background: Operation = { signal: AbortSignal.timeout(30_000), progress: () => {} };
      await assembler.dismantle(row.id, specOf(row), { lazy: false }, background);
    }
  } catch (error) {
    throw new LaminaError(failure.code, `${failure.message}. Not all of it could be undone: ${messageOf(error)}`, {
      cause: failure,
      details: failure.details,
    });
  }
}
