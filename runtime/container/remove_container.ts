/** A container goes: its root, its RW layer, its row, on request its anonymous volumes. Never anything else. */
import { isLaminaError, LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { RemovalResult } from "../core/specs/image.ts";
import { dirname, join } from "@std/path/posix";
import { hostError } from "../host/errno_errors.ts";
import { faultPoint } from "../host/faults.ts";
import { beginIntent, endIntent, type Intent } from "../store/journal.ts";
import type { Transaction } from "../store/store.ts";
import { volumeLock } from "../volume/volume_lifecycle.ts";
import { usersOfVolume } from "../volume/volume_rows.ts";
import type { ContainerRoom } from "./container_room.ts";
import { type ContainerRow, rwLayerKey, specOf, volumesOf } from "./container_rows.ts";
import { imageDirectory } from "./image_mounts.ts";
import { keepRoot } from "./kept_root.ts";
import type { RootfsAssembler } from "./rootfs_assembler.ts";

/** How a container is removed. */
export interface RemoveOptions {
  /** Also when it is mounted, and whoever uses it. */
  readonly force: boolean;
  /** Its anonymous volumes go too, unless another container has them. */
  readonly volumes: boolean;
}

/**
 * Removes a container; the caller holds its lock.
 *
 * A container that is not mounted goes in one commit: the one that makes its RW layer disappear. Otherwise an intent
 * comes first, and what stops after the unmounting is finished by the next start.
 *
 * @throws `CONFLICT` while it is mounted, unless forced.
 */
export async function removeContainer(
  room: ContainerRoom,
  assembler: RootfsAssembler,
  row: ContainerRow,
  options: RemoveOptions,
  operation: Operation,
): Promise<RemovalResult> {
  const mounted = assembler.isMounted(row.id);
  if (mounted && !options.force) {
    throw new LaminaError(
      "CONFLICT",
      `Cannot remove container "${row.name}": it is mounted. Unmount it first or pass --force`,
      { details: { container: row.id } },
    );
  }
  const { size_bytes } = await usageOf(room, row, operation);
  const candidates = options.volumes ? anonymousVolumesOf(room, row) : [];
  using _locks = await room.locks.acquireAll(candidates.map(volumeLock), operation.signal);
  // Somebody may have taken one with --volumes-from while we waited.
  const anonymous = candidates.length === 0 ? candidates : anonymousVolumesOf(room, row);
  let intent: Intent | undefined;
  room.kept?.dropRoot(row.id);
  if (mounted) {
    intent = await room.store.write((tx) => {
      tx.run("UPDATE containers SET state = 'removing', mount_wanted = 0 WHERE id = ?", row.id);
      return beginIntent(tx, "container.remove", row.id, { volumes: options.volumes });
    }, { frees: true });
    faultPoint("container.remove_begun");
    try {
      await dismantleByForce(assembler, row, operation);
    } catch (error) {
      await backToReady(room, row, intent);
      if (row.mount_wanted === 1) keepRoot(room, assembler, row);
      throw error;
    }
    faultPoint("container.remove_unmounted");
  }
  return await finishRemove(room, row, { intent, anonymous, size_bytes }, operation);
}

/** Finishes a removal that a crash interrupted. */
export async function recoverRemove(
  room: ContainerRoom,
  assembler: RootfsAssembler,
  row: ContainerRow,
  intent: Intent,
  operation: Operation,
): Promise<void> {
  await dismantleByForce(assembler, row, operation);
  const anonymous = intent.data.volumes === true ? anonymousVolumesOf(room, row) : [];
  await finishRemove(room, row, { intent, anonymous, size_bytes: 0 }, operation);
}

async function finishRemove(
  room: ContainerRoom,
  row: ContainerRow,
  work: { intent: Intent | undefined; anonymous: readonly string[]; size_bytes: number },
  operation: Operation,
): Promise<RemovalResult> {
  const removals: Intent[] = [];
  const forget = (tx: Transaction) => {
    removals.length = 0;
    tx.run("DELETE FROM containers WHERE id = ?", row.id);
    for (const volume of work.anonymous) removals.push(room.volumes.beginRemove(tx, volume));
    if (work.intent !== undefined) endIntent(tx, work.intent);
    faultPoint("container.remove_snapshot_gone");
  };
  try {
    await room.driver.remove(rwLayerKey(row.id), operation, { alongside: forget });
  } catch (error) {
    if (!isLaminaError(error, "NOT_FOUND")) throw error;
    // A container that lost its RW layer can still be removed.
    await room.store.write(forget, { frees: true });
  }
  faultPoint("container.remove_finished");
  await removeMountPoint(room.layout.rootfs(row.id));
  room.events.emit({ kind: "container", action: "remove", id: row.id, name: row.name });
  for (const removal of removals) await room.volumes.finishRemove(removal, operation);
  return {
    untagged: [],
    deleted: [row.id, ...work.anonymous],
    reclaimed_bytes: work.size_bytes,
  };
}

/** First as everybody does it, then whoever is still in there. */
async function dismantleByForce(assembler: RootfsAssembler, row: ContainerRow, operation: Operation): Promise<void> {
  try {
    await assembler.dismantle(row.id, specOf(row), { lazy: false }, operation);
  } catch (error) {
    if (!isLaminaError(error, "CONFLICT")) throw error;
    await assembler.dismantle(row.id, specOf(row), { lazy: true }, operation);
  }
}

async function backToReady(room: ContainerRoom, row: ContainerRow, intent: Intent): Promise<void> {
  await room.store.write((tx) => {
    tx.run("UPDATE containers SET state = 'ready', mount_wanted = ? WHERE id = ?", row.mount_wanted, row.id);
    endIntent(tx, intent);
  }, { frees: true });
}

/** Anonymous volumes that only this container has. */
function anonymousVolumesOf(room: ContainerRoom, row: ContainerRow): string[] {
  return volumesOf(specOf(row).mounts).filter((name) => {
    const volume = room.store.get("SELECT 1 FROM volumes WHERE name = ? AND anonymous = 1 AND state = 'ready'", name);
    return volume !== undefined && usersOfVolume(room.store, name).length === 1;
  });
}

async function usageOf(room: ContainerRoom, row: ContainerRow, operation: Operation) {
  try {
    return await room.driver.usage(rwLayerKey(row.id), operation);
  } catch (error) {
    if (isLaminaError(error, "NOT_FOUND")) return { size_bytes: 0, inodes: 0 };
    throw error;
  }
}

/** Takes the empty directories away in which a root was mounted. What somebody put into them stays, for `check` to report. */
export async function removeMountPoint(rootfs: string): Promise<boolean> {
  for (const path of [rootfs, ...await imageDirectories(dirname(rootfs)), dirname(rootfs)]) {
    try {
      await Deno.remove(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) continue;
      if (error instanceof Error && "code" in error && (error.code === "ENOTEMPTY" || error.code === "EBUSY")) {
        return false;
      }
      throw hostError(error, `Cannot remove the mount point ${path}`);
    }
  }
  return true;
}

async function imageDirectories(directory: string): Promise<string[]> {
  try {
    const names = (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => name);
    return names.filter((name) => imageDirectory.test(name)).map((name) => join(directory, name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw hostError(error, `Cannot look into ${directory}`);
  }
}
