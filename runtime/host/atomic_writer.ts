/**
 * Replaces the files of a volume as one: new directory, sync, one rename. See `runtime/core/atomic_files.ts` for what it
 * looks like. A crash at any step, or a failure, leaves the old files or the new ones, whole; the next call clears away
 * what was begun. Everything goes by directory descriptors and no link is followed.
 */
import {
  type AtomicFile,
  type AtomicFiles,
  type AtomicOwnership,
  checkAtomicFiles,
  DATA_LINK,
  dataDirectoryName,
  directoriesOf,
  directoryModeFor,
  fileModeFor,
  isDataDirectoryName,
  NEW_DATA_LINK,
  planLinks,
  THROUGH_DATA,
  topNames,
  type VolumeEntry,
} from "../core/atomic_files.ts";
import { type ByteString, byteStringFromText } from "../core/bytes.ts";
import { LaminaError } from "../core/errors.ts";
import { hostError } from "./errno_errors.ts";
import { faultPoint } from "./faults.ts";
import { chmodFd, chownFd, mkdirAt, renameAt, symlinkAt, unlinkAt, writeFd } from "./fs_change_calls.ts";
import { closeFd, openAt, openDirectoryAt, readDirectory, readlinkAt, statxAt, statxFd } from "./fs_calls.ts";
import { isErrno, slowLibc } from "./libc.ts";
import { AT_FDCWD, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } from "./openat2.ts";
import { listTree, openBelow, removeAt, sameContent, statxBelow, tryRemove } from "./small_trees.ts";

/** How files are written. */
export interface AtomicWriteOptions extends AtomicOwnership {
  /** For messages, e.g. `volume "config" of pod default/web`. */
  readonly what: string;
  /** Wait for the disk before the rename. Of no use on tmpfs. */
  readonly durable: boolean;
}

/**
 * Makes the volume at `directory` (absolute, existing) show exactly `files`.
 *
 * @returns `unchanged` when it did so already, modes and group included.
 * @throws `INVALID_ARGUMENT` (a path), `RESOURCE_EXHAUSTED` (full), `CONFLICT` (a name is taken by something else). What
 * the volume shows is then as before.
 */
export async function writeFilesAtomically(
  directory: string,
  files: AtomicFiles,
  options: AtomicWriteOptions,
): Promise<"written" | "unchanged"> {
  checkAtomicFiles(files, options.what);
  try {
    const fd = openDirectoryAt(AT_FDCWD, byteStringFromText(directory));
    try {
      return await new Writing(fd, files, options).run();
    } finally {
      closeFd(fd);
    }
  } catch (error) {
    throw hostError(error, `Cannot write the files of ${options.what}`, { path: directory });
  }
}

/** One call. */
class Writing {
  readonly #fd: number;
  readonly #files: AtomicFiles;
  readonly #options: AtomicWriteOptions;

  constructor(fd: number, files: AtomicFiles, options: AtomicWriteOptions) {
    this.#fd = fd;
    this.#files = files;
    this.#options = options;
  }

  async run(): Promise<"written" | "unchanged"> {
    const before = this.#current();
    const unchanged = before !== undefined && this.#isWritten(before);
    this.#refuseTakenNames(before);
    const current = unchanged ? before : await this.#replace();
    const changedLinks = this.#bringLinksInOrder(current);
    if (!unchanged || changedLinks) await this.#sync([this.#fd]);
    faultPoint("atomic.links_made");
    this.#clearLeftovers(current);
    return unchanged && !changedLinks ? "unchanged" : "written";
  }

