/** The changes between two whole trees, for drivers whose snapshots do not record them. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { closeFd, type FileStatus, openAt, openToReadAt, readFd, readlinkAt } from "../../../runtime/host/fs_calls.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../../../runtime/host/openat2.ts";
import { readXattrs, readXattrsAt, type Xattrs } from "../../../runtime/host/xattr_calls.ts";
import type { DiffSource } from "./engine.ts";
import { refuseReserved, whiteoutPath } from "./diff_overlay_tar.ts";
import { inodeKey, TarEntries, type TarEntryOptions } from "./tar_entries.ts";
import { HeldDirectories, sameStatus, sameXattrs, type TreeChange } from "./tree_change.ts";
import { touchedInodesOf } from "./touched_inodes.ts";
import { absolutePath, treeError } from "./tree_error.ts";
import { TreeWalk, type WalkNode } from "./walk_tree.ts";
import { layerXattr } from "./whiteout_marks.ts";

/** Two trees. */
export type CompareSource = Extract<DiffSource, { kind: "compare" }>;

/** A directory that is only written down because of what changed below it; its descriptor is gone by then. */
interface HeldDirectory {
  readonly path: ByteString;
  readonly status: FileStatus;
  readonly xattrs: Xattrs;
}

type CompareStep =
  | { readonly kind: "added" | "modified"; readonly path: ByteString; readonly node: WalkNode }
  | { readonly kind: "modified"; readonly path: ByteString; readonly held: HeldDirectory }
  | { readonly kind: "deleted"; readonly path: ByteString }
  /** Unchanged, but one of several names of its inode. Only with `links`. */
  | { readonly kind: "linked"; readonly path: ByteString; readonly node: WalkNode };

/**
 * The changes, sorted by path (component by component), with the same meaning as those of `overlayChanges`: the root is
 * never listed, a directory is `modified` when its own attributes differ or something below it changed, what is below a
 * deleted directory is not listed.
 */
export function* compareChanges(source: CompareSource, check?: () => void): Generator<TreeChange, void, void> {
  for (const step of compareTrees(source, { links: false, check })) {
    if (step.path !== "" && step.kind !== "linked") yield { kind: step.kind, path: step.path };
  }
}

/** The changes as a layer archive; without a parent the whole tree. Empty when nothing differs but the root's times. */
export function* compareTar(
  source: CompareSource,
  options: Omit<TarEntryOptions, "xattrName"> = {},
): Generator<Uint8Array<ArrayBuffer>, void, void> {
  const entries = new TarEntries({ ...options, xattrName: layerXattr });
  for (const step of compareTrees(source, { links: true, check: options.check })) {
    if (step.kind === "linked") entries.noteName(step.node, step.path);
    else if (step.kind === "deleted") entries.addMarker(whiteoutPath(step.path));
    else if ("held" in step) entries.addDirectory(step.path, step.held.status, step.held.xattrs);
    else {
      refuseReserved(step.node);
      yield* entries.add(step.node, step.path);
    }
    yield* entries.take();
  }
  yield* entries.end();
}

/**
 * Both trees are walked in the same order, so that the walks can be merged like two sorted lists. With `links` a file
 * that got a further name counts as modified: only an archive that holds it can say that the new name is the same file.
 */
function* compareTrees(
  source: CompareSource,
  { links, check }: { links: boolean; check?: () => void },
): Generator<CompareStep, void, void> {
  using walk = openWalk(source.tree, check);
  using parentWalk = source.parent === undefined ? undefined : openWalk(source.parent, check);
  const held = new HeldDirectories<HeldDirectory>();
  let now = walk.next();
  let before = parentWalk && enterNext(parentWalk);
  const isUntouched = untouchedTest(source, now!, before, check);
  while (now !== undefined || before !== undefined) {
    if (now?.phase === "leave" && (before === undefined || !isBelow(before.path, now.path))) {
      held.leave(now.depth);
      now = walk.next();
      continue;
    }
    // A directory is left only after what the parent alone has in it.
    const order = now === undefined || now.phase === "leave"
      ? 1
      : before === undefined
      ? -1
      : compareOrder(now.path, before.path);
    if (order === 0 && isUntouched(now!, before!)) {
      if (now!.fd >= 0) {
        walk.skip();
        parentWalk!.skip();
      }
      before = enterNext(parentWalk!);
      now = walk.next();
      continue;
    }
    if (order === 0 && !(links && isLinkedAnew(now!, before!)) && isSame(now!, before!, source)) {
      if (now!.fd >= 0) {
        held.hold(now!.depth, { path: now!.path, status: now!.status, xattrs: readXattrs(now!.fd) });
      } else if (links && now!.status.type !== "directory" && now!.status.nlink > 1) {
        yield { kind: "linked", path: now!.path, node: now! };
      }
    } else {
      for (const directory of held.release()) yield { kind: "modified", path: directory.path, held: directory };
      if (order > 0) yield { kind: "deleted", path: before!.path };
      else yield { kind: order < 0 ? "added" : "modified", path: now!.path, node: now! };
    }
    if (order >= 0) {
      // Below what was deleted, or is no directory any more, nothing is compared.
      if (order > 0 || now!.fd < 0) parentWalk!.skip();
      before = enterNext(parentWalk!);
    }
    if (order <= 0) now = walk.next();
  }
}

