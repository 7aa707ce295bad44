/**
 * Mounts what is planned inside a root that is mounted already. Targets are resolved inside the root by the kernel, and
 * mounted upon through the descriptor that came out; so is a source that lies beneath a volume or an image.
 */
import { hostError } from "../host/errno_errors.ts";
import { isLaminaError, LaminaError } from "../core/errors.ts";
import { type Mount, mountAt } from "../core/mount.ts";
import { makeDirectoryDurably } from "../host/durable.ts";
import { mountApiSupport } from "../host/mount_api.ts";
import { mountHolding } from "../host/mount_source.ts";
import { currentMountTable } from "../host/mount_table.ts";
import type { Mounter, MountOptions } from "../host/mounter.ts";
import { openPlaceholder } from "../host/placeholders.ts";
import { openBeneath, type OpenedPath, openInRoot } from "../host/rootfs_path.ts";
import { independentPrefix, type PlannedMount } from "./mount_plan.ts";

/** A source that exists, held while it is mounted. */
export interface ReadySource extends Disposable {
  /** What has to be mounted upon. */
  readonly kind: "directory" | "file";
  /** Names the opened source where that must not be looked up again. */
  readonly procPath?: string;
}

/** What is to be mounted. */
export interface InsideWork {
  readonly planned: readonly PlannedMount[];
  /** Of each of `planned`. */
  readonly sources: readonly ReadySource[];
  /** Comes in the same batch as the last of them. */
  readonly finish: readonly Mount[];
  /** Receives what was mounted. */
  readonly made: string[];
}

/** Mounts all that is planned, as many at once as do not lie inside each other, and in the end `finish`. */
export async function mountInside(
  mounter: Mounter,
  rootfs: string,
  work: InsideWork,
  options: MountOptions,
): Promise<void> {
  let next = 0;
  do {
    using wave = openWave(rootfs, work.planned.slice(next), work.sources.slice(next));
    const mounts = wave.opened.flatMap((target, i) =>
      mountsOf(work.planned[next + i]!, work.sources[next + i]!, target)
    );
    next += wave.opened.length;
    if (next === work.planned.length) mounts.push(...work.finish);
    if (mounts.length > 0) await mounter.mount(mounts, options);
    work.made.push(...wave.opened.map(({ realPath }) => realPath));
  } while (next < work.planned.length);
}

/**
 * Finds the sources of all mounts, and makes those that are to be made.
 *
 * @throws `NOT_FOUND`, `INVALID_ARGUMENT` (a subpath that leads out), `CONFLICT` (not shared), `UNSUPPORTED`.
 */
export async function readySources(planned: readonly PlannedMount[]): Promise<Disposable & { all: ReadySource[] }> {
  const results = await Promise.allSettled(planned.map(readySource));
  const all = results.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
  const close = () => all.forEach((source) => source[Symbol.dispose]());
  const failed = results.find((result) => result.status === "rejected");
  if (failed === undefined) return { all, [Symbol.dispose]: close };
  close();
  throw failed.reason;
}

function mountsOf(planned: PlannedMount, source: ReadySource, target: OpenedPath): Mount[] {
  const mount = source.procPath === undefined ? planned.mount : { ...planned.mount, source: source.procPath };
  const made = mountAt(mount, target.procPath);
  if (!planned.readOnlyAfter) return [made];
  return [made, { type: "none", source: "none", target: target.realPath, options: ["remount", "bind", "ro"] }];
}

