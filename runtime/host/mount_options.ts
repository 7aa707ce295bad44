/**
 * A `Mount` taken apart into what the kernel is told step by step. Pure; both mounters perform the same steps.
 *
 * Rules: of contradicting options the last wins. Options for programs (`x-…`, `nofail`, `_netdev`, …) are dropped. A
 * bind never gains rights that its source lacks: `rw`, `dev`, `suid`, `exec` on a bind only undo an earlier option.
 */
import { LaminaError } from "../core/errors.ts";
import type { Mount } from "../core/mount.ts";

/** Flags of mount(2). */
export const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  SYNCHRONOUS: 16,
  REMOUNT: 32,
  MANDLOCK: 64,
  DIRSYNC: 128,
  NOSYMFOLLOW: 256,
  NOATIME: 1024,
  NODIRATIME: 2048,
  BIND: 4096,
  REC: 16384,
  SILENT: 32768,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  RELATIME: 1 << 21,
  STRICTATIME: 1 << 24,
  LAZYTIME: 1 << 25,
} as const;

const ATIME = MS.NOATIME | MS.RELATIME | MS.STRICTATIME;

/** What each option sets and clears. */
const flagOptions: Readonly<Record<string, { set?: number; clear?: number }>> = {
  ro: { set: MS.RDONLY },
  rw: { clear: MS.RDONLY },
  nosuid: { set: MS.NOSUID },
  suid: { clear: MS.NOSUID },
  nodev: { set: MS.NODEV },
  dev: { clear: MS.NODEV },
  noexec: { set: MS.NOEXEC },
  exec: { clear: MS.NOEXEC },
  sync: { set: MS.SYNCHRONOUS },
  async: { clear: MS.SYNCHRONOUS },
  dirsync: { set: MS.DIRSYNC },
  mand: { set: MS.MANDLOCK },
  nomand: { clear: MS.MANDLOCK },
  nosymfollow: { set: MS.NOSYMFOLLOW },
  symfollow: { clear: MS.NOSYMFOLLOW },
  noatime: { set: MS.NOATIME, clear: ATIME },
  atime: { clear: MS.NOATIME },
  nodiratime: { set: MS.NODIRATIME },
  diratime: { clear: MS.NODIRATIME },
  relatime: { set: MS.RELATIME, clear: ATIME },
  norelatime: { clear: MS.RELATIME },
  strictatime: { set: MS.STRICTATIME, clear: ATIME },
  nostrictatime: { clear: MS.STRICTATIME },
  lazytime: { set: MS.LAZYTIME },
  nolazytime: { clear: MS.LAZYTIME },
  silent: { set: MS.SILENT },
  loud: { clear: MS.SILENT },
  defaults: { clear: MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.SYNCHRONOUS },
};

const propagationOptions: Readonly<Record<string, number>> = {
  private: MS.PRIVATE,
  rprivate: MS.PRIVATE | MS.REC,
  slave: MS.SLAVE,
  rslave: MS.SLAVE | MS.REC,
  shared: MS.SHARED,
  rshared: MS.SHARED | MS.REC,
  unbindable: MS.UNBINDABLE,
  runbindable: MS.UNBINDABLE | MS.REC,
};

const programOptions = /^(?:[xX]-.*|_netdev|nofail|auto|noauto|user|nouser|users|owner|group|comment(?:=.*)?|)$/;

/** The flags that belong to one mount, not to its file system: what a bind may have of its own. */
const PER_MOUNT = MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.NOSYMFOLLOW | MS.NODIRATIME | ATIME;

/** What is to be done for one `Mount`. */
export interface MountSteps {
  readonly kind: "filesystem" | "bind" | "remount" | "bind-remount" | "propagation";
  /** A bind takes the mounts below its source along. */
  readonly recursive: boolean;
  /** `MS` flags to set, without `BIND`, `REC`, `REMOUNT` and propagation. */
  readonly flags: number;
  /** `MS` flags that a remount takes away. */
  readonly cleared: number;
  /** Options of the file system, in the order given. */
  readonly data: readonly string[];
  /** `MS` propagation flags, one more call each. */
  readonly propagation: readonly number[];
}

/**
 * Takes a mount apart.
 *
 * @throws `INVALID_ARGUMENT` for a target that is not absolute, NUL characters, options that have no meaning for a bind.
 */