/** Whether two inodes at one path, and what is below them, are known to be the same without a look at them. */
function untouchedTest(
  { touched }: CompareSource,
  root: WalkNode,
  parentRoot: WalkNode | undefined,
  check: (() => void) | undefined,
): (now: WalkNode, before: WalkNode) => boolean {
  if (touched === undefined || parentRoot === undefined) return () => false;
  const inodes = touchedInodesOf(root.fd, touched, check);
  if (inodes === undefined) return () => false;
  // Numbers mean something on the trees' own file systems only: not in subvolumes or datasets inside.
  return ({ status: a }, { status: b }) =>
    a.ino === b.ino && !inodes.has(a.ino) && isOnSameDevice(a, root.status) && isOnSameDevice(b, parentRoot.status);
}

function isOnSameDevice(a: FileStatus, b: FileStatus): boolean {
  return a.devMajor === b.devMajor && a.devMinor === b.devMinor;
}

function openWalk(tree: string, check: (() => void) | undefined): TreeWalk {
  const path = absolutePath(tree);
  let fd: number;
  try {
    fd = openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    throw treeError("Cannot open the tree", path.slice(1) as ByteString, error);
  }
  try {
    return new TreeWalk(fd, { check, skipPlaceholders: true });
  } finally {
    closeFd(fd);
  }
}

function enterNext(walk: TreeWalk): WalkNode | undefined {
  for (;;) {
    const node = walk.next();
    if (node?.phase !== "leave") return node;
  }
}

/** Order of a walk: by path, component by component. Negative when `a` comes first. */
export function compareOrder(a: ByteString, b: ByteString): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) {
    const x = a.charCodeAt(i), y = b.charCodeAt(i);
    // A slash ends a component: it sorts before every byte of a longer name.
    if (x !== y) return (x === 0x2f ? 0 : x) - (y === 0x2f ? 0 : y);
  }
  return a.length - b.length;
}

function isBelow(path: ByteString, directory: ByteString): boolean {
  return directory === "" ? path !== "" : path.startsWith(`${directory}/`);
}

function isLinkedAnew(now: WalkNode, before: WalkNode): boolean {
  return now.status.type !== "directory" && now.status.nlink > before.status.nlink;
}

function isSame(now: WalkNode, before: WalkNode, source: CompareSource): boolean {
  const a = now.status, b = before.status;
  if (!sameStatus(a, b, { mtime: now.depth > 0 })) return false;
  if (inodeKey(a) === inodeKey(b)) return true;
  // Only the kernel sets this time, at every change. Of two snapshots of one inode it tells whether there was any.
  if (a.ino === b.ino && a.ctime_s === b.ctime_s && a.ctime_ns === b.ctime_ns) return true;
  try {
    if (a.type === "symlink" && readlinkAt(now.parentFd, now.name) !== readlinkAt(before.parentFd, before.name)) {
      return false;
    }
    if (!sameXattrs(xattrsOf(now), xattrsOf(before), layerXattr)) return false;
    return a.type !== "file" || a.size_bytes === 0 || !isDoubtful(a, b, source) || sameContent(now, before);
  } catch (error) {
    // Deleted just now: whoever wants to archive it finds that out.
    if (isErrno(error, "ENOENT")) return false;
    throw treeError("Cannot compare", now.path, error);
  }
}

function xattrsOf(node: WalkNode): Xattrs {
  return node.fd >= 0 ? readXattrs(node.fd) : readXattrsAt(node.parentFd, node.name);
}

/**
 * Whether a file may differ from its parent's although size and times are the same. Times of whole seconds come from
 * archives: a write may have kept them, or be hidden in the same second. Others may have been put back by hand.
 */
function isDoubtful(status: FileStatus, before: FileStatus, { copiedAt }: CompareSource): boolean {
  if (status.mtime_ns === 0 || status.ino === before.ino || copiedAt === undefined) return true;
  return status.ctime_s > copiedAt.s || (status.ctime_s === copiedAt.s && status.ctime_ns >= copiedAt.ns);
}

const buffers = [new Uint8Array(256 * 1024), new Uint8Array(256 * 1024)] as const;

function sameContent(now: WalkNode, before: WalkNode): boolean {
  const a = openToReadAt(now.parentFd, now.name);
  try {
    const b = openToReadAt(before.parentFd, before.name);
    try {
      for (;;) {
        const countA = readFully(a, buffers[0]);
        const countB = readFully(b, buffers[1]);
        if (countA !== countB || !equalBytes(buffers[0], buffers[1], countA)) return false;
        if (countA < buffers[0].length) return true;
      }
    } finally {
      closeFd(b);
    }
  } finally {
    closeFd(a);
  }
}

function readFully(fd: number, buffer: Uint8Array<ArrayBuffer>): number {
  let used = 0;
  while (used < buffer.length) {
    const count = readFd(fd, used === 0 ? buffer : buffer.subarray(used));
    if (count === 0) break;
    used += count;
  }
  return used;
}

function equalBytes(a: Uint8Array<ArrayBuffer>, b: Uint8Array<ArrayBuffer>, length: number): boolean {
  const words = length >> 3;
  const a64 = new BigUint64Array(a.buffer, a.byteOffset, words),
    b64 = new BigUint64Array(b.buffer, b.byteOffset, words);
  for (let i = 0; i < words; i++) if (a64[i] !== b64[i]) return false;
  for (let i = words << 3; i < length; i++) if (a[i] !== b[i]) return false;
  return true;
}
