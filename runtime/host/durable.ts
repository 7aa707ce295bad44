/**
 * Writes that survive a power cut once they have returned. The order is always the same: write under a temporary
 * name, sync the file, rename, sync the directory.
 */
import { basename, dirname, join } from "@std/path/posix";
import { byteStringFromText } from "../core/bytes.ts";
import { LaminaError } from "../core/errors.ts";
import { hostError } from "./errno_errors.ts";
import { checked, cString, libc, slowLibc } from "./libc.ts";
import { AT_FDCWD, O_CLOEXEC, O_RDONLY } from "./openat2.ts";

/** Options of {@linkcode writeFileDurably}. */
export interface DurableFileOptions {
  /** Permission bits; default 0600. */
  readonly mode?: number;
}

/**
 * Replaces or creates a file. After a crash it has the old content or the new, never a part.
 *
 * @param path Absolute path; its directory exists.
 * @throws `RESOURCE_EXHAUSTED` (disk full), `UNAVAILABLE` (read-only file system), `NOT_FOUND`, `PERMISSION_DENIED`.
 * Nothing is left behind then.
 */
export async function writeFileDurably(
  path: string,
  content: string | Uint8Array,
  options: DurableFileOptions = {},
): Promise<void> {
  const mode = options.mode ?? 0o600;
  const temporary = join(dirname(path), `.${basename(path).slice(0, 200)}.${crypto.randomUUID()}`);
  try {
    try {
      using file = await Deno.open(temporary, { write: true, createNew: true, mode: 0o600 });
      let rest = typeof content === "string" ? new TextEncoder().encode(content) : content;
      while (rest.length > 0) rest = rest.subarray(await file.write(rest));
      await Deno.chmod(temporary, mode);
      await file.sync();
      await Deno.rename(temporary, path);
    } catch (error) {
      await removeIfThere(temporary);
      throw error;
    }
    await syncDirectory(dirname(path));
  } catch (error) {
    throw hostError(error, `Cannot write ${path}`, { path });
  }
}

/**
 * Makes a directory and those above it that are missing. An existing directory is success and keeps its mode.
 *
 * @param mode Permission bits of the directories that are made, whatever the umask; default 0700.
 * @throws as {@linkcode writeFileDurably}; `CONFLICT` when something else than a directory is in the way.
 */
export async function makeDirectoryDurably(path: string, mode = 0o700): Promise<void> {
  try {
    const missing: string[] = [];
    let existing = path;
    while (!await isDirectory(existing)) {
      missing.push(existing);
      existing = dirname(existing);
    }
    for (const directory of missing.reverse()) {
      try {
        await Deno.mkdir(directory, { mode });
      } catch (error) {
        // Somebody else made it meanwhile; a parallel call may still be on its way to the sync below.
        if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
        await syncDirectory(dirname(directory));
        continue;
      }
      await Deno.chmod(directory, mode);
      await syncDirectory(dirname(directory));
    }
  } catch (error) {
    throw hostError(error, `Cannot make the directory ${path}`, { path });
  }
}

/**
 * Renames within one file system and syncs the directories on both sides. An existing file, or an empty directory,
 * at `to` is replaced.
 */
export async function renameDurably(from: string, to: string): Promise<void> {
  try {
    await Deno.rename(from, to);
    await syncDirectory(dirname(to));
    if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
  } catch (error) {
    throw hostError(error, `Cannot rename ${from} to ${to}`, { path: from, to });
  }
}

/** Makes the entries of a directory durable: what was created, renamed or removed in it. */
export async function syncDirectory(path: string): Promise<void> {
  try {
    using directory = await Deno.open(path, { read: true });
    await directory.sync();
  } catch (error) {
    throw hostError(error, `Cannot sync the directory ${path}`, { path });
  }
}

/**
 * The same for several directories at once, on other threads; twice as fast as one by one where they were all just
 * made, because the first of them makes the file system write everything.
 */
export async function syncDirectories(paths: readonly string[]): Promise<void> {
  const fds: number[] = [];
  try {
    for (const path of paths) {
      try {
        fds.push(
          checked(libc.openat(AT_FDCWD, cString(byteStringFromText(path)), O_RDONLY | O_CLOEXEC, 0), "open", path),
        );
      } catch (error) {
        throw hostError(error, `Cannot sync the directory ${path}`, { path });
      }
    }
    const results = await Promise.all(fds.map((fd) => slowLibc.fsync(fd)));
    const failed = results.findIndex((result) => result !== 0);
    if (failed < 0) return;
    // `errno` stayed on the other thread. The descriptor is valid, so only a failed write-back is left.
    throw new LaminaError(
      "DATA_LOSS",
      `Cannot sync the directory ${
        paths[failed]
      }: the disk did not take all data. It may be full or failing: see the kernel's log`,
      { details: { path: paths[failed]! } },
    );
  } finally {
    for (const fd of fds) libc.close(fd);
  }
}

/**
 * Writes out everything of the file system that `path` is on and waits for the disk. On another thread.
 *
 * @throws `DATA_LOSS` when the disk could not take what was written before.
 */
export async function syncFileSystem(path: string): Promise<void> {
  let fd: number;
  try {
    fd = checked(
      libc.openat(AT_FDCWD, cString(byteStringFromText(path)), O_RDONLY | O_CLOEXEC, 0),
      "open",
      path,
    );
  } catch (error) {
    throw hostError(error, `Cannot sync the file system of ${path}`, { path });
  }
  try {
    const result = await slowLibc.syncfs(fd);
    if (result === 0) return;
    // `errno` stayed on the other thread. The descriptor is valid, so only a failed write-back is left.
    throw new LaminaError(
      "DATA_LOSS",
      `Cannot sync the file system of ${path}: the disk did not take all data. It may be full or failing: see the kernel's log`,
      { details: { path } },
    );
  } finally {
    libc.close(fd);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    const { isDirectory } = await Deno.stat(path);
    if (isDirectory) return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  throw new LaminaError("CONFLICT", `Cannot make a directory: ${path} exists and is no directory`, {
    details: { path },
  });
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
