/**
 * Writes entries into a tree, each relative to the descriptor of its directory. An entry replaces what has its name,
 * except that a directory on a directory only replaces the attributes.
 */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import {
  AT_EMPTY_PATH,
  closeFd,
  type FileStatus,
  openAt,
  openDirectoryAt,
  statxAtIfPresent,
} from "../../../runtime/host/fs_calls.ts";
import {
  chmodAt,
  chmodFd,
  chownAt,
  chownFd,
  linkAt,
  mkdirAt,
  mknodAt,
  rmdirAt,
  S_IF,
  setTimesAt,
  setTimesFd,
  symlinkAt,
  unlinkAt,
} from "../../../runtime/host/fs_change_calls.ts";
import { checked, isErrno, libc } from "../../../runtime/host/libc.ts";
import { AT_FDCWD, O_CREAT, O_EXCL, O_NOFOLLOW, O_PATH, O_WRONLY } from "../../../runtime/host/openat2.ts";
import { procPath, readXattrs, removeXattr, setXattr, setXattrAt } from "../../../runtime/host/xattr_calls.ts";
import { DirectoryCache, type DirectoryCacheOptions, joined, type OpenDirectory } from "./directory_cache.ts";
import { isOverlayControl } from "./entry_guard.ts";
import { shownPath } from "./tree_error.ts";
import type { TarEntry } from "./tar_reader.ts";
import { walkTree } from "./walk_tree.ts";

/** What an inode gets besides its kind. */
export type Attributes = Pick<TarEntry, "mode" | "uid" | "gid" | "mtime" | "atime"> & {
  /** Under the names they are stored by. */
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array<ArrayBuffer>>;
};

/** How a writer behaves. */
export interface TreeWriterOptions {
  /** See `DirectoryCacheOptions`. */
  readonly keepTimes: DirectoryCacheOptions["keepTimes"];
  readonly onImplied: DirectoryCacheOptions["onImplied"];
  readonly follows?: DirectoryCacheOptions["follows"];
  /** Told before a regular file is removed to make place. */
  readonly beforeRemove: (path: ByteString, dirFd: number, name: ByteString, status: FileStatus) => void;
  /** Told when something that is no directory makes place for one. */
  readonly onTurnedDirectory: (path: ByteString) => void;
  /** Refuse to replace a directory by something else, and something else by a directory. */
  readonly keepKinds: boolean;
  /** For people: what could not be kept. */
  readonly warn: (message: string) => void;
  /** Called often; throws to end the work. */
  readonly check: () => void;
}

/** A place in the tree: its directory exists. */
export interface Place {
  readonly parent: OpenDirectory;
  readonly name: ByteString;
  /** The place's real path. */
  readonly path: ByteString;
}

/** See the head of the file. */
export class TreeWriter implements Disposable {
  readonly directories: DirectoryCache;
  readonly #options: TreeWriterOptions;

  /** @param rootFd Descriptor of the root directory; stays the caller's. */
  constructor(rootFd: number, options: TreeWriterOptions) {
    this.#options = options;
    this.directories = new DirectoryCache(rootFd, {
      keepTimes: options.keepTimes,
      onImplied: options.onImplied,
      follows: options.follows,
      replace: (parent, name) => this.#makeRoom(place(parent, name), true),
    });
  }

  [Symbol.dispose](): void {
    this.directories[Symbol.dispose]();
  }

  /** The place `path` (not the root); missing parents are made. */
  place(path: ByteString, mtime: Attributes["mtime"]): Place {
    const slash = path.lastIndexOf("/");
    const parent = this.directories.make((slash < 0 ? "" : path.slice(0, slash)) as ByteString, mtime);
    return place(parent, path.slice(slash + 1) as ByteString);
  }

