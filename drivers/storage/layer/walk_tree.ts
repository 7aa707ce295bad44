/**
 * Walks a file tree by directory descriptors: sorted, depth first, never through a symbolic link, by default never
 * across a mount point, and to any depth with few descriptors open.
 */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import {
  closeFd,
  type FileStatus,
  openAt,
  openDirectoryAt,
  readDirectory,
  statxAtIfPresent,
  statxFd,
} from "../../../runtime/host/fs_calls.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import { isPlaceholder } from "../../../runtime/host/placeholders.ts";
import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../../runtime/host/openat2.ts";
import { changedMeanwhile, joinPath, treeError } from "./tree_error.ts";

/** A visited inode. Descriptors are valid until the walk's next step. */
export interface WalkNode {
  /** `leave` comes after everything below a directory, and for directories only. */
  readonly phase: "enter" | "leave";
  /** Relative to the start, without leading slash; empty for the start itself. */
  readonly path: ByteString;
  readonly name: ByteString;
  /** 0 for the start. */
  readonly depth: number;
  /** Descriptor of the directory that holds it; -1 for the start. */
  readonly parentFd: number;
  /** Descriptor of the directory itself; -1 for anything else. */
  readonly fd: number;
  readonly status: FileStatus;
  /** Something is mounted here, so that the walk ends here; `status` is that of the mounted root. */
  readonly mountPoint: boolean;
}

/** How a tree is walked. */
export interface WalkOptions {
  /** Also enter what is mounted in the tree. Default false. */
  readonly crossMounts?: boolean;
  /** Leave out what stands where a container has a device (`runtime/host/placeholders.ts`). Default false. */
  readonly skipPlaceholders?: boolean;
  /** Called once per step; throws to end the walk. */
  readonly check?: () => void;
}

interface Frame {
  readonly path: ByteString;
  readonly name: ByteString;
  readonly depth: number;
  readonly status: FileStatus;
  readonly names: readonly ByteString[];
  next: number;
  /** -1 while closed to save descriptors. */
  fd: number;
}

/** So many innermost directories stay open; those above are reopened by `..` on the way back. */
const OPEN_FRAMES = 48;

/**
 * A walk under way. `next` gives one node after the other; disposing it closes what is open.
 *
 * Names that vanish while the tree is walked are left out. What else fails throws a `LaminaError` with the path.
 */
export class TreeWalk implements Disposable {
  readonly #check: () => void;
  readonly #crossMounts: boolean;
  readonly #skipPlaceholders: boolean;
  readonly #stack: Frame[] = [];
  readonly #rootMount: bigint;
  /** The directory that `next` gave last and that is to be entered. */
  #entering: { node: WalkNode; fd: number } | undefined;
  #start: number | undefined;

  /** @param rootFd A directory's descriptor; the walk works on one of its own. */
  constructor(rootFd: number, options: WalkOptions = {}) {
    this.#check = options.check ?? (() => {});
    this.#crossMounts = options.crossMounts ?? false;
    this.#skipPlaceholders = options.skipPlaceholders ?? false;
    this.#start = openAt(rootFd, "." as ByteString, O_RDONLY | O_DIRECTORY);
    this.#rootMount = statxFd(this.#start).mountId;
  }