export function mountSteps(mount: Mount): MountSteps {
  checkText(mount);
  let flags = 0, cleared = 0;
  let bind = mount.type === "bind", recursive = mount.type === "rbind", remount = false;
  const data: string[] = [], propagation: number[] = [];
  for (const option of mount.options) {
    const flag = flagOptions[option];
    if (option === "bind") bind = true;
    else if (option === "rbind") recursive = true;
    else if (option === "remount") remount = true;
    else if (propagationOptions[option] !== undefined) propagation.push(propagationOptions[option]);
    else if (flag !== undefined) {
      const set = flag.set ?? 0, clear = flag.clear ?? 0;
      flags = flags & ~clear | set;
      cleared = (cleared | clear) & ~set;
    } else if (!programOptions.test(option)) data.push(option);
  }
  bind ||= recursive;
  if (bind && data.length > 0) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Cannot mount ${mount.source} on ${mount.target}: ${nameOfOption(data[0]!)} has no meaning for a bind mount`,
    );
  }
  const noType = mount.type === "" || mount.type === "none";
  const onlyPropagation = noType && !bind && !remount && propagation.length > 0 && flags === 0 && data.length === 0;
  if (noType && !bind && !remount && !onlyPropagation) {
    throw new LaminaError("INVALID_ARGUMENT", `Cannot mount ${mount.source} on ${mount.target}: it has no type`);
  }
  const kind = onlyPropagation
    ? "propagation"
    : remount
    ? bind ? "bind-remount" : "remount"
    : bind
    ? "bind"
    : "filesystem";
  if (bind) flags &= PER_MOUNT;
  return { kind, recursive, flags, cleared, data, propagation };
}

/**
 * Flags of the remount that gives a bind its options: those asked for, and those that its source has, because the
 * remount replaces them all (and the kernel refuses to drop locked ones). 0 when nothing was asked for: then there is
 * no remount and the bind is as its source.
 *
 * @param sourceFlags `MS` flags of the source's mount, from {@linkcode flagsOfStatfs}.
 */
export function bindRemountFlags(steps: Pick<MountSteps, "flags">, sourceFlags: number): number {
  if (steps.flags === 0) return 0;
  return withExisting(steps.flags, 0, sourceFlags);
}

/** Flags of a remount: what is there, without what is cleared, with what is set. */
export function remountFlags(steps: MountSteps, existingFlags: number): number {
  return withExisting(steps.flags, steps.cleared, existingFlags);
}

function withExisting(flags: number, cleared: number, existing: number): number {
  const kept = existing & PER_MOUNT & ~cleared;
  // One access time rule only: the asked one wins.
  return flags | (flags & ATIME ? kept & ~ATIME : kept);
}

/** Whether a bind must become read-only with everything mounted below it. */
export function isRecursiveReadOnly(steps: MountSteps): boolean {
  return steps.kind === "bind" && steps.recursive && (steps.flags & MS.RDONLY) !== 0;
}

/** `MS` flags of the per-mount `ST_…` bits that statfs(2) reports. */
export function flagsOfStatfs(bits: number): number {
  // The first four, noatime and nodiratime have equal values on both sides.
  let flags = bits & (MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.NOATIME | MS.NODIRATIME);
  if (bits & 0x1000) flags |= MS.RELATIME;
  if (bits & 0x2000) flags |= MS.NOSYMFOLLOW;
  return flags;
}

/** The option names of flags, for mount(8). */
export function optionsOfFlags(flags: number): string[] {
  return Object.entries(flagOptions).filter(([, { set }]) => set !== undefined && flags & set).map(([name]) => name);
}

/** The option names of propagation flags, for mount(8). */
export function optionsOfPropagation(propagation: readonly number[]): string[] {
  return propagation.map((flag) => Object.entries(propagationOptions).find(([, value]) => value === flag)![0]);
}

/** An option without its value, which may be a secret. */
export function nameOfOption(option: string): string {
  const equals = option.indexOf("=");
  return equals < 0 ? option : `${option.slice(0, equals)}=…`;
}

function checkText(mount: Mount): void {
  const shown = `${JSON.stringify(mount.source)} on ${JSON.stringify(mount.target)}`;
  const refuse = (why: string): never => {
    throw new LaminaError("INVALID_ARGUMENT", `Cannot mount ${shown}: ${why}`);
  };
  if (!mount.target.startsWith("/")) refuse("the target must be an absolute path");
  if ([mount.type, mount.source, mount.target, ...mount.options].some((text) => text.includes("\0"))) {
    refuse("a NUL character is no part of a mount");
  }
}
