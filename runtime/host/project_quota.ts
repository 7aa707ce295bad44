/**
 * Project quotas of xfs and ext4: directories carry a project id that what is made in them inherits, and the kernel
 * counts and limits the space and the inodes of each id.
 *
 * Calls name the file system by a descriptor (`quotactl_fd`, Linux 5.14); older kernels want its block device.
 */
import { byteStringFromText } from "../core/bytes.ts";
import { mountAtTarget, readMountTable } from "./mount_table.ts";
import { closeFd, openDirectoryAt } from "./fs_calls.ts";
import { cFunctions, checked, cString, ErrnoError, isErrno, lastErrno, libc } from "./libc.ts";
import { AT_FDCWD } from "./openat2.ts";

// With plain integers, unlike the one of `libc.ts`.
const kernel = cFunctions({
  syscall: { parameters: ["i64", "i64", "i64", "i64", "buffer"], result: "i64" },
  quotactl: { parameters: ["i32", "buffer", "u32", "buffer"], result: "i32" },
});

const SYS_QUOTACTL_FD = 443n;
const PROJECT = 2;
const GET_QUOTA = 0x800007;
const SET_QUOTA = 0x800008;
const GET_NEXT_QUOTA = 0x800009;
/** Understood by ext4 as well: both kinds of calls reach both file systems. */
const GET_STATE = 0x5805;
const ACCOUNTED = 1 << 4;
const ENFORCED = 1 << 5;
const LIMITS_VALID = 1 | 4;
/** Unit of limits in space. */
const BLOCK_BYTES = 1024;

const GET_ATTRIBUTES = 0x801c581fn;
const SET_ATTRIBUTES = 0x401c5820n;
const INHERIT = 0x200;

/** What one project may take and takes. A limit of 0 is none. */
export interface ProjectUsage {
  readonly projectId: number;
  readonly limit_bytes: number;
  readonly limit_inodes: number;
  readonly used_bytes: number;
  readonly used_inodes: number;
}

/** How far the file system of `path` keeps project quotas. `accounted`: it counts, but lets everybody pass the limit. */
export type ProjectQuotaState = "enforced" | "accounted" | "off";

/** Whether the file system of `path` (a directory) keeps project quotas. */
export function projectQuotaState(path: string): ProjectQuotaState {
  const state = new Uint8Array(80);
  try {
    onFileSystem(path, (fd) => control(fd, path, GET_STATE, 0, state));
  } catch (error) {
    if (isErrno(error, "ENOSYS", "EOPNOTSUPP", "EINVAL", "ENODEV", "ESRCH", "EPERM", "ENOENT")) return "off";
    throw error;
  }
  const flags = new DataView(state.buffer).getUint16(2, true);
  return flags & ENFORCED ? "enforced" : flags & ACCOUNTED ? "accounted" : "off";
}

/** The state of one project on the file system of `path`. @throws `ErrnoError` */
export function projectUsage(path: string, projectId: number): ProjectUsage {
  const quota = new BigUint64Array(9);
  try {
    onFileSystem(path, (fd) => control(fd, path, GET_QUOTA, projectId, new Uint8Array(quota.buffer)));
  } catch (error) {
    // Nobody has ever used it.
    if (isErrno(error, "ENOENT", "ESRCH")) {
      return { projectId, limit_bytes: 0, limit_inodes: 0, used_bytes: 0, used_inodes: 0 };
    }
    throw error;
  }
  return usageOf(projectId, quota);
}

/** Those projects of `first` to `last` that the file system of `path` has a record of, in order. @throws `ErrnoError` */
export function* listProjects(path: string, first: number, last: number): Generator<ProjectUsage, void, void> {
  for (let next = first; next <= last;) {
    // struct if_nextdqblk: the same, and the id that was found.
    const quota = new BigUint64Array(10);
    try {
      onFileSystem(path, (fd) => control(fd, path, GET_NEXT_QUOTA, next, new Uint8Array(quota.buffer)));
    } catch (error) {
      if (isErrno(error, "ENOENT", "ESRCH")) return;
      throw error;
    }
    const found = new DataView(quota.buffer).getUint32(68, true);
    if (found > last || found < next) return;
    yield usageOf(found, quota);
    next = found + 1;
  }
}

