/** Group and mode of whatever a descriptor stands for, links and devices included, without opening it. */
import type { ByteString } from "../core/bytes.ts";
import { AT_EMPTY_PATH, type FileStatus, statxFd } from "./fs_calls.ts";
import { chmodAt } from "./fs_change_calls.ts";
import { checked, cString, libc } from "./libc.ts";
import { AT_FDCWD } from "./openat2.ts";

/** Leaves the owner as it is. */
const NOBODY = 0xffffffff;
const empty = "" as ByteString;

/**
 * Sets the group, then the mode (the kernel drops setuid bits with the first).
 *
 * @param fd Opened with `O_PATH` and `O_NOFOLLOW`: what it stands for cannot be exchanged meanwhile.
 * @param modeOf The mode, from what is there; `undefined` leaves it (links have none). May throw before anything is done.
 * @throws `ErrnoError`
 */
export function setGroupAndMode(fd: number, gid: number, modeOf: (found: FileStatus) => number | undefined): void {
  const found = statxFd(fd);
  const mode = modeOf(found);
  if (found.gid !== gid) checked(libc.fchownat(fd, cString(empty), NOBODY, gid, AT_EMPTY_PATH), "fchownat", `fd ${fd}`);
  if (mode === undefined) return;
  // The link in /proc leads to the very inode; a descriptor of O_PATH itself takes no mode.
  chmodAt(AT_FDCWD, `/proc/self/fd/${fd}` as ByteString, mode);
}
