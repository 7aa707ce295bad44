/** Moves RW layers: what differs from the image is unpacked upon the new driver's snapshot, and both are compared. */
import { createHash } from "node:crypto";
import { join } from "@std/path/posix";
import type { SnapshotInfo, StorageDriver } from "../../drivers/storage/port.ts";
import { copyRootAttributes } from "../../drivers/storage/root_attributes.ts";
import { readyContainerRows, rwLayerKey } from "../container/container_rows.ts";
import { isLaminaError, LaminaError } from "../core/errors.ts";
import type { SnapshotKey } from "../core/ids.ts";
import { type Mount, mountAt, readOnlyMount } from "../core/mount.ts";
import type { Operation } from "../core/operation.ts";
import { syncFileSystem } from "../host/durable.ts";
import { hostError } from "../host/errno_errors.ts";
import { faultPoint } from "../host/faults.ts";
import { UNVERIFIED } from "./copy_layers.ts";
import type { MigrationRoom } from "./migration_room.ts";

/** How long a temporary mount may take to go. */
const UNMOUNT_TIMEOUT_MS = 30_000;
/** Differing paths that an error names. */
const NAMED_CHANGES = 5;

/**
 * Copies the RW layer of every container, unless `to` has it as it is now. No container may be mounted.
 *
 * @returns how many containers there are.
 * @throws `DATA_LOSS` when a copy turns out different, `RESOURCE_EXHAUSTED`.
 */
export async function copyContainers(
  room: MigrationRoom,
  from: StorageDriver,
  to: StorageDriver,
  operation: Operation,
): Promise<number> {
  const rows = readyContainerRows(room.containers.store);
  for (const [done, { id, name }] of rows.entries()) {
    operation.signal.throwIfAborted();
    operation.progress({ phase: "containers", id: name, current: done, total: rows.length, unit: "steps" });
    const key = rwLayerKey(id);
    const info = await from.stat(key);
    if (await isCopied(room, { from, to }, info, operation)) continue;
    await removeIfThere(to, key, operation);
    await to.prepare(key, info.parent, {
      labels: { ...info.labels, [UNVERIFIED]: "yes" },
      size_bytes: info.limit_bytes,
      inodes: info.limit_inodes,
    }, operation);
    faultPoint("migrate.container_prepared");
    await fill(room, { from, to }, key, operation);
    faultPoint("migrate.container_filled");
    const difference = await differenceOf(room, { from, to }, key, operation);
    if (difference !== undefined) {
      throw new LaminaError(
        "DATA_LOSS",
        `Cannot move container "${name}" to ${to.name}: its copy differs (${difference}). Its data is untouched in ${from.name}`,
        { details: { container: name } },
      );
    }
    await to.update(key, info.labels);
    faultPoint("migrate.container_verified");
  }
  return rows.length;
}

interface Pair {
  readonly from: StorageDriver;
  readonly to: StorageDriver;
}

async function isCopied(room: MigrationRoom, pair: Pair, info: SnapshotInfo, operation: Operation): Promise<boolean> {
  let copy: SnapshotInfo;
  try {
    copy = await pair.to.stat(info.key);
  } catch (error) {
    if (isLaminaError(error, "NOT_FOUND")) return false;
    throw error;
  }
  const facts = ({ parent, limit_bytes, limit_inodes, labels }: SnapshotInfo) =>
    JSON.stringify([parent, limit_bytes, limit_inodes, Object.entries(labels).sort()]);
  // Whoever went on with the old driver after an interrupted migration may have written there.
  return facts(copy) === facts(info) && await differenceOf(room, pair, info.key, operation) === undefined;
}

async function fill(room: MigrationRoom, { from, to }: Pair, key: SnapshotKey, operation: Operation): Promise<void> {
  await mounted(room, await to.mounts(key), operation, async (target) => {
    const { engine } = room.containers;
    const blob = { source: from.diff(key, operation), compression: "none" as const };
    await engine.unpack({ blob, directory: target, whiteouts: "delete" }, { ...operation, progress: () => {} });
    // An archive of changes does not name the root itself.
    await mounted(room, (await from.mounts(key)).map(readOnlyMount), operation, (source) => {
      try {
        copyRootAttributes(source, target);
      } catch (error) {
        throw hostError(error, "Cannot copy the attributes of a container's root");
      }
    });
    await syncFileSystem(target);
  });
}

/** What is different, in a clause; `undefined` when every name, attribute and byte is the same. */
async function differenceOf(
  room: MigrationRoom,
  { from, to }: Pair,
  key: SnapshotKey,
  operation: Operation,
): Promise<string | undefined> {
  const sourceMounts = (await from.mounts(key)).map(readOnlyMount);
  const copyMounts = (await to.mounts(key)).map(readOnlyMount);
  return await mounted(room, sourceMounts, operation, (source) =>
    mounted(room, copyMounts, operation, async (copy) => {
      const { engine } = room.containers;
      const [wanted, found] = await Promise.all([source, copy].map((root) => digestOf(room, root, operation)));
      if (wanted === found) return undefined;
      const paths: string[] = [];
      for await (const { kind, path } of engine.changes({ kind: "compare", tree: copy, parent: source }, operation)) {
        paths.push(`${path} ${kind}`);
        if (paths.length === NAMED_CHANGES) break;
      }
      return paths.join(", ") || "the root itself, or the content of a file";
    }));
}

/** Of a reproducible archive of the whole tree. */
async function digestOf(room: MigrationRoom, root: string, operation: Operation): Promise<string> {
  const hash = createHash("sha256");
  const archive = room.containers.engine.tar({ kind: "tree", root, path: "/" }, operation);
  for await (const chunk of archive) hash.update(chunk);
  return hash.digest("hex");
}

/** Runs `body` with mounts made at a directory in staging, which is gone afterwards. */
async function mounted<T>(
  { containers: { layout, mounter } }: MigrationRoom,
  mounts: readonly Mount[],
  operation: Operation,
  body: (path: string) => T | Promise<T>,
): Promise<T> {
  const path = join(layout.staging, `migrate-${crypto.randomUUID()}`);
  await Deno.mkdir(path, { mode: 0o700 });
  try {
    await mounter.mount(mounts.map((mount) => mountAt(mount, path)), { signal: operation.signal });
    try {
      return await body(path);
    } finally {
      await mounter.unmount([path], { signal: AbortSignal.timeout(UNMOUNT_TIMEOUT_MS) });
    }
  } finally {
    await Deno.remove(path);
  }
}

async function removeIfThere(driver: StorageDriver, key: SnapshotKey, operation: Operation): Promise<void> {
  try {
    await driver.remove(key, operation);
  } catch (error) {
    if (!isLaminaError(error, "NOT_FOUND")) throw error;
  }
}
