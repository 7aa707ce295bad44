/** How a layer's directory on disk says that something of the layers below is hidden, in each form. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { type FileStatus, statxAtIfPresent } from "../../../runtime/host/fs_calls.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import { getXattr, getXattrAt, readXattrs, readXattrsAt } from "../../../runtime/host/xattr_calls.ts";
import { portableXattr } from "./tar_entries.ts";
import { shownPath } from "./tree_error.ts";
import type { WalkNode } from "./walk_tree.ts";

/** Prefix of a whiteout's name in archives and in AUFS branches. */
export const WHITEOUT_PREFIX = ".wh.";
/** Name of the file that makes its directory opaque. */
export const OPAQUE_MARKER = ".wh..wh..opq" as ByteString;

/** The forms of a layer's directory that can be read natively. */
export type LayerForm = "overlay" | "overlay-user" | "fuse-overlayfs";

/** See the head of the file. */
export interface WhiteoutMarks {
  /** Whether whiteouts are files with a name of their own (`.wh.NAME`) and not in the hidden name's place. */
  readonly byName: boolean;
  /** Whether an inode is a whiteout in the place of what it hides. */
  isWhiteout(dirFd: number, name: ByteString, status: FileStatus): boolean;
  /** Whether an open directory hides everything below it in lower layers. */
  isOpaque(dirFd: number): boolean;
  /** Whether a name belongs to the union file system and not to the tree. */
  isBookkeeping(name: ByteString): boolean;
  /** An extended attribute's name in the archive; `undefined` for control data. */
  xattrName(name: ByteString): ByteString | undefined;
  /** Throws `UNSUPPORTED` for an inode that is only half in this directory (metacopy, redirect). */
  refuseIncomplete(node: WalkNode): void;
}

const CONTROL_ATTRIBUTE = /^(trusted\.overlay|user\.overlay|user\.fuseoverlayfs)\./;
const OPAQUE_ATTRIBUTES = [
  "trusted.overlay.opaque",
  "user.overlay.opaque",
  "user.fuseoverlayfs.opaque",
] as readonly string[] as readonly ByteString[];

/** Whether an attribute of this name says that a directory is opaque. */
export function isOpaqueAttribute(name: ByteString): boolean {
  return OPAQUE_ATTRIBUTES.includes(name);
}

/** Whether an inode is the device that stands for a deleted name. */
export function isWhiteoutDevice({ type, rdevMajor, rdevMinor }: FileStatus): boolean {
  return type === "char" && rdevMajor === 0 && rdevMinor === 0;
}

const NESTED = /^(trusted|user)\.overlay\.overlay\./;

/**
 * An extended attribute's name in a layer archive. What came in as control data of an overlay is stored one level
 * deeper (`trusted.overlay.overlay.X`, the kernel's nesting rule) and goes out as it came.
 */
export function layerXattr(name: ByteString): ByteString | undefined {
  return portableXattr(NESTED.test(name) ? name.replace(NESTED, "$1.overlay.") as ByteString : name);
}

/** The marks of a form. */
export function whiteoutMarks(form: LayerForm): WhiteoutMarks {
  if (form === "fuse-overlayfs") return fuseMarks;
  return overlayMarks(form === "overlay" ? "trusted.overlay." : "user.overlay.");
}

function overlayMarks(prefix: string): WhiteoutMarks {
  const opaque = `${prefix}opaque` as ByteString;
  const whiteout = `${prefix}whiteout` as ByteString;
  const incomplete = new Set([`${prefix}metacopy`, `${prefix}redirect`]);
  return {
    byName: false,
    isWhiteout(dirFd, name, status) {
      if (status.type === "char") return status.rdevMajor === 0 && status.rdevMinor === 0;
      return status.type === "file" && status.size_bytes === 0 &&
        ifThere(() => getXattrAt(dirFd, name, whiteout)) !== undefined;
    },
    isOpaque(dirFd) {
      const value = getXattr(dirFd, opaque);
      return value?.length === 1 && value[0] === 0x79; // "y"; "x" only announces whiteouts by attribute
    },
    isBookkeeping: () => false,
    xattrName: (name) => name.startsWith(prefix) && !NESTED.test(name) ? undefined : layerXattr(name),
    refuseIncomplete(node) {
      if (node.status.type !== "file" && node.status.type !== "directory") return;
      const xattrs = ifThere(() => node.fd >= 0 ? readXattrs(node.fd) : readXattrsAt(node.parentFd, node.name));
      const found = xattrs?.find(([name]) => incomplete.has(name));
      if (found === undefined) return;
      throw new LaminaError(
        "UNSUPPORTED",
        `Cannot read the changes at "${shownPath(node.path)}": its attribute ${
          found[0]
        } says that the rest of it is in ` +
          `a lower layer. Mount the overlay with metacopy=off,redirect_dir=off, or compare the mounted trees`,
      );
    },
  };
}

/** A container may delete what is being looked at. */
function ifThere<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** All that AUFS and fuse-overlayfs write and read, as root or not: see `convert_whiteouts.ts`. */
const fuseMarks: WhiteoutMarks = {
  byName: true,
  isWhiteout: (_dirFd, _name, status) => isWhiteoutDevice(status),
  isOpaque: (dirFd) =>
    statxAtIfPresent(dirFd, OPAQUE_MARKER) !== undefined ||
    OPAQUE_ATTRIBUTES.some((name) => getXattr(dirFd, name)?.[0] === 0x79),
  isBookkeeping: (name) => name.startsWith(WHITEOUT_PREFIX),
  xattrName: (name) => CONTROL_ATTRIBUTE.test(name) && !NESTED.test(name) ? undefined : layerXattr(name),
  refuseIncomplete: () => {},
};
