/**
 * Brings what fuse-overlayfs has written into one form. It marks a deletion by a 0/0 device (by a file `.wh.NAME` where
 * the kernel refuses the device) and an opaque directory three times over: by an attribute, by the file `.wh..wh..opq`
 * and by a 0/0 device `.wh..opq`.
 */
import { type ByteString, byteStringFromText } from "../../../runtime/core/bytes.ts";
import { closeFd, type FileStatus, openAt, statxAtIfPresent } from "../../../runtime/host/fs_calls.ts";
import { mknodAt, S_IF, setTimesFd, unlinkAt } from "../../../runtime/host/fs_change_calls.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../../../runtime/host/openat2.ts";
import { readXattrs, removeXattr, setXattr } from "../../../runtime/host/xattr_calls.ts";
import { absolutePath } from "./tree_error.ts";
import { TreeWalk } from "./walk_tree.ts";
import { isOpaqueAttribute, isWhiteoutDevice, OPAQUE_MARKER, WHITEOUT_PREFIX } from "./whiteout_marks.ts";

/** The form to bring it into: AUFS's files, or 0/0 devices and this attribute of opaque directories. */
export type ConvertedForm = "aufs" | "overlay" | "overlay-user";

/** Longest name of an entry, in bytes. */
const MAX_NAME_BYTES = 255;
const yes = Uint8Array.of(0x79);
const empty: Uint8Array<ArrayBuffer> = new Uint8Array();

/**
 * Converts a tree that nobody changes meanwhile, in place. Converting again changes nothing, so a crash in between is
 * no matter. Modification times of directories stay. In the form of AUFS a name of more than 251 bytes keeps its 0/0
 * device: `.wh.` and it would be no name any more.
 */
export function convertWhiteouts(tree: string, form: ConvertedForm, check?: () => void): void {
  const rootFd = openAt(AT_FDCWD, absolutePath(tree), O_RDONLY | O_DIRECTORY);
  try {
    using walk = new TreeWalk(rootFd, { check });
    const opaque: boolean[] = [];
    const changed: boolean[] = [];
    for (let node = walk.next(); node !== undefined; node = walk.next()) {
      const { depth, fd, name, parentFd, status } = node;
      if (node.phase === "enter") {
        if (fd >= 0) {
          opaque[depth] = statxAtIfPresent(fd, OPAQUE_MARKER) !== undefined || hasOpaqueAttribute(fd);
          changed[depth] = false;
        } else if (depth > 0 && convertEntry(parentFd, name, status, form)) changed[depth - 1] = true;
        continue;
      }
      if (opaque[depth] && markOpaque(fd, form)) changed[depth] = true;
      if (changed[depth]) setTimesFd(fd, { s: status.mtime_s, ns: status.mtime_ns });
    }
  } finally {
    closeFd(rootFd);
  }
}

/** Whether anything was done. */
function convertEntry(dirFd: number, name: ByteString, status: FileStatus, form: ConvertedForm): boolean {
  if (name.startsWith(WHITEOUT_PREFIX)) {
    if (form === "aufs" && !isWhiteoutDevice(status)) return false;
    const hidden = name.slice(WHITEOUT_PREFIX.length) as ByteString;
    const isName = !name.startsWith(`${WHITEOUT_PREFIX}${WHITEOUT_PREFIX}`) && !isWhiteoutDevice(status);
    if (isName && statxAtIfPresent(dirFd, hidden) === undefined) mknodAt(dirFd, hidden, S_IF.CHR, 0o600, 0, 0);
    unlinkAt(dirFd, name);
    return true;
  }
  if (form !== "aufs" || !isWhiteoutDevice(status)) return false;
  if (name.length + WHITEOUT_PREFIX.length > MAX_NAME_BYTES) return false;
  const mark = `${WHITEOUT_PREFIX}${name}` as ByteString;
  if (statxAtIfPresent(dirFd, mark) === undefined) mknodAt(dirFd, mark, S_IF.REG, 0o444);
  unlinkAt(dirFd, name);
  return true;
}

/** Whether anything was done. */
function markOpaque(fd: number, form: ConvertedForm): boolean {
  const own = form === "aufs" ? undefined : attributeOf(form);
  let done = false;
  for (const [name] of readXattrs(fd)) {
    if (name === own || !isOpaqueAttribute(name)) continue;
    removeXattr(fd, name);
    done = true;
  }
  if (own !== undefined) {
    setXattr(fd, own, yes);
    return true;
  }
  if (statxAtIfPresent(fd, OPAQUE_MARKER) === undefined) {
    mknodAt(fd, OPAQUE_MARKER, S_IF.REG, 0o444);
    done = true;
  }
  return done;
}

function hasOpaqueAttribute(fd: number): boolean {
  return readXattrs(fd).some(([name, value]) => isOpaqueAttribute(name) && (value ?? empty)[0] === yes[0]);
}

function attributeOf(form: "overlay" | "overlay-user"): ByteString {
  return byteStringFromText(form === "overlay" ? "trusted.overlay.opaque" : "user.overlay.opaque");
}
