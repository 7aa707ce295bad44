/**
 * Copy-up: a volume that is empty, and was never filled, gets what the image has at the target of its mount, when the
 * container is created.
 *
 * The caller holds the locks of the volumes, so that two containers that name the same new volume cannot both fill it.
 * The image is read from a view of its own; its paths are resolved in there, whatever links it holds.
 */
import { join } from "@std/path/posix";
import type { SnapshotKey } from "../core/ids.ts";
import { mountAt, readOnlyMount } from "../core/mount.ts";
import type { Operation } from "../core/operation.ts";
import type { ContainerMount } from "../core/specs/mount.ts";
import { hostError } from "../host/errno_errors.ts";
import { openInRoot } from "../host/rootfs_path.ts";
import type { ContainerRoom } from "./container_room.ts";
import { viewLock } from "./container_room.ts";
import { removeView, viewKey, viewOf } from "./image_mounts.ts";
import { isPathProblem } from "./mount_inside.ts";
import { fillVolume, finishFilling, isEmptyVolume, isFilled } from "./volume_contents.ts";

/** Last part of the key of the view that a copy-up reads from. */
export const COPY_UP_VIEW = "copy-up";

/** How long giving up what a copy-up has used may take. */
const UNDO_TIMEOUT_MS = 60_000;
const MAX_KNOWN = 10_000;

/** A volume that may have to be filled. */
export interface CopyUpCandidate {
  readonly volume: string;
  /** Inside the image. */
  readonly target: string;
}

/** A volume that has to be filled. */
export interface CopyUp extends CopyUpCandidate {
  /** Directory of the image, on the host, while the view is open. */
  readonly source: string;
}

/** An open view of the image, and what is to be copied out of it. */
export interface OpenCopyUps extends AsyncDisposable {
  readonly all: readonly CopyUp[];
}

/** `LAYER\0TARGET` of which is known that there is no directory. A layer never changes. */
const knownAbsent = new Set<string>();

/** Volumes that may have to be filled: one mount of each. Costs a look at the database for each volume at most. */
export function copyUpCandidates(
  room: ContainerRoom,
  topLayer: string | null,
  mounts: readonly ContainerMount[],
): CopyUpCandidate[] {
  if (topLayer === null) return [];
  const targets = new Map<string, string>();
  for (const mount of mounts) {
    if (mount.type !== "volume" || mount.no_copy || mount.subpath !== undefined || mount.from === "volumes_from") {
      continue;
    }
    if (targets.has(mount.source) || knownAbsent.has(`${topLayer}\0${mount.target}`)) continue;
    if (!isFilled(room.store, mount.source)) targets.set(mount.source, mount.target);
  }
  return [...targets].map(([volume, target]) => ({ volume, target }));
}

/**
 * Those candidates for which the image has a directory. They can be copied until this is disposed.
 *
 * @param containerId Of the container that is being made; its {@linkcode viewLock} is held meanwhile.
 */
export async function openCopyUps(
  room: ContainerRoom,
  containerId: string,
  topLayer: string,
  candidates: readonly CopyUpCandidate[],
  operation: Operation,
): Promise<OpenCopyUps> {
  await using opened = new AsyncDisposableStack();
  const lock = await room.locks.acquire(viewLock(containerId), operation.signal);
  opened.defer(() => lock[Symbol.dispose]());
  const key = viewKey(containerId, COPY_UP_VIEW);
  opened.defer(() => removeView(room.driver, key, undoing()));
  const mounts = await viewOf(room.driver, key, topLayer as SnapshotKey, operation);
  const path = join(room.layout.staging, `view-${crypto.randomUUID()}`);
  await Deno.mkdir(path, { mode: 0o700 });
  opened.defer(() => closeView(room, path));
  await room.mounter.mount(mounts.map((mount) => mountAt(readOnlyMount(mount), path)), { signal: operation.signal });
  const all = candidates.flatMap((candidate) => {
    const source = directoryIn(path, candidate.target);
    if (source === undefined) remember(`${topLayer}\0${candidate.target}`);
    return source === undefined ? [] : [{ ...candidate, source }];
  });
  const held = opened.move();
  return { all, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** Whether a volume that exists already is empty. Mounts it for that, where it has to be mounted. */
export function isVolumeEmpty(
  room: ContainerRoom,
  name: string,
  userId: string,
  operation: Operation,
): Promise<boolean> {
  return withVolume(room, name, userId, operation, (data) => Promise.resolve(isEmptyVolume(data)));
}

/**
 * Fills one volume. What a crash leaves of it {@linkcode finishCopyUp} completes or deletes.
 *
 * @param fresh Nobody can have the volume yet: it is filled directly, and taken away whole if that does not succeed.
 */
export function copyUp(
  room: ContainerRoom,
  { volume, source }: CopyUp,
  fresh: boolean,
  userId: string,
  operation: Operation,
): Promise<void> {
  return withVolume(room, volume, userId, operation, async (data) => {
    if (fresh && Deno.readDirSync(data).next().done) await room.engine.copyTree(source, data, operation);
    else await fillVolume(room.engine, source, data, operation);
  });
}

/** Completes or deletes what a crash has left of a copy-up into a volume that existed before. */
export function finishCopyUp(room: ContainerRoom, volume: string, userId: string, operation: Operation): Promise<void> {
  return withVolume(room, volume, userId, operation, (data) => finishFilling(room.engine, data, operation));
}

async function withVolume<T>(
  room: ContainerRoom,
  name: string,
  userId: string,
  operation: Operation,
  body: (data: string) => Promise<T>,
): Promise<T> {
  if (!room.access.needsMounting(name)) return await body(room.access.pathOf(name));
  const id = `${userId}.${COPY_UP_VIEW}`;
  const paths = await room.access.acquire({ id, name: `container ${userId.slice(0, 12)}` }, [name], operation);
  try {
    return await body(paths.get(name)!);
  } finally {
    await room.access.release(id, undoing());
  }
}

/** Host path of the directory at `target`, resolved in the image as its processes would; undefined: there is none. */
function directoryIn(root: string, target: string): string | undefined {
  try {
    using opened = openInRoot(root, target);
    return opened.type === "directory" && opened.realPath !== root ? opened.realPath : undefined;
  } catch (error) {
    if (isPathProblem(error)) return undefined;
    throw error;
  }
}

async function closeView(room: ContainerRoom, path: string): Promise<void> {
  await room.mounter.unmount([path], { signal: undoing().signal });
  try {
    await Deno.remove(path);
  } catch (error) {
    throw hostError(error, `Cannot remove the directory ${path}`);
  }
}

function remember(key: string): void {
  if (knownAbsent.size >= MAX_KNOWN) knownAbsent.clear();
  knownAbsent.add(key);
}

/** Giving up goes on when the caller has given up. */
function undoing(): Operation {
  return { signal: AbortSignal.timeout(UNDO_TIMEOUT_MS), progress: () => {} };
}
