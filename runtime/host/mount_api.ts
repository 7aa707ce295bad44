/**
 * The kernel's newer mount calls (Linux 5.2 and later): a mount is prepared detached, with all its attributes, and then
 * put in place; nobody ever sees it half done. Synchronous; failures throw `ErrnoError`.
 */
import { byteStringFromText } from "../core/bytes.ts";
import { cFunctions, cString, ErrnoError, lastErrno, libc } from "./libc.ts";
import { MS } from "./mount_options.ts";
import { AT_FDCWD, O_CLOEXEC } from "./openat2.ts";

// The variadic `syscall` under the signatures that these calls take; the numbers are the same on every architecture.
const kernel = cFunctions({
  open_tree: { name: "syscall", parameters: ["i64", "i64", "buffer", "i64"], result: "i64" },
  move_mount: { name: "syscall", parameters: ["i64", "i64", "buffer", "i64", "buffer", "i64"], result: "i64" },
  fsopen: { name: "syscall", parameters: ["i64", "buffer", "i64"], result: "i64" },
  fsconfig: { name: "syscall", parameters: ["i64", "i64", "i64", "buffer", "buffer", "i64"], result: "i64" },
  fsmount: { name: "syscall", parameters: ["i64", "i64", "i64", "i64"], result: "i64" },
  mount_setattr: { name: "syscall", parameters: ["i64", "i64", "buffer", "i64", "buffer", "i64"], result: "i64" },
});

const SYS_OPEN_TREE = 428n;
const SYS_MOVE_MOUNT = 429n;
const SYS_FSOPEN = 430n;
const SYS_FSCONFIG = 431n;
const SYS_FSMOUNT = 432n;
const SYS_MOUNT_SETATTR = 442n;

const AT_EMPTY_PATH = 0x1000n;
const AT_RECURSIVE = 0x8000n;
const OPEN_TREE_CLONE = 1n;
const MOVE_MOUNT_F_EMPTY_PATH = 0x4n;
const MOVE_MOUNT_T_SYMLINKS = 0x10n;
const FSCONFIG_SET_FLAG = 0n;
const FSCONFIG_SET_STRING = 1n;
const FSCONFIG_CMD_CREATE = 6n;

/** Bytes of a value that `fsconfig` takes. */
export const MAX_CONFIG_BYTES = 255;

const MOUNT_ATTR_ATIME_MASK = 0x70;
const attributes: ReadonlyArray<[flag: number, attribute: number]> = [
  [MS.RDONLY, 0x1],
  [MS.NOSUID, 0x2],
  [MS.NODEV, 0x4],
  [MS.NOEXEC, 0x8],
  [MS.NOATIME, 0x10],
  [MS.STRICTATIME, 0x20],
  [MS.NODIRATIME, 0x80],
  [MS.NOSYMFOLLOW, 0x200000],
];

/** What {@linkcode setMountAttributes} changes. */
export interface MountAttributes {
  /** `MS` flags to set; the rest stays. */
  readonly set: number;
  /** One `MS` propagation flag. */
  readonly propagation?: number;
  /** Also on every mount below. */
  readonly recursive?: boolean;
}

/** A detached copy of the mount at `source`, with `recursive` also of those below. Returns a descriptor. */
export function cloneMount(source: string, recursive: boolean): number {
  const flags = OPEN_TREE_CLONE | BigInt(O_CLOEXEC) | (recursive ? AT_RECURSIVE : 0n);
  return Number(result(kernel.open_tree(SYS_OPEN_TREE, BigInt(AT_FDCWD), text(source), flags), "open_tree", source));
}

/** Puts a detached mount in place. The descriptor then stands for the mount there. */
export function attachMount(fd: number, target: string): void {
  const flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS;
  result(
    kernel.move_mount(SYS_MOVE_MOUNT, BigInt(fd), text(""), BigInt(AT_FDCWD), text(target), flags),
    "move_mount",
    target,
  );
}

