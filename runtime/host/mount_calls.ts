/** The system calls behind one mount. Failures throw `ErrnoError`. */
import { bytesOf, byteStringFromText } from "../core/bytes.ts";
import type { LaminaError } from "../core/errors.ts";
import type { Mount } from "../core/mount.ts";
import { hostError } from "./errno_errors.ts";
import { mountError } from "./mount_errors.ts";
import { mountIdentityIfThere, openNewMount } from "./mount_table.ts";
import { fileSystemStatus } from "./disk.ts";
import { closeFd, openAt } from "./fs_calls.ts";
import { cFunctions, checked, cString, ErrnoError, isErrno, libc } from "./libc.ts";
import {
  attachMount,
  cloneMount,
  FileSystemContext,
  MAX_CONFIG_BYTES,
  type MountApiSupport,
  reasonsOf,
  setMountAttributes,
} from "./mount_api.ts";
import {
  bindRemountFlags,
  flagsOfStatfs,
  isRecursiveReadOnly,
  type MountSteps,
  mountSteps,
  MS,
  remountFlags,
} from "./mount_options.ts";
import { AT_FDCWD, O_PATH } from "./openat2.ts";
import {
  dataSize_bytes,
  fittingOverlayForm,
  MAX_DATA_BYTES,
  overlayData,
  type OverlayDirectories,
  parseOverlayOptions,
} from "./overlay_options.ts";

const slow = cFunctions({
  umount2: { parameters: ["buffer", "i32"], result: "i32", nonblocking: true },
});

const MNT_DETACH = 2;
/** A target is canonical: a link in its place is not ours. */
const UMOUNT_NOFOLLOW = 8;

/** What came of a mount. */
export interface MountOutcome {
  /** Path of the mount that was made, also when a later step failed. */
  readonly made?: string;
  readonly error?: LaminaError;
}

/** Whether the mount itself was made, for a failure after that. */
interface Progress {
  made: boolean;
}

/**
 * Performs one mount at once.
 *
 * @param real Where the target is seen in the mount table.
 * @param support What the kernel can do.
 */
export function mountNow(mount: Mount, real: string, support: MountApiSupport): MountOutcome {
  const progress = { made: false };
  const made = () => progress.made ? real : undefined;
  try {
    performSteps(mount, mountSteps(mount), real, support, progress);
    return { made: made() };
  } catch (error) {
    if (!(error instanceof ErrnoError)) {
      return { made: made(), error: hostError(error, `Cannot mount on ${mount.target}`) };
    }
    return { made: made(), error: mountError(mount, { errno: error.errno, text: reasonsOf(error), cause: error }) };
  }
}

function performSteps(
  mount: Mount,
  steps: MountSteps,
  real: string,
  support: MountApiSupport,
  progress: Progress,
): void {
  const before = mountIdentityIfThere(real);
  switch (steps.kind) {
    case "bind":
      if (support.attributes) return bindDetached(mount, steps, progress);
      mount2(mount.source, mount.target, "", MS.BIND | (steps.recursive ? MS.REC : 0), "");
      break;
    case "filesystem":
      makeFileSystem(mount, steps);
      break;
    case "remount":
    case "bind-remount": {
      const existing = flagsOfStatfs(fileSystemStatus(real).flags);
      const flags = MS.REMOUNT | (steps.kind === "remount" ? 0 : MS.BIND) | remountFlags(steps, existing);
      return mount2(mount.source, real, "", flags, steps.data.join(","));
    }
    case "propagation":
      for (const flag of steps.propagation) mount2("none", real, "", flag, "");
      return;
  }
  progress.made = true;
  const remount = steps.kind === "bind" && steps.flags !== 0;
  if (!remount && steps.propagation.length === 0) return;
  // The target may be a descriptor, which names what lies under the new mount: take hold of the mount itself.
  const fd = openNewMount(real, before);
  try {
    const top = `/proc/self/fd/${fd}`;
    if (remount) {
      const existing = flagsOfStatfs(fileSystemStatus(top).flags);
      mount2("none", top, "", MS.REMOUNT | MS.BIND | bindRemountFlags(steps, existing), "");
    }
    for (const flag of steps.propagation) mount2("none", top, "", flag, "");
  } finally {
    closeFd(fd);
  }
}