  /** The data directory in use, if `..data` is ours and leads to one. */
  #current(): ByteString | undefined {
    try {
      const target = readlinkAt(this.#fd, name(DATA_LINK));
      return isDataDirectoryName(target) && statxAt(this.#fd, target).type === "directory" ? target : undefined;
    } catch (error) {
      if (isErrno(error, "ENOENT", "EINVAL")) return undefined;
      throw error;
    }
  }

  /** Whether a data directory holds exactly the files. */
  #isWritten(directory: ByteString): boolean {
    const top = openDirectoryAt(this.#fd, directory);
    try {
      const directories = directoriesOf(this.#files);
      const wanted = [...directories, ...this.#files.keys()].map(name).sort();
      if (wanted.join("\0") !== listTree(top).sort().join("\0")) return false;
      if (!["", ...directories].every((path) => this.#isDirectoryRight(top, path))) return false;
      return [...this.#files].every(([path, file]) => this.#isFileRight(top, path, file));
    } finally {
      closeFd(top);
    }
  }

  #isDirectoryRight(top: number, path: string): boolean {
    const status = path === "" ? statxFd(top) : statxBelow(top, path);
    return status.type === "directory" && status.mode === directoryModeFor(this.#options) &&
      status.gid === (this.#options.gid ?? 0);
  }

  #isFileRight(top: number, path: string, file: AtomicFile): boolean {
    const status = statxBelow(top, path);
    const right = status.type === "file" && status.mode === fileModeFor(file.mode, this.#options) &&
      status.gid === (this.#options.gid ?? 0) && status.size_bytes === file.content.length;
    return right && sameContent(top, path, file.content);
  }

  /** Writes a new data directory and lets `..data` lead to it. */
  async #replace(): Promise<ByteString> {
    const random = crypto.getRandomValues(new Uint32Array(1))[0]!.toString().padStart(10, "0");
    const directory = name(dataDirectoryName(new Date(), random));
    try {
      const opened = this.#writeDirectory(directory);
      try {
        faultPoint("atomic.files_written");
        await this.#sync(opened);
      } finally {
        opened.forEach(closeFd);
      }
      faultPoint("atomic.files_synced");
      removeAt(this.#fd, name(NEW_DATA_LINK));
      symlinkAt(directory, this.#fd, name(NEW_DATA_LINK));
    } catch (error) {
      // The failure that is told is the first one; what stays is a leftover of the next call.
      tryRemove(this.#fd, directory);
      throw error;
    }
    faultPoint("atomic.link_made");
    renameAt(this.#fd, name(NEW_DATA_LINK), this.#fd, name(DATA_LINK));
    await this.#sync([this.#fd]);
    faultPoint("atomic.renamed");
    return directory;
  }

  /** @returns descriptors of all that was made, where they are needed for a sync. */
  #writeDirectory(directory: ByteString): number[] {
    const { durable, gid } = this.#options;
    const opened: number[] = [];
    const done = (fd: number, mode: number) => {
      if (gid !== undefined) chownFd(fd, 0, gid);
      chmodFd(fd, mode);
      // What is many is synced as it comes, so that descriptors stay few.
      if (durable && opened.length < MOST_OPEN) opened.push(fd);
      else closeFd(fd);
    };
    try {
      mkdirAt(this.#fd, directory, 0o700);
      const top = openDirectoryAt(this.#fd, directory);
      // Its mode comes last: until then nobody else looks into it.
      try {
        for (const path of directoriesOf(this.#files)) {
          const [parent, last] = this.#parentOf(top, path);
          try {
            mkdirAt(parent, last, 0o700);
            done(openDirectoryAt(parent, last), directoryModeFor(this.#options));
          } finally {
            if (parent !== top) closeFd(parent);
          }
        }
        for (const [path, { content, mode }] of this.#files) {
          const [parent, last] = this.#parentOf(top, path);
          try {
            const fd = openAt(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
            writeFd(fd, content);
            done(fd, fileModeFor(mode, this.#options));
          } finally {
            if (parent !== top) closeFd(parent);
          }
        }
      } catch (error) {
        closeFd(top);
        throw error;
      }
      done(top, directoryModeFor(this.#options));
      return opened;
    } catch (error) {
      opened.forEach(closeFd);
      throw error;
    }
  }

  /** The descriptor of the directory that `path` lies in, and the last name. */
  #parentOf(top: number, path: string): [parent: number, last: ByteString] {
    const slash = path.lastIndexOf("/");
    if (slash < 0) return [top, name(path)];
    return [openBelow(top, path.slice(0, slash), O_RDONLY), name(path.slice(slash + 1))];
  }

  /** Waits for the disk, all at once on other threads. */
  async #sync(fds: readonly number[]): Promise<void> {
    if (!this.#options.durable) return;
    const results = fds.length < MOST_OPEN
      ? await Promise.all(fds.map((fd) => slowLibc.fsync(fd)))
      : [await slowLibc.syncfs(this.#fd)];
    if (results.every((result) => result === 0)) return;
    throw new LaminaError(
      "DATA_LOSS",
      `Cannot write the files of ${this.#options.what}: the disk did not take all data. It may be full or failing: ` +
        "see the kernel's log",
    );
  }

  #refuseTakenNames(current: ByteString | undefined): void {
    const { taken } = planLinks(this.#entries(), topNames(this.#files).map(name), current ?? "");
    if (taken.length === 0) return;
    throw new LaminaError(
      "CONFLICT",
      `Cannot write the files of ${this.#options.what}: ${JSON.stringify(taken[0])} is there already and was not ` +
        "made by Lamina. Remove it",
    );
  }

  /** @returns whether there was anything to do. */
  #bringLinksInOrder(current: ByteString): boolean {
    const plan = planLinks(this.#entries(), topNames(this.#files).map(name), current);
    for (const link of plan.make) symlinkAt(name(THROUGH_DATA) + link as ByteString, this.#fd, link as ByteString);
    for (const link of plan.remove) unlinkAt(this.#fd, link as ByteString);
    return plan.make.length + plan.remove.length > 0;
  }

  #clearLeftovers(current: ByteString): void {
    for (const leftover of planLinks(this.#entries(), [], current).leftovers) {
      // The volume is right without it, and the next call tries again.
      tryRemove(this.#fd, leftover as ByteString);
    }
  }

  #entries(): VolumeEntry[] {
    return readDirectory(this.#fd).map((entry) => {
      try {
        return { name: entry, target: readlinkAt(this.#fd, entry) };
      } catch (error) {
        if (isErrno(error, "EINVAL", "ENOENT")) return { name: entry };
        throw error;
      }
    });
  }
}

/** Descriptors kept open for a sync; more files than that are synced with their whole file system. */
const MOST_OPEN = 128;

function name(text: string): ByteString {
  return byteStringFromText(text);
}