  /** The place `path` if its directory exists. */
  findPlace(path: ByteString): Place | undefined {
    const slash = path.lastIndexOf("/");
    const parent = this.directories.find((slash < 0 ? "" : path.slice(0, slash)) as ByteString);
    return parent && place(parent, path.slice(slash + 1) as ByteString);
  }

  /** Makes a directory or replaces the attributes of the one that is there. */
  directory(at: Place, attributes: Attributes): void {
    if (statxAtIfPresent(at.parent.fd, at.name)?.type === "directory") {
      const there = this.directories.find(at.path);
      if (there !== undefined) return this.directoryAttributes(there, attributes);
    }
    this.#create(at, () => mkdirAt(at.parent.fd, at.name, 0o700), true);
    const made = this.directories.add(at.parent, at.name, attributes.mtime);
    this.#attributesFd(made.fd, attributes, at.path);
    made.changed = true;
  }

  /** Replaces a directory's attributes, also those that only the old ones have. */
  directoryAttributes(directory: OpenDirectory, attributes: Attributes): void {
    for (const [name] of readXattrs(directory.fd)) {
      if (attributes.xattrs.has(name) || isOverlayControl(name) || !isOurs(name)) continue;
      removeXattr(directory.fd, name);
    }
    this.#attributesFd(directory.fd, attributes, directory.path);
    directory.mtime = attributes.mtime;
    directory.changed = true;
  }

