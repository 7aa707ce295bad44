/** The changes that a layer's own directory holds, as a layer archive. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { readXattrs, type Xattrs } from "../../../runtime/host/xattr_calls.ts";
import type { FileStatus } from "../../../runtime/host/fs_calls.ts";
import { type OverlaySource, type UpperPlace, upperSteps } from "./diff_overlay.ts";
import { LowerView } from "./lower_view.ts";
import { TarEntries, type TarEntryOptions } from "./tar_entries.ts";
import { sameStatus, sameXattrs } from "./tree_change.ts";
import { joinPath, shownPath } from "./tree_error.ts";
import type { WalkNode } from "./walk_tree.ts";
import { OPAQUE_MARKER, WHITEOUT_PREFIX, type WhiteoutMarks, whiteoutMarks } from "./whiteout_marks.ts";

/**
 * Everything that the upper directory holds, sorted. Whiteouts and opaque markers go out only where they hide something
 * of the lower layers. The root's own entry `./` comes first, and is left out when nothing else follows and its owner,
 * mode and attributes are those of the lower root.
 */
export function* overlayTar(
  source: OverlaySource,
  options: Omit<TarEntryOptions, "xattrName"> = {},
): Generator<Uint8Array<ArrayBuffer>, void, void> {
  const marks = whiteoutMarks(source.form);
  using view = new LowerView(source.lowers, marks);
  const entries = new TarEntries({ ...options, xattrName: marks.xattrName });
  let heldRoot: { status: FileStatus; xattrs: Xattrs } | undefined;
  for (const step of upperSteps(source, view, { listOpaque: false, check: options.check })) {
    if (step.kind === "leave") continue;
    const isRoot = step.kind === "inode" && step.node.depth === 0;
    if (isRoot) {
      heldRoot = { status: step.node.status, xattrs: readXattrs(step.node.fd) };
      if (!step.place.opaque && isRootOf(heldRoot, view, marks)) continue;
    }
    if (heldRoot !== undefined) entries.addDirectory("" as ByteString, heldRoot.status, heldRoot.xattrs);
    heldRoot = undefined;
    if (step.kind === "hidden") {
      entries.addMarker(whiteoutPath(step.path));
      yield* entries.take();
      continue;
    }
    if (!isRoot) {
      refuseReserved(step.node);
      yield* entries.add(step.node, step.node.path);
    }
    if (step.place.opaque && hidesSomething(step.node, step.place, view)) {
      entries.addMarker(joinPath(step.node.path, OPAQUE_MARKER));
    }
  }
  yield* entries.end();
}

function isRootOf(root: { status: FileStatus; xattrs: Xattrs }, view: LowerView, marks: WhiteoutMarks): boolean {
  const below = view.root();
  const top = below.layers[0];
  if (top === undefined) return false;
  return sameStatus(root.status, view.rootStatus(top), { mtime: false }) &&
    sameXattrs(root.xattrs, view.xattrs(below, "" as ByteString, top), marks.xattrName);
}

function hidesSomething(node: WalkNode, place: UpperPlace, view: LowerView): boolean {
  if (place.shadowed) return false;
  const below = node.depth === 0 ? place.below : view.enter(place.below, node.name);
  return below.layers.length > 0;
}

/** Path of the entry that hides `path`. */
export function whiteoutPath(path: ByteString): ByteString {
  const slash = path.lastIndexOf("/") + 1;
  return `${path.slice(0, slash)}${WHITEOUT_PREFIX}${path.slice(slash)}` as ByteString;
}

/** A file of that name would delete another one where the archive is applied. */
export function refuseReserved(node: WalkNode): void {
  if (!node.name.startsWith(WHITEOUT_PREFIX)) return;
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot put "${
      shownPath(node.path)
    }" into a layer: names that begin with "${WHITEOUT_PREFIX}" mean deletions there. ` +
      `Rename or remove it`,
    { details: { path: shownPath(node.path) } },
  );
}
