/**
 * Puts a container's root together and takes it apart: the RW layer at `ROOT/containers/ID/rootfs`, volumes, binds and
 * tmpfs at their targets inside of it.
 *
 * Targets are resolved inside the root by the kernel (openat2), and mounted upon through the descriptor that came out:
 * whatever links an image holds, no mount lands outside of its root. What is there already is left as it is, so the
 * same call also completes a root that somebody has taken a volume out of.
 */
import type { StorageDriver } from "../../drivers/storage/port.ts";
import { isLaminaError, LaminaError, messageOf } from "../core/errors.ts";
import { type Mount, mountAt, readOnlyMount } from "../core/mount.ts";
import type { MountEntry } from "../core/mountinfo.ts";
import type { Operation } from "../core/operation.ts";
import type { RootLayout } from "../core/root_layout.ts";
import { dirname } from "@std/path/posix";
import { hostError } from "../host/errno_errors.ts";
import { faultPoint } from "../host/faults.ts";
import { mountAnswers } from "../host/fuse_servers.ts";
import { knownOfFd } from "../host/fs_calls.ts";
import {
  currentMountTable,
  mountAtTarget,
  mountIdentityIfThere,
  mountsBelow,
  readMountTable,
} from "../host/mount_table.ts";
import type { Mounter } from "../host/mounter.ts";
import { openInRoot } from "../host/rootfs_path.ts";
import type { ContainerSpec } from "./container_rows.ts";
import { rwLayerKey } from "./container_rows.ts";
import { type MatchedMounts, matchMounts, placeInTable } from "./mount_match.ts";
import { OwnRoots } from "./own_roots.ts";
import { mountInside, readySources } from "./mount_inside.ts";
import { type MountPlaces, planMounts, type PlannedMount } from "./mount_plan.ts";
import type { MountSources } from "./mount_sources.ts";

/** How long taking back what a failed or aborted mount has made may last. */
const UNDO_TIMEOUT_MS = 30_000;
/** Mounts can be stacked at one place: how often the table is read again. */
const MAX_ROUNDS = 8;

/** See the head of the file. */
export class RootfsAssembler {
  readonly #driver: StorageDriver;
  readonly #mounter: Mounter;
  readonly #layout: RootLayout;
  /** Mounted whole by this process. */
  readonly #assembled = new Set<string>();
  readonly #own: OwnRoots;
  readonly #sources: MountSources;

  constructor(room: { driver: StorageDriver; mounter: Mounter; layout: RootLayout; sources: MountSources }) {
    this.#driver = room.driver;
    this.#mounter = room.mounter;
    this.#layout = room.layout;
    this.#own = new OwnRoots(room);
    this.#sources = room.sources;
  }

  /** Where the sources of a container's mounts are, as far as is known. */
  placesOf(id: string): MountPlaces {
    return this.#sources.placesOf(id);
  }

