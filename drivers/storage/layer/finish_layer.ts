/**
 * What can only be done once the whole archive was read, and what needs the layers below: hard links into them,
 * whiteouts, attributes of directories that the archive does not name.
 */
import { type ByteString, displayName } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { FileDataCopier } from "../../../runtime/host/file_data.ts";
import { closeFd, type FileStatus, openAt, readlinkAt, statxAtIfPresent } from "../../../runtime/host/fs_calls.ts";
import { chmodFd, chownFd, mknodAt, S_IF } from "../../../runtime/host/fs_change_calls.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  openat2,
  RESOLVE_BENEATH,
  RESOLVE_NO_SYMLINKS,
} from "../../../runtime/host/openat2.ts";
import { setXattr, type Xattrs } from "../../../runtime/host/xattr_calls.ts";
import { becomesDirectory, type EntryApplier } from "./apply_entry.ts";
import type { DeferredLink } from "./deferred.ts";
import type { OpenDirectory } from "./directory_cache.ts";
import type { WhiteoutForm } from "./engine.ts";
import { isOverlayControl, LINK_STORE } from "./entry_guard.ts";
import { type LowerDirectory, LowerView } from "./lower_view.ts";
import { absolutePath } from "./tree_error.ts";
import type { Attributes, Place } from "./tree_writer.ts";
import type { Warnings } from "./warnings.ts";
import { whiteoutMarks } from "./whiteout_marks.ts";

const root = "" as ByteString;
const yes = new Uint8Array([0x79]);

/** What finishing needs besides the applied entries. */
export interface FinishOptions {
  readonly form: WhiteoutForm | "none";
  /**
   * Directories of the layers below, topmost first. Asked for at most once, and only if they matter. Absent: nobody
   * knows them, so whiteouts are made whether there is something to hide or not.
   */
  readonly lowers?: () => Promise<readonly string[]>;
  readonly warnings: Warnings;
  readonly check: () => void;
}

/** Does what was deferred, then gives every directory its time. */
export async function finishLayer(applier: EntryApplier, options: FinishOptions): Promise<void> {
  const { deferred, writer } = applier;
  const needsLowers = options.form !== "none" && options.form !== "delete" &&
    (deferred.links.length > 0 || deferred.implied.size > 0 || deferred.whiteouts.size > 0);
  const lowers = needsLowers && options.lowers !== undefined ? await options.lowers() : [];
  const form = options.form === "delete" || options.form === "none" ? "overlay" : options.form;
  using view = new LowerView(lowers, whiteoutMarks(form));
  const finisher = new Finisher(applier, options, lowers, view);
  for (const link of deferred.links) finisher.link(link);
  finisher.whiteouts();
  removeLinkStore(applier);
  finisher.impliedDirectories();
  writer.directories.close();
}

function removeLinkStore({ writer, deferred }: EntryApplier): void {
  const at = writer.findPlace(LINK_STORE as ByteString);
  if (at !== undefined && statxAtIfPresent(at.parent.fd, at.name) !== undefined) writer.remove(at);
  deferred.implied.delete(LINK_STORE as ByteString);
}

class Finisher {
  readonly #applier: EntryApplier;
  readonly #options: FinishOptions;
  readonly #lowers: readonly string[];
  readonly #view: LowerView;
  readonly #data = new FileDataCopier();

  constructor(applier: EntryApplier, options: FinishOptions, lowers: readonly string[], view: LowerView) {
    this.#applier = applier;
    this.#options = options;
    this.#lowers = lowers;
    this.#view = view;
  }