  /** The next node; `undefined` at the end. */
  next(): WalkNode | undefined {
    this.#check();
    if (this.#start !== undefined) return this.#enterStart(this.#start);
    this.#descend();
    for (;;) {
      const frame = this.#stack.at(-1);
      if (frame === undefined) return undefined;
      if (frame.next >= frame.names.length) return this.#leave(frame);
      const node = this.#visit(frame, frame.names[frame.next++]!);
      if (node !== undefined) return node;
    }
  }

  /** Does not enter the directory that `next` has just given; its `leave` follows directly. */
  skip(): void {
    const entering = this.#entering;
    if (entering === undefined) return;
    this.#entering = undefined;
    this.#push(entering.node, entering.fd, []);
  }

  [Symbol.dispose](): void {
    if (this.#start !== undefined) closeFd(this.#start);
    if (this.#entering !== undefined) closeFd(this.#entering.fd);
    for (const frame of this.#stack) if (frame.fd >= 0) closeFd(frame.fd);
    this.#stack.length = 0;
    this.#start = this.#entering = undefined;
  }

  #enterStart(fd: number): WalkNode {
    this.#start = undefined;
    const empty = "" as ByteString;
    const status = statxFd(fd);
    const node: WalkNode = {
      phase: "enter",
      path: empty,
      name: empty,
      depth: 0,
      parentFd: -1,
      fd,
      status,
      mountPoint: false,
    };
    this.#entering = { node, fd };
    return node;
  }

  #visit(frame: Frame, name: ByteString): WalkNode | undefined {
    const path = joinPath(frame.path, name);
    try {
      // A second look when a name changes its type between being looked at and being opened.
      for (let attempt = 0; attempt < 8; attempt++) {
        const seen = statxAtIfPresent(frame.fd, name);
        if (seen === undefined || (this.#skipPlaceholders && isPlaceholder(seen))) return undefined;
        const mountPoint = !this.#crossMounts && seen.mountId !== this.#rootMount;
        const depth = frame.depth + 1;
        if (seen.type !== "directory" || mountPoint) {
          return { phase: "enter", path, name, depth, parentFd: frame.fd, fd: -1, status: seen, mountPoint };
        }
        const fd = tryOpenDirectory(frame.fd, name);
        if (fd === undefined) continue;
        const status = statxFd(fd);
        if (!this.#crossMounts && status.mountId !== this.#rootMount) {
          closeFd(fd); // mounted in between
          continue;
        }
        const node: WalkNode = { phase: "enter", path, name, depth, parentFd: frame.fd, fd, status, mountPoint: false };
        this.#entering = { node, fd };
        return node;
      }
    } catch (error) {
      throw treeError("Cannot read", path, error);
    }
    throw changedMeanwhile("Cannot walk", path, "it was replaced");
  }

  #descend(): void {
    const entering = this.#entering;
    if (entering === undefined) return;
    this.#entering = undefined;
    let names: ByteString[] = [];
    try {
      names = readDirectory(entering.fd);
    } catch (error) {
      // Removed since it was opened: then nothing is in it.
      if (!isErrno(error, "ENOENT")) {
        closeFd(entering.fd);
        throw treeError("Cannot list", entering.node.path, error);
      }
    }
    this.#push(entering.node, entering.fd, names.sort());
  }

  #push(node: WalkNode, fd: number, names: readonly ByteString[]): void {
    const { path, name, depth, status } = node;
    this.#stack.push({ path, name, depth, status, names, next: 0, fd });
    const outer = this.#stack[this.#stack.length - 1 - OPEN_FRAMES];
    if (outer !== undefined && outer.fd >= 0) {
      closeFd(outer.fd);
      outer.fd = -1;
    }
  }

  // The frame stays on the stack, its descriptor open, until the step after its `leave`.
  #leave(frame: Frame): WalkNode | undefined {
    if (frame.next > frame.names.length) {
      this.#stack.pop();
      closeFd(frame.fd);
      return this.next();
    }
    frame.next = frame.names.length + 1;
    const parent = this.#stack.at(-2);
    if (parent !== undefined && parent.fd < 0) this.#reopen(parent, frame);
    const { path, name, depth, fd, status } = frame;
    return { phase: "leave", path, name, depth, parentFd: parent?.fd ?? -1, fd, status, mountPoint: false };
  }

  #reopen(parent: Frame, child: Frame): void {
    let fd: number;
    try {
      fd = openAt(child.fd, ".." as ByteString, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    } catch (error) {
      throw treeError("Cannot return to", parent.path, error);
    }
    const now = statxFd(fd);
    if (now.ino !== parent.status.ino || now.mountId !== parent.status.mountId) {
      closeFd(fd);
      throw changedMeanwhile("Cannot return to", parent.path, "it was moved");
    }
    parent.fd = fd;
  }
}

function tryOpenDirectory(parentFd: number, name: ByteString): number | undefined {
  try {
    return openDirectoryAt(parentFd, name);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  }
}

/** Every node of the tree below `rootFd`, `leave` included; see {@linkcode TreeWalk}. */
export function* walkTree(rootFd: number, options: WalkOptions = {}): Generator<WalkNode, void, void> {
  using walk = new TreeWalk(rootFd, options);
  for (let node = walk.next(); node !== undefined; node = walk.next()) yield node;
}
