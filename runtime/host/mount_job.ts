/** One mount, prepared for mount(8). */
import { LaminaError } from "../core/errors.ts";
import type { Mount } from "../core/mount.ts";
import type { FstabEntry } from "./fstab.ts";
import {
  bindRemountFlags,
  isRecursiveReadOnly,
  type MountSteps,
  mountSteps,
  MS,
  optionsOfFlags,
  optionsOfPropagation,
  remountFlags,
} from "./mount_options.ts";
import { mountFlagsAt } from "./mount_source.ts";
import { fittingOverlayForm, parseOverlayOptions } from "./overlay_options.ts";

/** See the head of the file. */
export interface MountJob {
  readonly mount: Mount;
  readonly entry: FstabEntry;
  /** The target without `/proc/PID/fd/N`: where the mount will be seen. */
  readonly realTarget: string;
  /** Needs a process of its own. */
  readonly alone: boolean;
  /** Directory to run from; absent: any. */
  readonly cwd?: string;
  /** Links to make in a fresh directory to run from: `0`, `1`, … in base 36. */
  readonly links?: readonly string[];
  readonly kind: MountSteps["kind"];
  /** All that is mounted below must become read-only too. */
  readonly recursiveReadOnly: boolean;
  /**
   * The target is a descriptor and the mount gets options after it was made: mount(8) would change what lies under the
   * descriptor, so these are for the mounter.
   */
  readonly later?: { readonly flags: number; readonly propagation: readonly number[] };
}

/**
 * Prepares a mount.
 *
 * @param alone Whether it needs a process of its own.
 * @throws `INVALID_ARGUMENT`, and `NOT_FOUND` when the target is a descriptor of a process that has none such.
 */
export async function prepareMountJob(mount: Mount, alone: boolean, signal: AbortSignal): Promise<MountJob> {
  const steps = mountSteps(mount);
  const realTarget = realTargetOf(mount.target);
  const byDescriptor = realTarget !== mount.target && makesMount(steps.kind);
  const flags = steps.kind === "bind" ? steps.flags : 0;
  const later = byDescriptor && (flags !== 0 || steps.propagation.length > 0);
  const base = {
    mount,
    realTarget,
    later: later ? { flags, propagation: steps.propagation } : undefined,
    // What changes a mount that stands is passed over by `mount -a`, as mounted already.
    alone: alone || !makesMount(steps.kind),
    kind: steps.kind,
    recursiveReadOnly: isRecursiveReadOnly(steps),
  };
  const now = later ? { ...steps, flags: steps.flags & ~flags, propagation: [] } : steps;
  if (mount.type === "overlay" && steps.kind === "filesystem") {
    const { data, cwd, links } = fittingOverlayForm(parseOverlayOptions(steps.data));
    return { ...base, cwd, links, entry: entryOf(mount, mount.type, [...optionsOfFlags(steps.flags), ...data], now) };
  }
  const type = steps.kind === "filesystem" ? mount.type : "none";
  return { ...base, entry: entryOf(mount, type, await optionsOf(mount, now, signal), now) };
}

async function optionsOf(mount: Mount, steps: MountSteps, signal: AbortSignal): Promise<string[]> {
  switch (steps.kind) {
    case "filesystem":
      return [...optionsOfFlags(steps.flags), ...steps.data];
    case "bind": {
      // Only a bind with options of its own is remounted, and only then the source's flags matter.
      const sourceFlags = steps.flags === 0 ? 0 : await mountFlagsAt(mount.source, signal);
      return [steps.recursive ? "rbind" : "bind", ...optionsOfFlags(bindRemountFlags(steps, sourceFlags))];
    }
    case "bind-remount":
    case "remount": {
      const flags = remountFlags(steps, await mountFlagsAt(realTargetOf(mount.target), signal));
      // Without a word on it, mount(8) keeps what its own tables say.
      const writable = flags & MS.RDONLY ? [] : ["rw"];
      const kind = steps.kind === "remount" ? ["remount"] : ["remount", "bind"];
      return [...kind, ...writable, ...optionsOfFlags(flags), ...steps.data];
    }
    case "propagation":
      return [];
  }
}

function entryOf(mount: Mount, type: string, options: readonly string[], steps: MountSteps): FstabEntry {
  // A remount and a propagation change go to what is on top there; a descriptor names what lies under it.
  const target = makesMount(steps.kind) ? mount.target : realTargetOf(mount.target);
  return { source: mount.source, target, type, options: [...options, ...optionsOfPropagation(steps.propagation)] };
}

/** Whether such a job makes a mount, rather than changing one. */
export function makesMount(kind: MountSteps["kind"]): boolean {
  return kind === "bind" || kind === "filesystem";
}

/** Where a target is seen in the mount table. */
export function realTargetOf(target: string): string {
  if (!/^\/proc\/(?:self|\d+)\/fd\/\d+$/.test(target)) return target;
  try {
    return Deno.readLinkSync(target);
  } catch (error) {
    throw new LaminaError("NOT_FOUND", `Cannot mount on ${target}: there is no such descriptor`, { cause: error });
  }
}
