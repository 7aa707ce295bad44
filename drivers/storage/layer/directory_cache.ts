/**
 * Open directories of a tree that is being written. Names are only ever used relative to a descriptor from here, and
 * the descriptors come from walks that the kernel keeps beneath the root: a link never leads out of it.
 *
 * What is made in a directory moves its times; a directory gets its own back when its descriptor is closed, so nothing
 * needs to be remembered until the end.
 */
import { type ByteString, displayName } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import {
  closeFd,
  type FileStatus,
  openDirectoryAt,
  pathOfFd,
  readlinkAt,
  statxAtIfPresent,
  statxFd,
} from "../../../runtime/host/fs_calls.ts";
import { chmodFd, chownFd, type FileTime, mkdirAt, setTimesFd } from "../../../runtime/host/fs_change_calls.ts";
import { ERRNO, ErrnoError } from "../../../runtime/host/libc.ts";
import {
  O_DIRECTORY,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  tryOpenat2,
} from "../../../runtime/host/openat2.ts";

/** An open directory. */
export interface OpenDirectory {
  readonly fd: number;
  /** Where it really is below the root: no link on the way. */
  readonly path: ByteString;
  /** The modification time it is to have; absent: whatever it becomes. */
  mtime?: FileTime;
  /** Something was made or removed in it. */
  changed: boolean;
}

/** How a cache behaves. */
export interface DirectoryCacheOptions {
  /** Whether a directory that was there before keeps its modification time when something is made in it. */
  readonly keepTimes: (path: ByteString) => boolean;
  /** Told of each directory that was made because something below it was to be written, and what was in its place. */
  readonly onImplied: (path: ByteString, instead: FileStatus | undefined) => void;
  /** Removes what stands in the way of a directory. */
  readonly replace: (parent: OpenDirectory, name: ByteString) => void;
  /** Whether the link at a path is one to follow; another is in the way as a file is. Absent: all are followed. */
  readonly follows?: (path: ByteString) => boolean;
}

/** So many stay open. Archives go through a tree depth first, so few are enough. */
const MAX_OPEN = 64;
/** As the kernel has it. */
const MAX_LINKS = 40;

/** See the head of the file. */
export class DirectoryCache implements Disposable {
  readonly #rootFd: number;
  readonly #options: DirectoryCacheOptions;
  readonly #root: OpenDirectory;
  /** In the order of use, the oldest first. */
  readonly #open = new Map<ByteString, OpenDirectory>();
  #last: OpenDirectory;
  #rootPath: ByteString | undefined;

  /** @param rootFd Descriptor of the root directory; stays the caller's. */
  constructor(rootFd: number, options: DirectoryCacheOptions) {
    this.#rootFd = rootFd;
    this.#options = options;
    this.#root = this.#adopt(rootFd, "" as ByteString);
    this.#last = this.#root;
  }

  /** The root itself. */
  get root(): OpenDirectory {
    return this.#root;
  }

  /** The directory `path` when it exists; links on the way are followed as if the root were `/`. */
  find(path: ByteString): OpenDirectory | undefined {
    if (path === this.#last.path) return this.#last;
    if (path === "") return this.#root;
    const known = this.#open.get(path);
    if (known !== undefined) return this.#use(known);
    const fd = tryOpenat2(this.#rootFd, path, {
      flags: O_RDONLY | O_DIRECTORY,
      resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    });
    if (fd >= 0) return this.#use(this.#adopt(fd, path));
    if (fd === -ERRNO.ELOOP!) return this.#findThroughLinks(path);
    if (fd === -ERRNO.ENOENT! || fd === -ERRNO.ENOTDIR!) return undefined;
    throw new ErrnoError("openat2", -fd, displayName(path));
  }

  /**
   * The directory `path`; it and its parents are made (0755, root) where they are missing. A link to a directory that
   * is missing is followed and that made; what else is in the way is replaced.
   *
   * @param mtime For those that are made.
   */
  make(path: ByteString, mtime: FileTime): OpenDirectory {
    return this.find(path) ?? this.#make(path, mtime, 0);
  }

  /** The directory `name` that was just made in `parent`. */
  add(parent: OpenDirectory, name: ByteString, mtime: FileTime): OpenDirectory {
    const directory = this.#adopt(openDirectoryAt(parent.fd, name), joined(parent.path, name), mtime);
    return this.#use(directory);
  }