  /** Whether the root is mounted, as the kernel says. */
  isMounted(id: string): boolean {
    return mountIdentityIfThere(this.#layout.rootfs(id))?.isRoot ?? false;
  }

  /** Whether a mounted root can be looked at; always so where no program stands behind it. */
  async answers(id: string): Promise<boolean> {
    const rootfs = this.#layout.rootfs(id);
    const type = mountAtTarget(currentMountTable(), rootfs)?.type ?? "";
    return !type.startsWith("fuse") || await mountAnswers(rootfs);
  }

  /** What of a root is there and what is not. Costs a read of the mount table. */
  inspect(id: string, spec: ContainerSpec): RootState {
    const rootfs = this.#layout.rootfs(id);
    if (!this.isMounted(id)) return { mounted: false, missing: ["the root"], foreign: [] };
    const planned = this.#plan(id, spec);
    const { present, foreign } = matchInTable(rootfs, currentMountTable(), planned);
    const covering = this.#own.foreignAt(id);
    return {
      mounted: true,
      // What is mounted inside of another root says nothing of ours.
      missing: covering === undefined ? planned.filter((_, i) => !present.has(i)).map(({ target }) => target) : [],
      foreign: covering === undefined ? foreign.map(({ target }) => target) : [rootfs],
    };
  }

  /**
   * Mounts what is missing of a root. When that fails, what this call has mounted is taken away again. False: nothing
   * was missing.
   *
   * @param rootMounts What the driver gives for the RW layer, where the caller knows it already.
   * @throws `NOT_FOUND` (source missing), `CONFLICT` (a target is a file where a directory is needed, or the other way
   * round; somebody else's mount is in the root's place), and what mounting throws.
   */
  async assemble(
    id: string,
    spec: ContainerSpec,
    operation: Operation,
    rootMounts?: readonly Mount[],
  ): Promise<boolean> {
    const rootfs = this.#layout.rootfs(id);
    let wasThere = this.isMounted(id);
    if (wasThere) {
      this.#own.refuseForeign(id, "mount");
      // Its program is gone, and with it all that could be done there; what was written is in the RW layer.
      if (!await this.answers(id)) {
        await this.#mounter.unmount([rootfs], { signal: operation.signal, lazy: true });
        wasThere = this.isMounted(id);
      }
    }
    const made: string[] = [];
    try {
      await this.#sources.acquire(id, spec, operation);
      const all = this.#plan(id, spec);
      const planned = wasThere ? missingMounts(rootfs, all) : all;
      const readOnlyYet = !spec.read_only || (wasThere ? isReadOnly(rootfs) : planned.length === 0);
      if (wasThere && planned.length === 0 && readOnlyYet) return false;
      using sources = await readySources(planned);
      if (!wasThere) {
        // Whoever runs as another user on this machine reads no secrets of pods by the way of a root.
        const isPrivate = all.some(({ mount }) => this.#layout.isInPodVolume(mount.source));
        this.#makeMountPoint(rootfs, isPrivate ? 0o700 : 0o711);
        const found = rootMounts ?? await this.#driver.mounts(rwLayerKey(id));
        const mounts = found.map((mount) => mountAt(mount, rootfs));
        // Targets may have to be made in the RW layer, so the root becomes read-only after them.
        const first = spec.read_only && planned.length === 0 ? mounts.map(readOnlyMount) : mounts;
        await this.#mounter.mount(first, { signal: operation.signal });
        made.push(rootfs);
        this.#own.remember(id);
        faultPoint("container.root_mounted");
      }
      const finish = readOnlyYet ? [] : [readOnlyRemount(rootfs)];
      const work = { planned, sources: sources.all, made, finish };
      await mountInside(this.#mounter, rootfs, work, { signal: operation.signal });
      if (planned.length > 0) faultPoint("container.volumes_mounted");
      this.#assembled.add(id);
      return true;
    } catch (error) {
      const failure = hostError(error, `Cannot mount container ${id.slice(0, 12)}`);
      throw await this.#takeBack(made, failure, wasThere ? undefined : { id, spec });
    }
  }

  /**
   * Unmounts a root with everything in it; not mounted is success.
   *
   * @throws `CONFLICT` when something in it is in use, or when somebody else mounted something inside; not with `lazy`,
   * which detaches all and lets the kernel finish when the last user leaves.
   */
  async dismantle(
    id: string,
    spec: ContainerSpec,
    options: { readonly lazy: boolean },
    operation: Operation,
  ): Promise<void> {
    const rootfs = this.#layout.rootfs(id);
    if (!options.lazy) this.#own.refuseForeign(id, "unmount");
    if (!options.lazy && this.isMounted(id)) await this.#unmountPlanned(id, rootfs, spec, operation);
    for (let round = 0; this.isMounted(id); round++) {
      if (round === MAX_ROUNDS) {
        throw new LaminaError("CONFLICT", `Cannot unmount ${rootfs}: something mounts it again and again`);
      }
      const table = readMountTable();
      const entries = mountsBelow(table, rootfs);
      if (!options.lazy) this.#own.refuseForeign(id, "unmount");
      if (!options.lazy) refuseForeign(rootfs, table, this.#plan(id, spec));
      // A bind that is still shared (killed between its two steps) would take the host's own mounts with it.
      if (entries.some((entry) => entry.target !== rootfs && entry.propagation.length > 0)) {
        await this.#mounter.mount([propagation(rootfs)], { signal: operation.signal });
      }
      const targets = options.lazy ? [rootfs] : entries.map((entry) => entry.target).reverse();
      await this.#mounter.unmount(targets, { signal: operation.signal, lazy: options.lazy });
    }
    this.#assembled.delete(id);
    this.#own.forget(id);
    await this.#sources.release(id, spec, operation);
  }

  #plan(id: string, spec: ContainerSpec): PlannedMount[] {
    return planMounts(spec.mounts, this.#sources.placesOf(id));
  }

  /**
   * The usual case, without a look at the mount table, which may be long: what was planned, and then the root. Where
   * anything is otherwise (mounts of others, links that lead elsewhere by now) the kernel says that the root is busy.
   */
  async #unmountPlanned(id: string, rootfs: string, spec: ContainerSpec, operation: Operation): Promise<void> {
    const planned = this.#plan(id, spec);
    // Killed between its two steps, a bind is still shared with the host: the table has to be looked at.
    if (!this.#assembled.has(id) && planned.some(({ recursive }) => recursive)) return;
    const targets: string[] = [];
    for (const { target } of planned.reverse()) {
      try {
        using opened = openInRoot(rootfs, target);
        if (opened.realPath !== rootfs && knownOfFd(opened.fd).mountRoot) targets.push(opened.realPath);
      } catch (error) {
        if (!isLaminaError(error)) throw error;
      }
    }
    try {
      await this.#mounter.unmount([...targets, rootfs], { signal: operation.signal });
    } catch (error) {
      if (!isLaminaError(error, "CONFLICT")) throw error;
    }
  }

  /** @param mode Of the directory above it. */
  #makeMountPoint(rootfs: string, mode: number): void {
    try {
      for (const path of [dirname(rootfs), rootfs]) {
        try {
          Deno.mkdirSync(path);
        } catch (error) {
          if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        }
        Deno.chmodSync(path, path === rootfs ? 0o711 : mode);
      }
    } catch (error) {
      throw hostError(error, `Cannot make the mount point ${rootfs}`);
    }
  }

  /** @param sources Given up, too, when they were acquired for a root that is not there. */
  async #takeBack(
    made: readonly string[],
    failure: LaminaError,
    sources: { id: string; spec: ContainerSpec } | undefined,
  ): Promise<LaminaError> {
    const signal = AbortSignal.timeout(UNDO_TIMEOUT_MS);
    try {
      if (made.length > 0) await this.#mounter.unmount([...made].reverse(), { signal });
      if (sources !== undefined) await this.#sources.release(sources.id, sources.spec, { signal, progress: () => {} });
      return failure;
    } catch (error) {
      return new LaminaError(failure.code, `${failure.message}. Not all of it could be undone: ${messageOf(error)}`, {
        cause: failure,
        details: failure.details,
      });
    }
  }
}

/** See {@linkcode RootfsAssembler.inspect}. */
export interface RootState {
  readonly mounted: boolean;
  /** Targets inside the root, or `the root`. */
  readonly missing: readonly string[];
  /** Host paths of mounts that others made inside. */
  readonly foreign: readonly string[];
}

function readOnlyRemount(rootfs: string): Mount {
  return { type: "none", source: "none", target: rootfs, options: ["remount", "bind", "ro"] };
}

function propagation(rootfs: string): Mount {
  return { type: "none", source: "none", target: rootfs, options: ["rprivate"] };
}

function isReadOnly(rootfs: string): boolean {
  return mountAtTarget(currentMountTable(), rootfs)?.options.includes("ro") ?? false;
}

/** Those that the table does not show. */
function missingMounts(rootfs: string, planned: readonly PlannedMount[]): readonly PlannedMount[] {
  if (planned.length === 0) return planned;
  const { present } = matchInTable(rootfs, currentMountTable(), planned);
  return planned.filter((_, i) => !present.has(i));
}

function matchInTable(rootfs: string, table: readonly MountEntry[], planned: readonly PlannedMount[]): MatchedMounts {
  const sources = planned.map(({ mount }) => {
    return mount.type === "tmpfs" ? undefined : placeInTable(table, canonical(mount.source));
  });
  return matchMounts(rootfs, mountsBelow(table, rootfs), planned, sources);
}

/** Without links. A source that was deleted under its mount stays as it was written. */
function canonical(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error) return path;
    throw error;
  }
}

function refuseForeign(rootfs: string, table: readonly MountEntry[], planned: readonly PlannedMount[]): void {
  const { foreign } = matchInTable(rootfs, table, planned);
  if (foreign.length === 0) return;
  throw new LaminaError(
    "CONFLICT",
    `Cannot unmount ${rootfs}: somebody else has mounted ${
      foreign[0]!.target
    }. Unmount that first, or detach all with --lazy`,
    { details: { targets: foreign.slice(0, 100).map(({ target }) => target) } },
  );
}