/** umount2 on another thread: the last mount of a file system writes everything out. */
export async function unmountBySystemCall(target: string, lazy: boolean): Promise<void> {
  const name = bytesOf(byteStringFromText(`${target}\0`));
  const flags = UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0);
  inUse.add(name);
  try {
    if (await slow.umount2(name, flags) === 0) return;
  } finally {
    inUse.delete(name);
  }
  // `errno` stayed on the other thread. What failed at once there fails at once here.
  try {
    checked(libc.umount2(cString(byteStringFromText(target)), flags), "umount2", target);
  } catch (error) {
    // EINVAL: no mount point. Either way nothing is mounted there.
    if (!isErrno(error, "EINVAL", "ENOENT")) throw error;
  }
}

// What a call on another thread reads must outlive a caller that no longer waits.
const inUse = new Set<unknown>();

/** All attributes are set before anybody sees the mount: a read-only bind is never writable for a moment. */
function bindDetached(mount: Mount, steps: MountSteps, progress: Progress): void {
  const fd = cloneMount(mount.source, steps.recursive);
  try {
    if (steps.flags !== 0) setMountAttributes(fd, { set: steps.flags });
    if (isRecursiveReadOnly(steps)) setMountAttributes(fd, { set: MS.RDONLY, recursive: true });
    attachMount(fd, mount.target);
    progress.made = true;
    // Only now: a mount that is attached below a shared one becomes shared by that.
    for (const flag of steps.propagation) {
      setMountAttributes(fd, { set: 0, propagation: flag & ~MS.REC, recursive: (flag & MS.REC) !== 0 });
    }
  } finally {
    closeFd(fd);
  }
}

function makeFileSystem(mount: Mount, steps: MountSteps): void {
  if (mount.type === "overlay") return makeOverlay(mount, steps);
  mount2(mount.source, mount.target, mount.type, steps.flags, steps.data.join(","));
}

function makeOverlay(mount: Mount, steps: MountSteps): void {
  const directories = parseOverlayOptions(steps.data);
  const { data, cwd, links } = fittingOverlayForm(directories);
  const plain = overlayData(directories, (path) => path);
  if (cwd === undefined && links === undefined) {
    mount2(mount.source, mount.target, "overlay", steps.flags, data.join(","));
  } else if (dataSize_bytes(plain) <= MAX_DATA_BYTES) {
    // Escapes that trouble mount(8) are fine here.
    mount2(mount.source, mount.target, "overlay", steps.flags, plain.join(","));
  } else {
    attachLongOverlay(mount, steps, directories);
  }
}

/** Whether an overlay's options fit mount(2), or the kernel takes its layers one by one. */
export function isWithinKernelLimits(steps: MountSteps, support: MountApiSupport): boolean {
  return support.overlayLayers ||
    dataSize_bytes(overlayData(parseOverlayOptions(steps.data), (path) => path)) <= MAX_DATA_BYTES;
}

/** Layer by layer, for more than fits a page. */
function attachLongOverlay(mount: Mount, steps: MountSteps, directories: OverlayDirectories): void {
  const opened: number[] = [];
  // A value has a limit too; a long path goes by a descriptor.
  const short = (path: string) => {
    if (new TextEncoder().encode(path).length <= MAX_CONFIG_BYTES) return path;
    opened.push(openAt(AT_FDCWD, byteStringFromText(path), O_PATH));
    return `/proc/self/fd/${opened.at(-1)}`;
  };
  try {
    using context = new FileSystemContext("overlay");
    context.set("source", mount.source);
    let name = "lowerdir+";
    for (const path of directories.lower) {
      if (path === "") name = "datadir+";
      else context.set(name, short(path));
    }
    if (directories.upper !== undefined) context.set("upperdir", short(directories.upper));
    if (directories.work !== undefined) context.set("workdir", short(directories.work));
    for (const option of directories.others) {
      const equals = option.indexOf("=");
      if (equals < 0) context.set(option);
      else context.set(option.slice(0, equals), option.slice(equals + 1));
    }
    if (steps.flags & MS.RDONLY) context.set("ro");
    const fd = context.create();
    try {
      if (steps.flags !== 0) setMountAttributes(fd, { set: steps.flags });
      attachMount(fd, mount.target);
    } finally {
      closeFd(fd);
    }
  } finally {
    opened.forEach(closeFd);
  }
}

function mount2(source: string, target: string, type: string, flags: number, data: string): void {
  const call = libc.mount(
    cString(byteStringFromText(source === "" ? "none" : source)),
    cString(byteStringFromText(target)),
    cString(byteStringFromText(type)),
    BigInt(flags),
    data === "" ? null : cString(byteStringFromText(data)),
  );
  checked(call, "mount", `${source} on ${target}`);
}
