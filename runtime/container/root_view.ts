/** A container's root as a directory to read from or to write to, whether it is mounted or not. */
import { join } from "@std/path/posix";
import { LaminaError, messageOf } from "../core/errors.ts";
import { type Mount, mountAt, readOnlyMount } from "../core/mount.ts";
import type { Operation } from "../core/operation.ts";
import { hostError } from "../host/errno_errors.ts";
import type { ContainerRoom } from "./container_room.ts";
import { type ContainerRow, type ContainerSpec, rwLayerKey, specOf } from "./container_rows.ts";
import { removeMountPoint } from "./remove_container.ts";
import type { RootfsAssembler } from "./rootfs_assembler.ts";

/** How long the temporary mount of a view may take to go. */
const CLOSE_TIMEOUT_MS = 30_000;

/** What of the root is needed. */
export interface RootViewOptions {
  /** With volumes, host directories and images; without: only the RW layer and the image. */
  readonly volumes: boolean;
  readonly writable: boolean;
}

/** A directory that shows the root until it is disposed. */
export interface RootView extends AsyncDisposable {
  /** Absolute path on the host. */
  readonly path: string;
}

/**
 * Shows a container's root. The caller holds the container's lock until the view is closed: a RW layer must not be
 * mounted twice.
 *
 * A mounted root is shown as it is, or without its volumes through a bind that leaves the mounts inside of it out. One
 * that is not mounted is mounted for the occasion: with its volumes at its own place, otherwise at `ROOT/staging/view-…`,
 * where only Lamina gets.
 */
export async function openRootView(
  room: ContainerRoom,
  assembler: RootfsAssembler,
  row: ContainerRow,
  options: RootViewOptions,
  operation: Operation,
): Promise<RootView> {
  const rootfs = room.layout.rootfs(row.id);
  const mounted = assembler.isMounted(row.id);
  if (mounted && options.volumes) return { path: rootfs, [Symbol.asyncDispose]: () => Promise.resolve() };
  const spec = specOf(row);
  // A tmpfs has nothing in it before the container runs, and would hide what the image has there.
  const mounts = spec.mounts.filter(({ type }) => type !== "tmpfs");
  if (options.volumes && mounts.length > 0) return await openWholeRoot(assembler, row.id, { ...spec, mounts }, rootfs);
  return await openBareRoot(room, row.id, mounted, options, operation);
}

/**
 * The root with its volumes, at its own place and for the time of the view only: whoever looks sees a mounted container
 * that is busy. A crash leaves a mount that nobody wants; the next start takes it away.
 */
async function openWholeRoot(
  assembler: RootfsAssembler,
  id: string,
  spec: ContainerSpec,
  rootfs: string,
): Promise<RootView> {
  const patience = (): Operation => ({ signal: AbortSignal.timeout(CLOSE_TIMEOUT_MS), progress: () => {} });
  await assembler.assemble(id, spec, patience());
  return {
    path: rootfs,
    [Symbol.asyncDispose]: async () => {
      await assembler.dismantle(id, spec, { lazy: false }, patience());
      await removeMountPoint(rootfs);
    },
  };
}

async function openBareRoot(
  room: ContainerRoom,
  containerId: string,
  mounted: boolean,
  options: RootViewOptions,
  operation: Operation,
): Promise<RootView> {
  const rootfs = room.layout.rootfs(containerId);
  const path = join(room.layout.staging, `view-${crypto.randomUUID()}`);
  const mounts: Mount[] = mounted
    ? [{ type: "bind", source: rootfs, target: path, options: ["bind", "private", "ro"] }]
    : (await room.driver.mounts(rwLayerKey(containerId))).map((mount) =>
      mountAt(options.writable ? mount : readOnlyMount(mount), path)
    );
  try {
    await Deno.mkdir(path, { mode: 0o700 });
  } catch (error) {
    throw hostError(error, `Cannot make the directory ${path}`);
  }
  const close = async () => {
    await room.mounter.unmount([path], { signal: AbortSignal.timeout(CLOSE_TIMEOUT_MS) });
    try {
      await Deno.remove(path);
    } catch (error) {
      throw hostError(error, `Cannot remove the directory ${path}`);
    }
  };
  try {
    await room.mounter.mount(mounts, { signal: operation.signal });
  } catch (error) {
    try {
      await close();
    } catch (left) {
      throw new LaminaError("INTERNAL", `${messageOf(error)}. Not all of it could be undone: ${messageOf(left)}`, {
        cause: error,
      });
    }
    throw error;
  }
  return { path, [Symbol.asyncDispose]: close };
}