/** Opens as many targets as can be mounted at once: up to the first that lies inside an earlier one. */
function openWave(
  rootfs: string,
  planned: readonly PlannedMount[],
  sources: readonly ReadySource[],
): Disposable & { opened: OpenedPath[] } {
  const opened: OpenedPath[] = [];
  const close = () => opened.forEach((path) => path[Symbol.dispose]());
  try {
    // As written first, so that nothing is made below a place that a mount is about to cover …
    const count = independentPrefix(planned.map(({ target }) => target));
    for (let i = 0; i < count; i++) {
      const { target, device } = planned[i]!;
      opened.push(
        device === undefined
          ? openInRoot(rootfs, target, { create: sources[i]!.kind })
          : openPlaceholder(rootfs, target),
      );
    }
    // … and then as the links of the image have it.
    const independent = independentPrefix(opened.map(({ realPath }) => realPath));
    opened.splice(independent).forEach((path) => path[Symbol.dispose]());
    return { opened, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

async function readySource(planned: PlannedMount): Promise<ReadySource> {
  if (planned.mount.type === "tmpfs") return { kind: "directory", [Symbol.dispose]: () => {} };
  if (planned.beneath !== undefined) return openSource(planned, planned.beneath);
  const { source } = planned.mount;
  const kind = await sourceKind(planned, source);
  if (planned.travels !== undefined) refuseUnshared(planned, await Deno.realPath(source), planned.travels);
  if (planned.insistsOnReadOnly && !mountApiSupport().attributes) {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot mount ${source} at ${planned.target} read-only with all below it: this kernel cannot (Linux 5.12 can). ` +
        "Leave bind-recursive=readonly out to have only the mount itself read-only",
      { details: { source, target: planned.target } },
    );
  }
  return { kind, [Symbol.dispose]: () => {} };
}

function openSource(planned: PlannedMount, beneath: NonNullable<PlannedMount["beneath"]>): ReadySource {
  try {
    const opened = openBeneath(beneath.top, beneath.path);
    return {
      kind: opened.type === "directory" ? "directory" : "file",
      procPath: opened.procPath,
      [Symbol.dispose]: () => opened[Symbol.dispose](),
    };
  } catch (error) {
    const { code, message, details } = hostError(error, `Cannot open ${beneath.path}`);
    const advice = code === "NOT_FOUND" ? ". A subpath must exist before it is mounted" : "";
    throw new LaminaError(
      code,
      `Cannot mount subpath ${JSON.stringify(beneath.path)} at ${planned.target}: ${message}${advice}`,
      { cause: error, details: { ...details, target: planned.target } },
    );
  }
}

async function sourceKind(planned: PlannedMount, source: string): Promise<ReadySource["kind"]> {
  try {
    const info = await Deno.stat(source);
    if (planned.device !== undefined && !info.isBlockDevice && !info.isCharDevice) throw noDevice(planned, source);
    return info.isDirectory ? "directory" : "file";
  } catch (error) {
    if (planned.bindSource?.create && error instanceof Deno.errors.NotFound) {
      await makeDirectoryDurably(source, 0o755);
      return "directory";
    }
    const advice = planned.bindSource === undefined ? '"lamina check" tells more' : "Make it first, or choose another";
    const { code, message } = hostError(error, `Cannot mount ${source} at ${planned.target}`);
    throw new LaminaError(code, code === "NOT_FOUND" ? `${message}. ${advice}` : message, {
      cause: error,
      details: { source, target: planned.target },
    });
  }
}

function noDevice({ target }: PlannedMount, source: string): LaminaError {
  return new LaminaError("CONFLICT", `Cannot show ${source} as a device at ${target}: it is no device node`, {
    details: { source, target },
  });
}

/** Propagation from a mount that takes no part in any would silently do nothing. */
function refuseUnshared(planned: PlannedMount, source: string, travels: "shared" | "slave"): void {
  const holding = mountHolding(currentMountTable(), source);
  const tags = holding?.propagation ?? [];
  if (tags.some((tag) => tag.startsWith("shared") || (travels === "slave" && tag.startsWith("master")))) return;
  const where = holding?.target ?? "/";
  throw new LaminaError(
    "CONFLICT",
    `Cannot mount ${source} at ${planned.target} as ${travels}: it is on the mount ${where}, which is not shared` +
      `${travels === "slave" ? " and no slave" : ""}. "mount --make-shared ${where}" makes it so`,
    { details: { source, target: planned.target, mount: where } },
  );
}

/** Whether an error says that a path is not there or cannot be followed, as opposed to a failing disk. */
export function isPathProblem(error: unknown): boolean {
  return isLaminaError(error, "NOT_FOUND", "CONFLICT", "INVALID_ARGUMENT");
}
