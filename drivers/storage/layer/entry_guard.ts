/**
 * What an entry of an archive may say, before anything is written: names inside the root, ids and devices in range,
 * whiteouts well formed, no attribute that overlayfs would obey. Pure; that no *link* leads out of the root is the
 * matter of `tree_writer.ts`.
 */
import { type ByteString, byteStringFromText, displayName } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { TarEntry } from "./tar_reader.ts";

/** What the name of an entry means in a layer. Paths have no leading, trailing or double slashes; "" is the root. */
export type EntryMeaning =
  | { readonly kind: "plain"; readonly path: ByteString }
  /** Hides `path` of the layers below. */
  | { readonly kind: "whiteout"; readonly path: ByteString }
  /** Hides everything in the directory `path` of the layers below. */
  | { readonly kind: "opaque"; readonly path: ByteString }
  /** A file of AUFS's `.wh..wh.plnk`: not part of the tree, but hard links may point at it. */
  | { readonly kind: "linkStore"; readonly path: ByteString }
  /** Other metadata of AUFS, without meaning. */
  | { readonly kind: "metadata" };

const PREFIX = ".wh.";
const OPAQUE = ".wh..wh..opq";
const META_PREFIX = ".wh..wh.";
/** AUFS's directory for the content of hard-linked files. */
export const LINK_STORE = ".wh..wh.plnk";

const MAX_ID = 0xffff_fffe; // the last one means "leave as it is" to chown
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xf_ffff;
const MAX_XATTR_NAME_BYTES = 255;
const MAX_XATTR_VALUE_BYTES = 65_536;

/** `INVALID_ARGUMENT` that names the entry. */
export function invalidEntry(entry: Pick<TarEntry, "name">, found: string): LaminaError {
  const name = displayName(entry.name);
  const shown = name.length <= 300 ? name : `${name.slice(0, 140)}...${name.slice(-140)}`;
  return new LaminaError("INVALID_ARGUMENT", `Refused the archive: its entry "${shown}" ${found}`, {
    details: { entry: shown },
  });
}

/**
 * A name in the archive as a path inside the root: absolute names count from the root, `.` and double slashes vanish.
 *
 * @throws `INVALID_ARGUMENT` for names with `..` or NUL and for empty ones.
 */
export function pathInRoot(entry: Pick<TarEntry, "name">, name: ByteString, what = "name"): ByteString {
  if (name === "") throw invalidEntry(entry, `has an empty ${what}`);
  if (name.includes("\0")) throw invalidEntry(entry, `has a ${what} that holds NUL`);
  // Most names are clean, and there are many.
  if (!/(?:^|\/)(?:\.{0,2})(?:\/|$)/.test(name)) return name;
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw invalidEntry(entry, `has a ${what} with "..", which could lead out of the layer`);
  return parts.join("/") as ByteString;
}

/**
 * What the name of an entry means where whiteouts do.
 *
 * @throws `INVALID_ARGUMENT` for names as {@linkcode pathInRoot} refuses them and for whiteouts of nothing, `.` or `..`.
 */
export function meaningOf(entry: Pick<TarEntry, "name" | "type">): EntryMeaning {
  const path = pathInRoot(entry, entry.name);
  if (!path.includes(PREFIX)) return { kind: "plain", path };
  if (path === LINK_STORE || path.startsWith(`${LINK_STORE}/`)) return { kind: "linkStore", path };
  if (path.startsWith(META_PREFIX) && path.includes("/")) return { kind: "metadata" };
  const slash = path.lastIndexOf("/");
  const base = path.slice(slash + 1);
  const parent = slash < 0 ? "" : path.slice(0, slash);
  if (!base.startsWith(PREFIX)) return { kind: "plain", path }; // the prefix on a directory is an ordinary name
  if (base === OPAQUE) return { kind: "opaque", path: parent as ByteString };
  if (base.startsWith(META_PREFIX)) return { kind: "metadata" };
  if (entry.type === "directory") return { kind: "plain", path };
  const hidden = base.slice(PREFIX.length);
  if (hidden === "" || hidden === "." || hidden === "..") {
    throw invalidEntry(entry, "is a whiteout that names no file");
  }
  return { kind: "whiteout", path: (parent === "" ? hidden : `${parent}/${hidden}`) as ByteString };
}

/**
 * Checks everything of an entry but its names.
 *
 * @throws `INVALID_ARGUMENT` for owners beyond uint32, devices beyond what Linux can number, malformed attributes.
 */
export function guardAttributes(entry: TarEntry): void {
  for (const [what, id] of [["uid", entry.uid], ["gid", entry.gid]] as const) {
    if (id < 0 || id > MAX_ID) throw invalidEntry(entry, `has the ${what} ${id}, which is out of range`);
  }
  if (entry.type === "char" || entry.type === "block") {
    const { devMajor, devMinor } = entry;
    if (devMajor < 0 || devMajor > MAX_MAJOR || devMinor < 0 || devMinor > MAX_MINOR) {
      throw invalidEntry(entry, `has the device number ${devMajor}:${devMinor}, which is out of range`);
    }
  }
  for (const [name, value] of entry.xattrs) {
    if (name.length === 0 || name.length > MAX_XATTR_NAME_BYTES || name.includes("\0")) {
      throw invalidEntry(entry, "has an extended attribute with a malformed name");
    }
    if (value.length > MAX_XATTR_VALUE_BYTES) {
      throw invalidEntry(entry, `has an extended attribute of ${value.length} bytes; Linux allows 65,536`);
    }
  }
}

const OVERLAY = /^(trusted|user)\.overlay\./;

/**
 * The name under which an attribute of an archive is stored: overlayfs must not obey it. The kernel's own rule for
 * nesting: `trusted.overlay.X` becomes `trusted.overlay.overlay.X`, and overlayfs shows it as `trusted.overlay.X`.
 */
export function escapeXattrName(name: ByteString): ByteString {
  return name.replace(OVERLAY, "$1.overlay.overlay.") as ByteString;
}

/** Whether overlayfs reads this attribute as its own, e.g. `trusted.overlay.opaque`. */
export function isOverlayControl(name: ByteString): boolean {
  return OVERLAY.test(name) && !/^\w+\.overlay\.overlay\./.test(name);
}

/** For code that builds paths of its own. */
export function literal(text: string): ByteString {
  return byteStringFromText(text);
}