/** Limits a project; 0 is no limit. Space is rounded up to 1 KiB. @throws `ErrnoError` */
export function setProjectLimit(
  path: string,
  projectId: number,
  limit: { readonly limit_bytes: number; readonly limit_inodes: number },
): void {
  const blocks = BigInt(Math.ceil(limit.limit_bytes / BLOCK_BYTES)), inodes = BigInt(limit.limit_inodes);
  const quota = new BigUint64Array([blocks, blocks, 0n, inodes, inodes, 0n, 0n, 0n, 0n]);
  new DataView(quota.buffer).setUint32(64, LIMITS_VALID, true);
  onFileSystem(path, (fd) => control(fd, path, SET_QUOTA, projectId, new Uint8Array(quota.buffer)));
}

/** The project that a directory is of, and whether what is made in it will be. @throws `ErrnoError` */
export function projectOf(directory: string): { readonly projectId: number; readonly inherited: boolean } {
  const view = onFileSystem(directory, (fd) => readAttributes(fd, directory));
  return { projectId: view.getUint32(12, true), inherited: (view.getUint32(0, true) & INHERIT) !== 0 };
}

/** Gives an empty directory a project that everything in it will have, too. @throws `ErrnoError` */
export function setProject(directory: string, projectId: number): void {
  onFileSystem(directory, (fd) => {
    const view = readAttributes(fd, directory);
    view.setUint32(0, view.getUint32(0, true) | INHERIT, true);
    view.setUint32(12, projectId, true);
    checked(libc.ioctl(fd, SET_ATTRIBUTES, pointerTo(view)), "ioctl", `FS_IOC_FSSETXATTR ${directory}`);
  });
}

/** Whether `directory` lies on a file system whose files have projects at all. */
export function hasProjects(directory: string): boolean {
  try {
    projectOf(directory);
    return true;
  } catch (error) {
    if (error instanceof ErrnoError) return false;
    throw error;
  }
}

function readAttributes(fd: number, path: string): DataView<ArrayBuffer> {
  // struct fsxattr: xflags, extsize, nextents, projid, cowextsize, padding.
  const view = new DataView(new ArrayBuffer(28));
  checked(libc.ioctl(fd, GET_ATTRIBUTES, pointerTo(view)), "ioctl", `FS_IOC_FSGETXATTR ${path}`);
  return view;
}

function pointerTo(view: DataView<ArrayBuffer>): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(view)));
}

function onFileSystem<T>(directory: string, body: (fd: number) => T): T {
  const fd = openDirectoryAt(AT_FDCWD, byteStringFromText(directory));
  try {
    return body(fd);
  } finally {
    closeFd(fd);
  }
}

function control(fd: number, path: string, call: number, id: number, data: Uint8Array<ArrayBuffer>): void {
  const command = (call << 8 | PROJECT) >>> 0;
  if (kernel.syscall(SYS_QUOTACTL_FD, BigInt(fd), BigInt(command), BigInt(id), data) >= 0n) return;
  const error = new ErrnoError("quotactl_fd", lastErrno(), path);
  if (error.errno !== "ENOSYS") throw error;
  // The kernel is too old for it, or the file system knows no quotas: the older call tells.
  const device = deviceOf(path);
  if (device === undefined) throw error;
  checked(kernel.quotactl(command | 0, cString(byteStringFromText(device)), id, data), "quotactl", device);
}

/** The block device of the file system that `path` is on. */
function deviceOf(path: string): string | undefined {
  const table = readMountTable();
  for (let at = path;; at = at.slice(0, at.lastIndexOf("/")) || "/") {
    const entry = mountAtTarget(table, at);
    if (entry !== undefined) return entry.source.startsWith("/dev/") ? entry.source : undefined;
    if (at === "/") return undefined;
  }
}

function usageOf(projectId: number, quota: BigUint64Array): ProjectUsage {
  // struct if_dqblk: hard and soft limit and use of space, the same of inodes, two times, which fields are valid.
  return {
    projectId,
    limit_bytes: Number(quota[0]!) * BLOCK_BYTES,
    limit_inodes: Number(quota[3]!),
    used_bytes: Number(quota[2]!),
    used_inodes: Number(quota[5]!),
  };
}
