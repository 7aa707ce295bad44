/** One process per root: an flock that ends with the process, however it ends. */
import { byteStringFromText } from "../core/bytes.ts";
import { LaminaError } from "../core/errors.ts";
import { hostError } from "./errno_errors.ts";
import { checked, cString, isErrno, libc } from "./libc.ts";
import { AT_FDCWD, O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_RDWR } from "./openat2.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

/** How often, and after how long each time, a lock is tried again that a dead process seems to hold. */
const DEAD_HOLDER_TRIES = 50;
const DEAD_HOLDER_PAUSE_MS = 5;

/** A held lock; disposing it lets the next process in. */
export interface RootLock extends Disposable {
  /** Path of the lock file. */
  readonly path: string;
}

/**
 * Takes the lock of a root.
 *
 * @param path Absolute path of the lock file ({@linkcode RootLayout.lockFile}); its directory exists.
 * @throws `UNAVAILABLE` when another process holds it (`details.holder_pid`) or the file system is read-only,
 * `PERMISSION_DENIED`, `NOT_FOUND` when the root does not exist.
 */
export function acquireRootLock(path: string): RootLock {
  const attempted = `Cannot open the root: cannot lock ${path}`;
  for (let tries = 0;; tries++) {
    let fd: number;
    try {
      const flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
      fd = checked(libc.openat(AT_FDCWD, cString(byteStringFromText(path)), flags, 0o600), "open", path);
    } catch (error) {
      throw hostError(error, attempted, { path });
    }
    try {
      checked(libc.flock(fd, LOCK_EX | LOCK_NB), "flock", path);
      // Somebody may have deleted the file between our open and our lock: then we hold a lock that nobody sees.
      if (!isStillAt(fd, path)) {
        libc.close(fd);
        continue;
      }
      const pid = new TextEncoder().encode(`${Deno.pid}\n`);
      checked(libc.ftruncate(fd, 0n), "ftruncate", path);
      checked(libc.pwrite(fd, pid, BigInt(pid.length), 0n), "write", path);
      return heldLock(fd, path);
    } catch (error) {
      const holder = isErrno(error, "EAGAIN") ? holderOf(fd, path) : undefined;
      libc.close(fd);
      if (!isErrno(error, "EAGAIN")) throw hostError(error, attempted, { path });
      // A child of the killed holder has the descriptor between its fork and its exec: it lets go in a moment.
      if (holder !== undefined && tries < DEAD_HOLDER_TRIES && !isAlive(holder)) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, DEAD_HOLDER_PAUSE_MS);
        continue;
      }
      throw new LaminaError(
        "UNAVAILABLE",
        `${attempted}: ${holder === undefined ? "another process" : `process ${holder}`} has it open. ` +
          "Talk to that daemon through its socket, or stop it first",
        { cause: error, details: holder === undefined ? { path } : { path, holder_pid: holder } },
      );
    }
  }
}

function heldLock(fd: number, path: string): RootLock {
  let held = true;
  return {
    path,
    [Symbol.dispose]() {
      if (!held) return;
      held = false;
      // The file stays: deleting it would let two processes lock two different files.
      libc.ftruncate(fd, 0n);
      // Closing alone would leave it to a child that is between its fork and its exec.
      libc.flock(fd, LOCK_UN);
      libc.close(fd);
    },
  };
}

function isStillAt(fd: number, path: string): boolean {
  try {
    return Deno.statSync(path).ino === Deno.statSync(`/proc/self/fd/${fd}`).ino;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    // A killed process that nobody has waited for yet is still listed, without anything open.
    return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Pid of the process that holds the lock: the kernel's own word, or the file's content where that hides it. */
function holderOf(fd: number, path: string): number | undefined {
  const { ino, dev } = Deno.statSync(`/proc/self/fd/${fd}`);
  const holder = lockHolder(Deno.readTextFileSync("/proc/locks"), dev, ino);
  if (holder !== undefined) return holder;
  const pid = Number.parseInt(Deno.readTextFileSync(path), 10);
  return pid > 0 ? pid : undefined;
}

/**
 * Pid of the holder of a flock in the text of `/proc/locks`.
 *
 * @param dev Device number of the file, as stat(2) gives it.
 */
export function lockHolder(text: string, dev: number, ino: number | null): number | undefined {
  const major = (dev >>> 8) & 0xfff;
  const minor = (dev & 0xff) | ((dev >>> 12) & 0xfff00);
  const hex = (part: number) => part.toString(16).padStart(2, "0");
  const file = `${hex(major)}:${hex(minor)}:${ino}`;
  for (const line of text.split("\n")) {
    const [, kind, , , pid, locked] = line.trim().split(/\s+/);
    if (kind === "FLOCK" && locked === file && Number(pid) > 0) return Number(pid);
  }
  return undefined;
}