/** Changes the attributes of a mount: by descriptor, or of the topmost one at a path. */
export function setMountAttributes(mount: number | string, change: MountAttributes): void {
  let set = 0, clear = 0;
  for (const [flag, attribute] of attributes) if (change.set & flag) set |= attribute;
  if (change.set & (MS.NOATIME | MS.RELATIME | MS.STRICTATIME)) clear |= MOUNT_ATTR_ATIME_MASK;
  // struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
  const words = new BigUint64Array([BigInt(set), BigInt(clear), BigInt(change.propagation ?? 0), 0n]);
  const [fd, path] = typeof mount === "number" ? [mount, ""] : [AT_FDCWD, mount];
  const flags = (typeof mount === "number" ? AT_EMPTY_PATH : 0n) | (change.recursive ? AT_RECURSIVE : 0n);
  result(
    kernel.mount_setattr(SYS_MOUNT_SETATTR, BigInt(fd), text(path), flags, new Uint8Array(words.buffer), 32n),
    "mount_setattr",
    path,
  );
}

/** A file system that is being configured. */
export class FileSystemContext implements Disposable {
  readonly #fd: number;

  /** @param type File system type. */
  constructor(type: string) {
    this.#fd = Number(result(kernel.fsopen(SYS_FSOPEN, text(type), 1n), "fsopen", type));
  }

  /** Sets `name` to a value of at most {@linkcode MAX_CONFIG_BYTES}, or without value as a flag. */
  set(name: string, value?: string): void {
    const command = value === undefined ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    this.#call(
      kernel.fsconfig(
        SYS_FSCONFIG,
        BigInt(this.#fd),
        command,
        text(name),
        value === undefined ? null : text(value),
        0n,
      ),
      name,
    );
  }

  /** Makes the file system and a detached mount of it. Returns the mount's descriptor. */
  create(): number {
    this.#call(kernel.fsconfig(SYS_FSCONFIG, BigInt(this.#fd), FSCONFIG_CMD_CREATE, null, null, 0n), "create");
    return Number(this.#call(kernel.fsmount(SYS_FSMOUNT, BigInt(this.#fd), 1n, 0n), "fsmount"));
  }

  [Symbol.dispose](): void {
    libc.close(this.#fd);
  }

  #call(value: bigint, what: string): bigint {
    if (value >= 0n) return value;
    const error = new ErrnoError("fsconfig", lastErrno(), what);
    // The kernel leaves its reasons to be read from the context, one message a read, each after "e ", "w " or "i ".
    const reasons: string[] = [];
    const buffer = new Uint8Array(1024);
    for (let length; (length = Number(libc.read(this.#fd, buffer, 1024n))) > 0;) {
      reasons.push(new TextDecoder().decode(buffer.subarray(2, length)).trim());
    }
    throw Object.assign(error, { reasons });
  }
}

/** What the kernel said in words about a failure of {@linkcode FileSystemContext}, or nothing. */
export function reasonsOf(error: unknown): string | undefined {
  const reasons = error instanceof ErrnoError && "reasons" in error ? error.reasons as string[] : [];
  return reasons.length === 0 ? undefined : reasons.join("; ");
}

/** Which of these calls the running kernel has. */
export interface MountApiSupport {
  /** `open_tree`, `move_mount` (5.2) and `mount_setattr` (5.12). */
  readonly attributes: boolean;
  /** `lowerdir+` of overlayfs (6.7). */
  readonly overlayLayers: boolean;
}

let support: MountApiSupport | undefined;

/** The kernel lacks all of them: for tests of what is done then. */
export const NO_MOUNT_API: MountApiSupport = { attributes: false, overlayLayers: false };

/** Asks the kernel once. */
export function mountApiSupport(): MountApiSupport {
  return support ??= { attributes: hasAttributes(), overlayLayers: hasOverlayLayers() };
}

function hasAttributes(): boolean {
  // Bad arguments tell a known call (EINVAL, EBADF) from an unknown one (ENOSYS), or one that seccomp hides (EPERM).
  if (kernel.mount_setattr(SYS_MOUNT_SETATTR, -1n, text(""), AT_EMPTY_PATH, new Uint8Array(0), 0n) >= 0n) return true;
  return ![1, 38].includes(lastErrno());
}

function hasOverlayLayers(): boolean {
  try {
    using context = new FileSystemContext("overlay");
    context.set("lowerdir+", "/");
    return true;
  } catch (error) {
    if (error instanceof ErrnoError) return false;
    throw error;
  }
}

function text(value: string): Uint8Array<ArrayBuffer> {
  return cString(byteStringFromText(value));
}

function result(value: bigint, call: string, what: string): bigint {
  if (value < 0n) throw new ErrnoError(call, lastErrno(), what);
  return value;
}