  /** Makes an empty file and opens it. To be ended by {@linkcode finishFile}. */
  createFile(at: Place): number {
    return this.#create(
      at,
      () => openAt(at.parent.fd, at.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600),
    );
  }

  /** Sets the attributes of a file and closes it. */
  finishFile(fd: number, at: Place, attributes: Attributes): void {
    this.#attributesFd(fd, attributes, at.path);
    setTimesFd(fd, attributes.mtime, attributes.atime ?? attributes.mtime);
    closeFd(fd);
  }

  /** Makes a symbolic link. */
  symlink(at: Place, target: ByteString, attributes: Attributes): void {
    this.#create(at, () => symlinkAt(target, at.parent.fd, at.name));
    const { fd } = at.parent;
    chownAt(fd, at.name, attributes.uid, attributes.gid);
    this.#xattrs(attributes, at.path, (name, value) => setXattrAt(fd, at.name, name, value));
    setTimesAt(fd, at.name, attributes.mtime, attributes.atime ?? attributes.mtime);
  }

  /**
   * Makes a device node or a FIFO.
   *
   * @returns false when the kernel does not permit it.
   */
  node(at: Place, type: "char" | "block" | "fifo", major: number, minor: number, attributes: Attributes): boolean {
    const kind = type === "char" ? S_IF.CHR : type === "block" ? S_IF.BLK : S_IF.FIFO;
    try {
      this.#create(at, () => mknodAt(at.parent.fd, at.name, kind, 0o600, major, minor));
    } catch (error) {
      if (isErrno(error, "EPERM") && type !== "fifo") return false;
      throw error;
    }
    // By a descriptor: were the name a link by now, chmod would follow it.
    const fd = openAt(at.parent.fd, at.name, O_PATH | O_NOFOLLOW);
    try {
      checked(libc.fchownat(fd, empty, attributes.uid, attributes.gid, AT_EMPTY_PATH), "fchownat", at.name);
      chmodAt(AT_FDCWD, procPath(fd, "" as ByteString), attributes.mode);
      this.#xattrs(attributes, at.path, (name, value) => setXattrAt(at.parent.fd, at.name, name, value));
      setTimesAt(fd, "" as ByteString, attributes.mtime, attributes.atime ?? attributes.mtime);
    } finally {
      closeFd(fd);
    }
    return true;
  }

  /** Makes `at` another name of the inode at `target`, which exists. */
  link(at: Place, target: Place): void {
    if (at.path === target.path) return;
    this.#create(at, () => linkAt(target.parent.fd, target.name, at.parent.fd, at.name));
  }

  /** Removes what is at a place, if anything is. Refuses to go into what is mounted there. */
  remove(at: Place): void {
    const status = statxAtIfPresent(at.parent.fd, at.name);
    if (status === undefined) return;
    at.parent.changed = true;
    if (status.type !== "directory") return this.#unlink(at.parent.fd, at.name, at.path, status);
    this.directories.forget(at.path);
    const fd = openDirectoryAt(at.parent.fd, at.name);
    try {
      for (const node of walkTree(fd, { check: this.#options.check })) {
        if (node.depth === 0) continue;
        const path = joined(at.path, node.path);
        if (node.mountPoint) throw mounted(path);
        if (node.phase === "leave") rmdirAt(node.parentFd, node.name);
        else if (node.fd < 0) this.#unlink(node.parentFd, node.name, path, node.status);
      }
    } finally {
      closeFd(fd);
    }
    try {
      rmdirAt(at.parent.fd, at.name);
    } catch (error) {
      throw isErrno(error, "EBUSY") ? mounted(at.path) : error;
    }
  }

  #unlink(dirFd: number, name: ByteString, path: ByteString, status: FileStatus): void {
    if (status.type === "file") this.#options.beforeRemove(path, dirFd, name, status);
    try {
      unlinkAt(dirFd, name);
    } catch (error) {
      throw isErrno(error, "EBUSY") ? mounted(path) : error;
    }
  }

  #create<T>(at: Place, make: () => T, directory = false): T {
    at.parent.changed = true;
    for (let attempt = 0;; attempt++) {
      try {
        return make();
      } catch (error) {
        if (!isErrno(error, "EEXIST") || attempt > 8) throw error;
        this.#makeRoom(at, directory);
      }
    }
  }

  #makeRoom(at: Place, directory: boolean): void {
    const found = this.#options.keepKinds ? statxAtIfPresent(at.parent.fd, at.name)?.type : undefined;
    if (found !== undefined && (found === "directory") !== directory) {
      const [old, wanted] = directory ? ["non-directory", "directory"] : ["directory", "non-directory"];
      throw new LaminaError("CONFLICT", `Cannot overwrite ${old} "${shownPath(at.path)}" with ${wanted}`);
    }
    if (directory) this.#options.onTurnedDirectory(at.path);
    this.remove(at);
  }

  // In this order: a change of owner drops setuid bits and capabilities.
  #attributesFd(fd: number, attributes: Attributes, path: ByteString): void {
    chownFd(fd, attributes.uid, attributes.gid);
    chmodFd(fd, attributes.mode);
    if (attributes.xattrs.size > 0) {
      this.#xattrs(attributes, path, (name, value) => setXattr(fd, name, value));
    }
  }

  #xattrs(
    attributes: Attributes,
    path: ByteString,
    set: (name: ByteString, value: Uint8Array<ArrayBuffer>) => void,
  ): void {
    for (const [name, value] of attributes.xattrs) {
      try {
        set(name, value);
      } catch (error) {
        // Labels of another host's policy, `user.*` on a link, a file system without attributes: as tar does.
        const tolerable = isErrno(error, "EOPNOTSUPP") || isErrno(error, "EPERM") && name !== "security.capability";
        if (!tolerable) throw error;
        this.#options.warn(`The extended attribute ${name} of "${shownPath(path)}" cannot be kept here`);
      }
    }
  }
}

const empty = new Uint8Array(1);

function place(parent: OpenDirectory, name: ByteString): Place {
  return { parent, name, path: joined(parent.path, name) };
}

/** Whether an archive decides about this attribute; the others are the host's. */
function isOurs(name: ByteString): boolean {
  return name.startsWith("user.") || name.startsWith("trusted.") || name.startsWith("system.posix_acl_");
}

function mounted(path: ByteString): LaminaError {
  return new LaminaError(
    "CONFLICT",
    `Cannot replace "${shownPath(path)}": something is mounted there. Unmount it first`,
  );
}
