/** Makes archive entries of walked inodes. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { closeFd, type FileStatus, openToReadAt, readlinkAt, statxFd } from "../../../runtime/host/fs_calls.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import { readXattrs, readXattrsAt, type Xattrs } from "../../../runtime/host/xattr_calls.ts";
import { encodeTarHead, type TarHead } from "./tar_encode.ts";
import { TarOutput } from "./tar_output.ts";
import { changedMeanwhile, treeError } from "./tree_error.ts";
import type { WalkNode } from "./walk_tree.ts";

type Chunk = Uint8Array<ArrayBuffer>;

/** How entries are made. */
export interface TarEntryOptions {
  /** Later modification times become this: seconds since the epoch (`SOURCE_DATE_EPOCH`). */
  readonly clampMtime_s?: number;
  /** Name of an extended attribute in the archive; `undefined` leaves it out. Default {@linkcode portableXattr}. */
  readonly xattrName?: (name: ByteString) => ByteString | undefined;
  /** Called once per chunk; throws to end the work. */
  readonly check?: () => void;
}

// Labels and signatures of this host's policy; meaningless and mostly refused elsewhere.
const HOST_XATTRS = new Set(["security.selinux", "security.ima", "security.evm", "security.apparmor"]);

/** Leaves out what belongs to the host and not to the file; all else goes out as it is. */
export function portableXattr(name: ByteString): ByteString | undefined {
  return HOST_XATTRS.has(name) ? undefined : name;
}

/** See the head of the file. Remembers hard links: all names of an inode after the first become links to that. */
export class TarEntries {
  readonly #output: TarOutput;
  readonly #clampMtime_s: number;
  readonly #xattrName: (name: ByteString) => ByteString | undefined;
  readonly #firstNames = new Map<string, { path: ByteString; left: number }>();

  constructor(options: TarEntryOptions = {}) {
    this.#output = new TarOutput(options.check);
    this.#clampMtime_s = options.clampMtime_s ?? Infinity;
    this.#xattrName = options.xattrName ?? portableXattr;
  }

  /**
   * Adds an inode, at `path` in the archive (directories without their slash; empty for `./`). Sockets are left out, and
   * so is what vanished meanwhile. Where something is mounted only an empty directory or file goes out.
   */
  *add(node: WalkNode, path: ByteString): Generator<Chunk, void, void> {
    const { status } = node;
    switch (status.type) {
      case "directory":
        this.addDirectory(path, status, node.fd < 0 ? [] : this.#xattrs(() => readXattrs(node.fd), node.path));
        break;
      case "file":
        yield* this.#addFile(node, path);
        break;
      case "symlink":
      case "char":
      case "block":
      case "fifo":
        this.#addSpecial(node, path, status.type);
        break;
      case "socket":
      case "unknown":
        return;
    }
    yield* this.#output.take();
  }

  /** Adds a directory of which the attributes are known. */
  addDirectory(path: ByteString, status: FileStatus, xattrs: Xattrs): void {
    const name = (path === "" ? "./" : path.endsWith("/") ? path : `${path}/`) as ByteString;
    this.#put({ ...this.#head(name, status), type: "directory", xattrs: this.#exported(xattrs) });
  }

  /** Adds an empty file that is only a sign: a whiteout. Always the same bytes. */
  addMarker(path: ByteString): void {
    const attributes = { mode: 0, uid: 0, gid: 0, size_bytes: 0, mtime_s: 0, mtime_ns: 0 };
    this.#put({ ...attributes, path, type: "file" });
  }

  /** Remembers a name that is in the archive's parent already: later names of its inode become links to it. */
  noteName({ status }: WalkNode, path: ByteString): void {
    this.#firstName(status, path);
  }

  /** Full chunks so far. */
  take(): Generator<Chunk, void, void> {
    return this.#output.take();
  }

  /** Ends the archive. */
  end(): Generator<Chunk, void, void> {
    return this.#output.end();
  }

  *#addFile(node: WalkNode, path: ByteString): Generator<Chunk, void, void> {
    if (node.mountPoint) {
      this.#put({ ...this.#head(path, node.status), type: "file" });
      return;
    }
    const first = this.#firstName(node.status, path);
    if (first !== undefined) {
      this.#put({ ...this.#head(path, node.status), type: "hardlink", linkTarget: first });
      return;
    }
    const fd = openIfPresent(node);
    if (fd === undefined) {
      this.#forget(node.status);
      return;
    }
    try {
      const status = statxFd(fd);
      if (status.type !== "file") throw changedMeanwhile("Cannot archive", node.path, "it was replaced");
      const xattrs = this.#exported(this.#xattrs(() => readXattrs(fd), node.path));
      this.#put({ ...this.#head(path, status), type: "file", size_bytes: status.size_bytes, xattrs });
      yield* this.#output.file(fd, status.size_bytes, node.path);
    } finally {
      closeFd(fd);
    }
  }