  /** Makes a hard link whose target was missing: it came later, or it is copied up from a lower layer. */
  link(link: DeferredLink): void {
    this.#options.check();
    const { writer } = this.#applier;
    const at = writer.findPlace(link.path);
    const later = at && statxAtIfPresent(at.parent.fd, at.name);
    if (at === undefined || later !== undefined) {
      // A later entry won. What the layers below had was replaced by the link all the same.
      if (later?.type === "directory" && isOverlay(this.#options.form)) this.#applier.deferred.hide(link.path);
      return;
    }
    let target = writer.findPlace(link.target);
    let status = target && statxAtIfPresent(target.parent.fd, target.name);
    if (target === undefined || status === undefined) {
      const found = this.#locate(link.target);
      if (found === undefined) throw unresolved(link, "which neither this layer nor one below it holds");
      if (found.status.type === "directory") throw unresolved(link, "which is a directory of a lower layer");
      const attributes = attributesOf(found.status, found.xattrs);
      // What this very layer hides must not come back under its old name.
      if (this.#hiddenHere(link.target)) {
        return this.#copyUp(link.target, found.layer, found.status, attributes, at);
      }
      target = writer.place(link.target, attributes.mtime);
      this.#copyUp(link.target, found.layer, found.status, attributes, target);
      status = found.status;
    }
    if (status.type === "directory") throw unresolved(link, "which is a directory");
    writer.link(at, target);
  }

  #hiddenHere(path: ByteString): boolean {
    const { whiteouts } = this.#applier.deferred;
    if (whiteouts.get(path)?.hides) return true;
    for (let at = path; at !== "";) {
      at = parentOf(at);
      const above = whiteouts.get(at);
      if (above?.hides || above?.opaque) return true;
    }
    return false;
  }

  /** Hides what the whiteouts name, parents before children. */
  whiteouts(): void {
    const { writer, deferred } = this.#applier;
    const opaque = new Set<ByteString>();
    const name = `${this.#options.form === "overlay" ? "trusted" : "user"}.overlay.opaque` as ByteString;
    const makeOpaque = (directory: OpenDirectory) => {
      setXattr(directory.fd, name, yes);
      opaque.add(directory.path);
    };
    for (const path of [...deferred.whiteouts.keys()].sort()) {
      this.#options.check();
      const { hides, opaque: isOpaque } = deferred.whiteouts.get(path)!;
      if (hides) this.#hide(path, opaque, makeOpaque);
      if (!isOpaque || insideOf(path, opaque)) continue;
      let directory = writer.directories.find(path);
      if (directory === undefined && this.#isDirectoryBelow(path)) directory = this.#directoryFor(path);
      if (directory === undefined) continue;
      makeOpaque(directory);
      if (path === "") this.#hideEverythingBelow(directory, makeOpaque);
    }
  }

  /** Overlayfs does not look whether the root of a layer is opaque: there each name is hidden by itself. */
  #hideEverythingBelow(top: OpenDirectory, makeOpaque: (directory: OpenDirectory) => void): void {
    for (const name of this.#view.names(this.#view.root())) {
      const status = statxAtIfPresent(top.fd, name);
      if (status === undefined) mknodAt(top.fd, name, S_IF.CHR, 0, 0, 0);
      else if (status.type === "directory") makeOpaque(this.#applier.writer.directories.find(name)!);
    }
    top.changed = true;
  }

  /** Whether the layers below show something at a path; true when nobody knows them. */
  #isBelow(directory: ByteString, name: ByteString): boolean {
    if (this.#options.lowers === undefined) return true;
    const found = this.#locate((directory === "" ? name : `${directory}/${name}`) as ByteString);
    return found !== undefined;
  }

  #isDirectoryBelow(path: ByteString): boolean {
    return this.#options.lowers === undefined || this.#locate(path)?.status.type === "directory";
  }

  #hide(path: ByteString, opaque: ReadonlySet<ByteString>, makeOpaque: (directory: OpenDirectory) => void): void {
    const { writer } = this.#applier;
    if (insideOf(path, opaque)) return;
    const parentPath = parentOf(path);
    const hidden = baseOf(path);
    let parent = writer.directories.find(parentPath);
    if (parent === undefined && !this.#isBelow(parentPath, hidden)) return;
    parent ??= this.#directoryFor(parentPath);
    if (parent === undefined || opaque.has(parent.path) || insideOf(parent.path, opaque)) return;
    const status = statxAtIfPresent(parent.fd, hidden);
    if (status === undefined) {
      // One that hides nothing would be seen as a device where overlayfs has no other layer to merge with.
      if (!this.#isBelow(parent.path, hidden)) return;
      mknodAt(parent.fd, hidden, S_IF.CHR, 0, 0, 0);
      parent.changed = true;
    } else if (status.type === "directory" && this.#isBelow(parent.path, hidden)) {
      // Made by this layer as well: it stays and hides what is below it.
      const directory = writer.directories.find(
        (parent.path === "" ? hidden : `${parent.path}/${hidden}`) as ByteString,
      );
      if (directory !== undefined) makeOpaque(directory);
    }
  }

  /** Makes a directory for whiteouts, unless one of its parents is hidden or no directory: then they mean nothing. */
  #directoryFor(path: ByteString): OpenDirectory | undefined {
    const { writer } = this.#applier;
    for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1)) {
      const at = writer.findPlace(path.slice(0, end) as ByteString);
      const status = at && statxAtIfPresent(at.parent.fd, at.name);
      if (status !== undefined && status.type !== "directory") return undefined;
      if (status !== undefined) break;
    }
    return writer.directories.make(path, epoch);
  }

  /** Gives directories without an entry the attributes of what they hide. */
  impliedDirectories(): void {
    const { writer, deferred } = this.#applier;
    // Children first: a parent's time is set last anyway, and its mode may forbid the way down.
    for (const path of [...deferred.implied].sort().reverse()) {
      this.#options.check();
      const directory = writer.directories.find(path);
      if (directory === undefined || directory.path !== path) continue; // replaced by a later entry
      // One of the same name that this very layer hides is another directory.
      const found = this.#hiddenHere(path) ? undefined : this.#locate(path);
      if (found?.status.type === "directory") {
        writer.directoryAttributes(directory, attributesOf(found.status, found.xattrs));
        continue;
      }
      if (found?.status.type === "symlink") {
        this.#options.warnings.add(becomesDirectory(path));
      }
      chownFd(directory.fd, 0, 0);
      chmodFd(directory.fd, 0o755);
      directory.changed = true;
    }
  }

  /** What a path shows in the layers below. */
  #locate(path: ByteString): { status: FileStatus; readonly xattrs: Xattrs; layer: number } | undefined {
    if (this.#lowers.length === 0) return undefined;
    let directory: LowerDirectory = this.#view.root();
    if (path === "") {
      const layer = directory.layers[0]!;
      return { status: this.#view.rootStatus(layer), xattrs: this.#view.xattrs(directory, root, layer), layer };
    }
    const parts = path.split("/") as ByteString[];
    const name = parts.pop()!;
    for (const part of parts) {
      directory = this.#view.enter(directory, part);
      if (directory.layers.length === 0) return undefined;
    }
    const found = this.#view.find(directory, name);
    if (found === undefined) return undefined;
    const view = this.#view;
    return {
      ...found,
      get xattrs() {
        return view.xattrs(directory, name, found.layer);
      },
    };
  }

  #copyUp(path: ByteString, layer: number, status: FileStatus, attributes: Attributes, to: Place): void {
    const { writer } = this.#applier;
    const lowerFd = openAt(AT_FDCWD, absolutePath(this.#lowers[layer]!), O_PATH | O_DIRECTORY);
    const beneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    try {
      if (status.type === "file") {
        const from = openat2(lowerFd, path, { flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK, resolve: beneath });
        let fd = -1;
        try {
          fd = writer.createFile(to);
          this.#data.copy(from, fd, status, this.#options.check);
          writer.finishFile(fd, to, attributes);
          fd = -1;
        } finally {
          if (fd >= 0) closeFd(fd);
          closeFd(from);
        }
      } else if (status.type === "symlink") {
        const slash = path.lastIndexOf("/");
        const directory = path.slice(0, Math.max(0, slash)) || ".";
        const from = openat2(lowerFd, directory as ByteString, { flags: O_PATH | O_DIRECTORY, resolve: beneath });
        try {
          writer.symlink(to, readlinkAt(from, path.slice(slash + 1) as ByteString), attributes);
        } finally {
          closeFd(from);
        }
      } else if (status.type === "char" || status.type === "block" || status.type === "fifo") {
        if (!writer.node(to, status.type, status.rdevMajor, status.rdevMinor, attributes)) {
          throw new LaminaError("PERMISSION_DENIED", `Cannot copy the device "${displayName(path)}" up: no CAP_MKNOD`);
        }
      }
    } catch (error) {
      if (!isErrno(error, "ENOENT", "ELOOP", "EXDEV")) throw error;
      throw new LaminaError("CONFLICT", `A lower layer changed at "${displayName(path)}" while it was read`, {
        cause: error,
      });
    } finally {
      closeFd(lowerFd);
    }
  }
}

const epoch = { s: 0, ns: 0 };

function isOverlay(form: FinishOptions["form"]): boolean {
  return form === "overlay" || form === "overlay-user";
}

function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(0, path.lastIndexOf("/"))) as ByteString;
}

function baseOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf("/") + 1) as ByteString;
}

function insideOf(path: ByteString, directories: ReadonlySet<ByteString>): boolean {
  if (directories.size === 0 || path === "") return false;
  if (directories.has(root)) return true;
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
    if (directories.has(path.slice(0, end) as ByteString)) return true;
  }
  return false;
}

function attributesOf(status: FileStatus, xattrs: Xattrs): Attributes {
  return {
    mode: status.mode,
    uid: status.uid,
    gid: status.gid,
    mtime: { s: status.mtime_s, ns: status.mtime_ns },
    xattrs: new Map(xattrs.filter(([name]) => !isOverlayControl(name) && name !== "security.selinux")),
  };
}

function unresolved(link: DeferredLink, found: string): LaminaError {
  return new LaminaError(
    "INVALID_ARGUMENT",
    `Refused the archive: its entry "${displayName(link.name)}" is a hard link to "${
      displayName(link.target)
    }", ${found}`,
    { details: { entry: displayName(link.name) } },
  );
}
