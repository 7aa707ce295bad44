/** The changes that a layer's own directory holds (an overlay upper, an AUFS branch), without a walk of its parents. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { closeFd, openAt, readDirectory, statxAtIfPresent } from "../../../runtime/host/fs_calls.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../../../runtime/host/openat2.ts";
import { readXattrs } from "../../../runtime/host/xattr_calls.ts";
import type { DiffSource } from "./engine.ts";
import { type LowerDirectory, LowerView } from "./lower_view.ts";
import { HeldDirectories, sameStatus, sameXattrs, type TreeChange } from "./tree_change.ts";
import { absolutePath, joinPath, treeError } from "./tree_error.ts";
import { TreeWalk, type WalkNode } from "./walk_tree.ts";
import { WHITEOUT_PREFIX, type WhiteoutMarks, whiteoutMarks } from "./whiteout_marks.ts";

/** A layer's directory and what is below it. */
export type OverlaySource = Extract<DiffSource, { kind: "overlay" }>;

/** A step through the upper directory, whiteouts told from the rest. */
export type UpperStep =
  | { readonly kind: "inode"; readonly node: WalkNode; readonly place: UpperPlace }
  | { readonly kind: "leave"; readonly node: WalkNode; readonly place: UpperPlace }
  /** `name` of the lower layers is hidden. Comes in the order of names. */
  | { readonly kind: "hidden"; readonly path: ByteString; readonly place: UpperPlace };

/** The directory in which a step happens. */
export interface UpperPlace {
  /** What is below the directory that holds the inode; for the start, the merged root itself. */
  readonly below: LowerDirectory;
  /** For a directory's `inode` step: it hides all that is below it. */
  readonly opaque: boolean;
  /** An enclosing directory is opaque. */
  readonly shadowed: boolean;
}

interface UpperFrame {
  readonly path: ByteString;
  readonly below: LowerDirectory;
  readonly shadowed: boolean;
  /** Names that are hidden here, sorted, given out between the directory's own names. */
  readonly hidden: readonly ByteString[];
  next: number;
}

/**
 * Walks the upper directory. A name is `hidden` only where something is visible in the lower layers; with
 * `listOpaque`, what an opaque directory hides is listed name by name.
 */
export function* upperSteps(
  source: OverlaySource,
  view: LowerView,
  options: { listOpaque: boolean; check?: () => void },
): Generator<UpperStep, void, void> {
  const marks = whiteoutMarks(source.form);
  const stack: UpperFrame[] = [];
  const rootFd = openUpper(source.upper);
  try {
    using walk = new TreeWalk(rootFd, { check: options.check, skipPlaceholders: true });
    for (let node = walk.next(); node !== undefined; node = walk.next()) {
      const frame = stack.at(-1);
      if (node.phase === "leave") {
        yield* hiddenBefore(frame!, undefined);
        stack.pop();
        yield { kind: "leave", node, place: place(stack.at(-1) ?? frame!, false) };
        continue;
      }
      if (frame !== undefined) yield* hiddenBefore(frame, node.name);
      if (marks.isBookkeeping(node.name)) {
        walk.skip();
        if (node.status.type === "directory") walk.next(); // its `leave`
        continue;
      }
      if (frame !== undefined && marks.isWhiteout(node.parentFd, node.name, node.status)) {
        // In an opaque directory a whiteout adds nothing.
        if (!frame.shadowed && view.find(frame.below, node.name) !== undefined) {
          yield { kind: "hidden", path: node.path, place: place(frame, false) };
        }
        continue;
      }
      marks.refuseIncomplete(node);
      const opaque = node.fd >= 0 && marks.isOpaque(node.fd);
      const around = frame ?? { path: "" as ByteString, below: view.root(), shadowed: false, hidden: [], next: 0 };
      yield { kind: "inode", node, place: place(around, opaque) };
      if (node.fd >= 0) stack.push(enter(node, around, frame === undefined, opaque, view, marks, options.listOpaque));
    }
  } finally {
    closeFd(rootFd);
  }
}

function openUpper(upper: string): number {
  const path = absolutePath(upper);
  try {
    return openAt(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    throw treeError("Cannot open the layer", path.slice(1) as ByteString, error);
  }
}

function place(frame: UpperFrame, opaque: boolean): UpperPlace {
  return { below: frame.below, opaque, shadowed: frame.shadowed };
}

function enter(
  node: WalkNode,
  around: UpperFrame,
  isRoot: boolean,
  opaque: boolean,
  view: LowerView,
  marks: WhiteoutMarks,
  listOpaque: boolean,
): UpperFrame {
  const below = isRoot ? around.below : view.enter(around.below, node.name);
  const shadowed = around.shadowed || opaque;
  let hidden: ByteString[] = [];
  if (shadowed) {
    if (listOpaque) hidden = view.names(below).filter((name) => !isPresent(node.fd, name, marks));
  } else if (marks.byName) {
    hidden = readDirectory(node.fd)
      .filter((name) => name.startsWith(WHITEOUT_PREFIX) && !name.startsWith(`${WHITEOUT_PREFIX}${WHITEOUT_PREFIX}`))
      .map((name) => name.slice(WHITEOUT_PREFIX.length) as ByteString)
      .filter((name) => !isPresent(node.fd, name, marks) && view.find(below, name) !== undefined)
      .sort();
  }
  return { path: node.path, below, shadowed, hidden, next: 0 };
}

function isPresent(dirFd: number, name: ByteString, marks: WhiteoutMarks): boolean {
  const status = statxAtIfPresent(dirFd, name);
  return status !== undefined && !marks.isWhiteout(dirFd, name, status);
}

function* hiddenBefore(frame: UpperFrame, name: ByteString | undefined): Generator<UpperStep, void, void> {
  while (frame.next < frame.hidden.length && (name === undefined || frame.hidden[frame.next]! < name)) {
    const hidden = frame.hidden[frame.next++]!;
    yield { kind: "hidden", path: joinPath(frame.path, hidden), place: place(frame, false) };
  }
}

/**
 * The changes against the lower layers, sorted by path (component by component). A directory is `modified` when its own
 * attributes differ or something below it changed; the root is never listed. What an opaque directory hides is listed
 * name by name, without what is below those names.
 */
export function* overlayChanges(source: OverlaySource, check?: () => void): Generator<TreeChange, void, void> {
  const marks = whiteoutMarks(source.form);
  using view = new LowerView(source.lowers, marks);
  const held = new HeldDirectories<ByteString>();
  for (const step of upperSteps(source, view, { listOpaque: true, check })) {
    if (step.kind === "leave") {
      held.leave(step.node.depth);
      continue;
    }
    if (step.kind === "inode" && step.node.depth === 0) continue;
    if (step.kind === "inode" && isUnchangedDirectory(step.node, step.place, view, marks)) {
      held.hold(step.node.depth, step.node.path);
      continue;
    }
    for (const path of held.release()) yield { kind: "modified", path };
    if (step.kind === "hidden") yield { kind: "deleted", path: step.path };
    else {
      const found = view.find(step.place.below, step.node.name);
      yield { kind: found === undefined ? "added" : "modified", path: step.node.path };
    }
  }
}

function isUnchangedDirectory(node: WalkNode, place: UpperPlace, view: LowerView, marks: WhiteoutMarks): boolean {
  if (node.fd < 0) return false;
  const found = view.find(place.below, node.name);
  if (found === undefined || !sameStatus(node.status, found.status)) return false;
  return sameXattrs(readXattrs(node.fd), view.xattrs(place.below, node.name, found.layer), marks.xattrName);
}