  /** Forgets `path` and all below it, because they are about to be removed or replaced. */
  forget(path: ByteString): void {
    const below = `${path}/`;
    for (const directory of this.#open.values()) {
      if (directory.path !== path && !directory.path.startsWith(below)) continue;
      this.#open.delete(directory.path);
      if (this.#last === directory) this.#last = this.#root;
      closeFd(directory.fd);
    }
  }

  /** Gives every directory its time and closes all but the root. */
  close(): void {
    for (const directory of this.#open.values()) this.#close(directory);
    this.#open.clear();
    this.#last = this.#root;
    this.#restore(this.#root);
  }

  /** Closes without restoring times; after {@linkcode close} there is nothing left to do. */
  [Symbol.dispose](): void {
    for (const directory of this.#open.values()) closeFd(directory.fd);
    this.#open.clear();
  }

  #make(path: ByteString, mtime: FileTime, links: number): OpenDirectory {
    const slash = path.lastIndexOf("/");
    const parentPath = (slash < 0 ? "" : path.slice(0, slash)) as ByteString;
    const parent = this.find(parentPath) ?? this.#make(parentPath, mtime, links);
    const name = path.slice(slash + 1) as ByteString;
    const status = statxAtIfPresent(parent.fd, name);
    if (status?.type === "symlink" && this.#follows(joined(parent.path, name))) {
      return this.#makeTarget(parent.path, readlinkAt(parent.fd, name), mtime, links + 1);
    }
    if (status?.type === "directory") {
      const found = this.find(joined(parent.path, name));
      if (found !== undefined) return found;
    }
    if (status !== undefined) this.#options.replace(parent, name);
    mkdirAt(parent.fd, name, 0o700);
    parent.changed = true;
    const directory = this.add(parent, name, mtime);
    directory.changed = true;
    chownFd(directory.fd, 0, 0);
    chmodFd(directory.fd, 0o755);
    this.#options.onImplied(directory.path, status);
    return directory;
  }

  /** What a link to a missing directory names, component by component, never above the root. */
  #makeTarget(from: ByteString, target: ByteString, mtime: FileTime, links: number): OpenDirectory {
    if (links > MAX_LINKS) {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Refused the archive: its link to "${displayName(target)}" leads in a circle`,
      );
    }
    let at = target.startsWith("/") ? "" as ByteString : from;
    for (const part of target.split("/")) {
      if (part === "" || part === ".") continue;
      if (part === "..") at = at.slice(0, Math.max(0, at.lastIndexOf("/"))) as ByteString;
      else {
        const path = joined(at, part as ByteString);
        at = (this.find(path) ?? this.#make(path, mtime, links)).path;
      }
    }
    return this.find(at) ?? this.#make(at, mtime, links);
  }

  #follows(link: ByteString): boolean {
    return this.#options.follows?.(link) ?? true;
  }

  /** Where a path leads by links that are followed, component by component; `undefined` where another is on the way. */
  #realPathByLinks(path: ByteString): ByteString | undefined {
    const rest = path.split("/").reverse();
    let at = "" as ByteString;
    for (let links = 0; rest.length > 0;) {
      const part = rest.pop() as ByteString;
      if (part === "" || part === ".") continue;
      if (part === "..") {
        at = at.slice(0, Math.max(0, at.lastIndexOf("/"))) as ByteString;
        continue;
      }
      const directory = this.find(at);
      const status = directory && statxAtIfPresent(directory.fd, part);
      if (directory === undefined || status === undefined) return undefined;
      const here = joined(at, part);
      if (status.type !== "symlink") {
        at = here;
        continue;
      }
      if (!this.#follows(here) || ++links > MAX_LINKS) return undefined;
      const target = readlinkAt(directory.fd, part);
      if (target.startsWith("/")) at = "" as ByteString;
      rest.push(...target.split("/").reverse());
    }
    return at;
  }

  #findThroughLinks(path: ByteString): OpenDirectory | undefined {
    if (this.#options.follows !== undefined) {
      const real = this.#realPathByLinks(path);
      return real === undefined ? undefined : this.find(real);
    }
    const fd = tryOpenat2(this.#rootFd, path, {
      flags: O_RDONLY | O_DIRECTORY,
      resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    });
    // Links that lead in a circle lead to no directory.
    if (fd === -ERRNO.ENOENT! || fd === -ERRNO.ENOTDIR! || fd === -ERRNO.ELOOP!) return undefined;
    if (fd < 0) throw new ErrnoError("openat2", -fd, displayName(path));
    const real = this.#realPath(fd);
    const known = real === "" ? this.#root : this.#open.get(real);
    if (known === undefined) return this.#use(this.#adopt(fd, real));
    closeFd(fd);
    return this.#use(known);
  }

  #realPath(fd: number): ByteString {
    this.#rootPath ??= pathOfFd(this.#rootFd);
    const real = pathOfFd(fd);
    const prefix = this.#rootPath === "/" ? "/" : `${this.#rootPath}/`;
    if (real === this.#rootPath) return "" as ByteString;
    if (real.startsWith(prefix)) return real.slice(prefix.length) as ByteString;
    closeFd(fd);
    throw new LaminaError("CONFLICT", `Cannot write below "${displayName(this.#rootPath)}": it was moved meanwhile`);
  }

  #adopt(fd: number, path: ByteString, mtime?: FileTime): OpenDirectory {
    if (mtime === undefined && this.#options.keepTimes(path)) {
      const status = statxFd(fd);
      mtime = { s: status.mtime_s, ns: status.mtime_ns };
    }
    return { fd, path, mtime, changed: false };
  }

  #use(directory: OpenDirectory): OpenDirectory {
    this.#last = directory;
    if (directory === this.#root) return directory;
    this.#open.delete(directory.path);
    this.#open.set(directory.path, directory);
    if (this.#open.size > MAX_OPEN) {
      const oldest = this.#open.values().next().value!;
      this.#open.delete(oldest.path);
      this.#close(oldest);
    }
    return directory;
  }

  #close(directory: OpenDirectory): void {
    try {
      this.#restore(directory);
    } finally {
      closeFd(directory.fd);
    }
  }

  #restore(directory: OpenDirectory): void {
    if (directory.changed && directory.mtime !== undefined) setTimesFd(directory.fd, directory.mtime);
    directory.changed = false;
  }
}

/** `name` below `path`. */
export function joined(path: ByteString, name: ByteString): ByteString {
  return (path === "" ? name : `${path}/${name}`) as ByteString;
}
