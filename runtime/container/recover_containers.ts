/**
 * After a start: what a crash or a reboot has interrupted is finished or undone, and the mount table is made to agree
 * with what is wanted. Nothing is unmounted or deleted before both the rows and the mount table have been read whole.
 */
import { dirname } from "@std/path/posix";
import { messageOf } from "../core/errors.ts";
import type { SnapshotKey } from "../core/ids.ts";
import type { MountEntry } from "../core/mountinfo.ts";
import type { Operation } from "../core/operation.ts";
import type { RootLayout } from "../core/root_layout.ts";
import { mountsBelow, readMountTable } from "../host/mount_table.ts";
import { endIntent, type Intent } from "../store/journal.ts";
import { type ContainerRoom, viewLock } from "./container_room.ts";
import {
  containerOfKey,
  type ContainerRow,
  findContainerRow,
  POD_LABEL,
  readyContainerRows,
  specOf,
} from "./container_rows.ts";
import { COPY_UP_VIEW } from "./copy_up.ts";
import { recoverCreate } from "./create_container.ts";
import { containerOfViewKey, VIEW_PREFIX } from "./image_mounts.ts";
import { keepRoot } from "./kept_root.ts";
import { recoverRemove, removeMountPoint } from "./remove_container.ts";
import type { RootfsAssembler } from "./rootfs_assembler.ts";

/** How many containers are mounted at a time. */
const PARALLEL = 16;

/** A step that did not succeed; the runtime starts all the same, and `check` reports what is left. */
export interface RecoveryProblem {
  readonly object: string;
  readonly message: string;
}

/** What the recovery did. */
export interface ContainerRecovery {
  /** Roots that were mounted (again) or completed. */
  readonly mounted: number;
  /** Roots that were mounted all the time. */
  readonly adopted: number;
  readonly problems: readonly RecoveryProblem[];
}

/** See the head of the file. Runs alone, before any other operation, after the driver's and the images' recovery. */
export async function recoverContainers(
  room: ContainerRoom,
  assembler: RootfsAssembler,
  intents: readonly Intent[],
  operation: Operation,
): Promise<ContainerRecovery> {
  const problems: RecoveryProblem[] = [];
  const attempt = async (object: string, body: () => Promise<void>) => {
    operation.signal.throwIfAborted();
    try {
      await body();
    } catch (error) {
      operation.signal.throwIfAborted();
      problems.push({ object, message: messageOf(error) });
    }
  };
  // Both worlds, whole.
  const rows = readyContainerRows(room.store);
  const table = readMountTable();
  for (const intent of intents) {
    await attempt(intent.object, () => recoverIntent(room, assembler, intent, operation));
  }
  for (const id of strayRoots(room, table)) {
    const entries = mountsBelow(table, dirname(room.layout.rootfs(id)));
    await attempt(room.layout.rootfs(id), () => unmountAll(room, entries, operation));
  }
  await attempt("snapshots", () => removeOrphanSnapshots(room, operation));
  await attempt(room.layout.containers, () => removeOrphanMountPoints(room));
  const counts = { mounted: 0, adopted: 0 };
  await eachOf(rows, (row) =>
    attempt(row.name, async () => {
      if (row.mount_wanted === 0) {
        // Mounted, but the call that wanted it was never acknowledged; or its unmounting was interrupted.
        await assembler.dismantle(row.id, specOf(row), { lazy: false }, operation);
      } else if (POD_LABEL in specOf(row).labels) {
        if (assembler.isMounted(row.id)) counts.adopted++;
        return;
      } else if (await assembler.assemble(row.id, specOf(row), operation)) {
        counts.mounted++;
      } else {
        counts.adopted++;
      }
      if (row.mount_wanted === 1) keepRoot(room, assembler, row);
    }));
  return { ...counts, problems };
}

async function recoverIntent(
  room: ContainerRoom,
  assembler: RootfsAssembler,
  intent: Intent,
  operation: Operation,
): Promise<void> {
  if (intent.kind === "container.create") return await recoverCreate(room, intent);
  if (intent.kind !== "container.remove") return;
  const row = findContainerRow(room.store, intent.object);
  if (row === undefined) await room.store.write((tx) => endIntent(tx, intent), { frees: true });
  else await recoverRemove(room, assembler, row, intent, operation);
}

/** Ids in the mount table below `ROOT/containers` that no container has. */
export function strayRoots(room: { layout: RootLayout; store: ContainerRoom["store"] }, table: readonly MountEntry[]) {
  const ids = new Set<string>();
  for (const { target } of mountsBelow(table, room.layout.containers)) {
    const [id] = target.slice(room.layout.containers.length + 1).split("/");
    if (id !== undefined && id !== "" && findContainerRow(room.store, id) === undefined) ids.add(id);
  }
  return ids;
}

/** Topmost first. */
export async function unmountAll(
  room: ContainerRoom,
  entries: readonly MountEntry[],
  operation: Operation,
): Promise<void> {
  if (entries.length === 0) return;
  await room.mounter.unmount(entries.map(({ target }) => target).reverse(), { signal: operation.signal });
}

/** RW layers and views without a container: their creation or removal was interrupted where the driver's rows are its own. */
export async function removeOrphanSnapshots(room: ContainerRoom, operation: Operation): Promise<void> {
  for (const key of await orphanSnapshots(room)) await room.driver.remove(key, operation);
}

/** Keys of RW layers and views without a container. */
export async function orphanSnapshots(room: ContainerRoom): Promise<SnapshotKey[]> {
  const keys: SnapshotKey[] = [];
  for await (const { key } of room.driver.walk({ keyPrefix: "container/" })) {
    const id = containerOfKey(key);
    if (id === undefined || findContainerRow(room.store, id) === undefined) keys.push(key);
  }
  for await (const { key } of room.driver.walk({ keyPrefix: VIEW_PREFIX })) {
    const id = containerOfViewKey(key);
    if (id !== undefined && room.locks.isBusy(viewLock(id))) continue;
    // One for a copy-up is given up by the call that made it, whatever comes of the container.
    const lasting = id !== undefined && !key.endsWith(`/${COPY_UP_VIEW}`);
    if (!lasting || findContainerRow(room.store, id) === undefined) keys.push(key);
  }
  return keys;
}

/** Names in `ROOT/containers` that no container has. */
export async function orphanMountPoints(room: ContainerRoom): Promise<string[]> {
  const names = (await Array.fromAsync(Deno.readDir(room.layout.containers))).map(({ name }) => name);
  return names.filter((name) => findContainerRow(room.store, name) === undefined);
}

async function removeOrphanMountPoints(room: ContainerRoom): Promise<void> {
  for (const name of await orphanMountPoints(room)) await removeMountPoint(room.layout.rootfs(name));
}

async function eachOf(rows: readonly ContainerRow[], body: (row: ContainerRow) => Promise<void>): Promise<void> {
  const rest = rows.values();
  await Promise.all(Array.from({ length: PARALLEL }, async () => {
    for (const row of rest) await body(row);
  }));
}