  #addSpecial(node: WalkNode, path: ByteString, type: "symlink" | "char" | "block" | "fifo"): void {
    const { status, parentFd, name } = node;
    if (node.mountPoint) return; // a file mounted over a file; there is nothing of the tree to see
    const first = this.#firstName(status, path);
    if (first !== undefined) {
      this.#put({ ...this.#head(path, status), type: "hardlink", linkTarget: first });
      return;
    }
    try {
      const xattrs = this.#exported(this.#xattrs(() => readXattrsAt(parentFd, name), node.path));
      const linkTarget = type === "symlink" ? readlinkAt(parentFd, name) : undefined;
      const device = type === "char" || type === "block"
        ? { devMajor: status.rdevMajor, devMinor: status.rdevMinor }
        : {};
      this.#put({ ...this.#head(path, status), type, linkTarget, xattrs, ...device });
    } catch (error) {
      this.#forget(status);
      if (isErrno(error, "ENOENT", "EINVAL")) return; // vanished, or became something else
      throw treeError("Cannot archive", node.path, error);
    }
  }

  #head(path: ByteString, status: FileStatus): Omit<TarHead, "type"> {
    const late = status.mtime_s >= this.#clampMtime_s;
    return {
      path,
      mode: status.mode,
      uid: status.uid,
      gid: status.gid,
      size_bytes: 0,
      mtime_s: late ? this.#clampMtime_s : status.mtime_s,
      mtime_ns: late ? 0 : status.mtime_ns,
    };
  }

  #put(head: TarHead): void {
    this.#output.put(encodeTarHead(head));
  }

  // The path of the inode's first name when it was added before; else this becomes the first.
  #firstName(status: FileStatus, path: ByteString): ByteString | undefined {
    if (status.nlink < 2) return undefined;
    const key = inodeKey(status);
    const known = this.#firstNames.get(key);
    if (known === undefined) {
      this.#firstNames.set(key, { path, left: status.nlink - 1 });
      return undefined;
    }
    if (--known.left === 0) this.#firstNames.delete(key);
    return known.path;
  }

  #forget(status: FileStatus): void {
    this.#firstNames.delete(inodeKey(status));
  }

  #xattrs(read: () => Xattrs, path: ByteString): Xattrs {
    try {
      return read();
    } catch (error) {
      if (isErrno(error, "ENOENT")) throw error;
      throw treeError("Cannot read the extended attributes of", path, error);
    }
  }

  #exported(xattrs: Xattrs): Xattrs {
    if (xattrs.length === 0) return xattrs;
    return xattrs.flatMap(([name, value]) => {
      const exported = this.#xattrName(name);
      return exported === undefined ? [] : [[exported, value] as const];
    });
  }
}

/** Tells inodes apart. */
export function inodeKey(status: FileStatus): string {
  return `${status.devMajor}:${status.devMinor}:${status.ino}`;
}

function openIfPresent(node: WalkNode): number | undefined {
  try {
    return openToReadAt(node.parentFd, node.name);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ELOOP")) return undefined;
    throw treeError("Cannot read", node.path, error);
  }
}
