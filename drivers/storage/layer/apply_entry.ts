/** Puts the entries of an archive into a tree, one after the other; what must wait goes to {@linkcode Deferred}. */
import { type ByteString, displayName } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { closeFd, type FileStatus, readDirectory, statxAtIfPresent } from "../../../runtime/host/fs_calls.ts";
import { pwriteFd, truncateFd, writeFd } from "../../../runtime/host/fs_change_calls.ts";
import { Deferred } from "./deferred.ts";
import type { OpenDirectory } from "./directory_cache.ts";
import type { WhiteoutForm } from "./engine.ts";
import { escapeXattrName, guardAttributes, invalidEntry, LINK_STORE, meaningOf, pathInRoot } from "./entry_guard.ts";
import type { RecipeWriter } from "./recipe_writer.ts";
import type { TarEntry, TarReader } from "./tar_reader.ts";
import { treeError } from "./tree_error.ts";
import { type Attributes, type Place, TreeWriter } from "./tree_writer.ts";
import type { LayerLimits } from "./types.ts";
import type { Warnings } from "./warnings.ts";

/** How entries are applied. */
export interface ApplyOptions {
  /** `none`: names that look like whiteouts are ordinary ones (archives from outside). */
  readonly form: WhiteoutForm | "none";
  /** Entries go below this directory, a real path; "" is the root. */
  readonly base: ByteString;
  /** See `TreeWriterOptions`; default false. */
  readonly keepKinds?: boolean;
  readonly limits: LayerLimits;
  readonly recipe?: RecipeWriter;
  readonly warnings: Warnings;
  readonly check: () => void;
}

/** See the head of the file. */
export class EntryApplier implements Disposable {
  readonly deferred = new Deferred();
  readonly writer: TreeWriter;
  readonly #options: ApplyOptions;
  readonly #overlay: boolean;
  #content_bytes = 0;
  /** Entries applied, with the directories that they implied. */
  #made = 0;
  /** Entries of the archive. */
  entries = 0;

  /** @param rootFd Descriptor of the root directory; stays the caller's. */
  constructor(rootFd: number, options: ApplyOptions) {
    this.#options = options;
    this.#overlay = options.form === "overlay" || options.form === "overlay-user";
    const { added } = this.deferred;
    this.writer = new TreeWriter(rootFd, {
      // Into somebody's tree: only what the archive brings has times of its own.
      keepTimes: options.form === "none" ? (path) => added.has(path) : () => true,
      onImplied: (path, instead) => this.#implied(path, instead),
      // A layer is a tree of its own: what the one below has for links is none of its directories.
      follows: options.form === "delete" ? (path) => added.has(path) : undefined,
      beforeRemove: (path, dirFd, name, status) => this.#saveAside(path, dirFd, name, status),
      // What came between was no directory: the new one has nothing of what the layers below have there.
      onTurnedDirectory: (path) => this.#overlay && this.deferred.hide(path),
      keepKinds: options.keepKinds ?? false,
      warn: (message) => options.warnings.add(message),
      check: options.check,
    });
    // A layer that does not name its root takes over that of the layers below.
    if (options.form !== "none" && options.form !== "delete") {
      this.deferred.imply("" as ByteString);
      this.writer.directories.root.mtime = { s: 0, ns: 0 };
    }
  }

  [Symbol.dispose](): void {
    this.writer[Symbol.dispose]();
  }

  /** Applies one entry; takes its data from `reader`. */
  async apply(entry: TarEntry, reader: TarReader): Promise<void> {
    this.#count(entry);
    if (this.entries++ === 0 && this.deferred.implied.has("" as ByteString)) {
      this.writer.directories.root.mtime = entry.mtime;
    }
    if (entry.type === "label") return;
    const { form, base } = this.#options;
    const meaning = form === "none"
      ? { kind: "plain", path: pathInRoot(entry, entry.name) } as const
      : meaningOf(entry);
    if (entry.name.startsWith("/")) this.#options.warnings.once("absolute", ABSOLUTE_NAMES);
    try {
      if (meaning.kind === "plain") await this.#plain(entry, below(base, meaning.path), reader, false);
      else if (meaning.kind === "linkStore") await this.#plain(entry, meaning.path, reader, true);
      else if (meaning.kind === "whiteout") this.#whiteout(meaning.path);
      else if (meaning.kind === "opaque") this.#opaque(meaning.path);
    } catch (error) {
      throw error instanceof LaminaError ? error : treeError("Cannot unpack", entry.name, error);
    }
  }

  async #plain(entry: TarEntry, path: ByteString, reader: TarReader, inStore: boolean): Promise<void> {
    guardAttributes(entry);
    const attributes = this.#attributes(entry);
    const { writer, deferred } = this;
    if (path === this.#options.base) {
      if (entry.type !== "directory") throw invalidEntry(entry, `is a ${entry.type} and would replace the root itself`);
      const root = writer.directories.find(path);
      if (root === undefined) throw invalidEntry(entry, "is the root, which is gone");
      writer.directoryAttributes(root, attributes);
      deferred.implied.delete(path);
      return;
    }
    if (this.#refused(entry)) return;
    const at = writer.place(path, entry.mtime);
    switch (entry.type) {
      case "directory":
        writer.directory(at, attributes);
        deferred.implied.delete(at.path);
        if (this.#options.form === "delete") deferred.named.add(at.path);
        break;
      case "file":
        await this.#file(entry, at, attributes, reader, inStore);
        break;
      case "symlink":
        if (entry.linkName === "") throw invalidEntry(entry, "is a symbolic link to nothing");
        writer.symlink(at, entry.linkName, attributes);
        break;
      case "hardlink":
        this.#hardLink(entry, at);
        break;
      case "char":
      case "block":
      case "fifo":
        if (!writer.node(at, entry.type, entry.devMajor, entry.devMinor, attributes)) {
          this.#options.warnings.add(
            `Skipped the device "${
              displayName(entry.name)
            }": device nodes need CAP_MKNOD in the initial user namespace`,
          );
        }
        break;
    }
    if (this.#options.form === "delete") deferred.add(at.path);
    if (this.#options.form === "none" && entry.type === "directory") deferred.added.add(at.path);
  }

  /** What is left out, with a warning. */
  #refused(entry: TarEntry): boolean {
    if (entry.type === "socket") {
      this.#options.warnings.add(`Skipped the socket "${displayName(entry.name)}": sockets are made by programs`);
      return true;
    }
    if (this.#overlay && entry.type === "char" && entry.devMajor === 0 && entry.devMinor === 0) {
      this.#options.warnings.add(
        `Skipped the device "${displayName(entry.name)}" with the number 0:0: overlayfs would take it for a whiteout`,
      );
      return true;
    }
    return false;
  }

  #attributes(entry: TarEntry): Attributes {
    if (entry.xattrs.size === 0 || this.#options.form === "none") return entry;
    const xattrs = new Map<ByteString, Uint8Array<ArrayBuffer>>();
    for (const [name, value] of entry.xattrs) xattrs.set(escapeXattrName(name), value);
    const { mode, uid, gid, mtime, atime } = entry;
    return { mode, uid, gid, mtime, atime, xattrs };
  }

  async #file(entry: TarEntry, at: Place, attributes: Attributes, reader: TarReader, inStore: boolean): Promise<void> {
    this.#countContent(entry.size_bytes);
    const { recipe } = this.#options;
    let fd = this.writer.createFile(at);
    try {
      if (entry.sparse !== undefined) await this.#sparse(fd, entry, reader, at, inStore);
      else {
        if (!inStore && entry.size_bytes > 0) recipe?.file(at.path, 0, entry.size_bytes);
        for (let piece = await reader.data(); piece !== undefined; piece = await reader.data()) {
          writeFd(fd, piece);
          if (inStore) recipe?.raw(piece);
        }
      }
      const open = fd;
      fd = -1;
      this.writer.finishFile(open, at, attributes);
    } finally {
      if (fd >= 0) closeFd(fd);
    }
  }

  async #sparse(fd: number, entry: TarEntry, reader: TarReader, at: Place, inStore: boolean): Promise<void> {
    const { recipe } = this.#options;
    const map = entry.sparse!;
    truncateFd(fd, entry.size_bytes);
    if (!inStore && entry.size_bytes > 0) recipe?.file(at.path, map[0] ?? 0, map[1] ?? 0);
    for (let i = 2; i < map.length && !inStore; i += 2) {
      if (map[i + 1]! > 0) recipe?.more(map[i]!, map[i + 1]!);
    }
    let segment = 0;
    let done_bytes = 0;
    for (let piece = await reader.data(); piece !== undefined; piece = await reader.data()) {
      if (inStore) recipe?.raw(piece);
      for (let from = 0; from < piece.length;) {
        while (done_bytes === map[segment + 1]) {
          segment += 2;
          done_bytes = 0;
        }
        const count = Math.min(piece.length - from, map[segment + 1]! - done_bytes);
        pwriteFd(fd, piece.subarray(from, from + count), map[segment]! + done_bytes);
        from += count;
        done_bytes += count;
      }
    }
  }

  #hardLink(entry: TarEntry, at: Place): void {
    const target = below(this.#options.base, pathInRoot(entry, entry.linkName, "link target"));
    if (target === this.#options.base) throw invalidEntry(entry, "is a hard link to the root");
    const found = this.writer.findPlace(target);
    const status = found && statxAtIfPresent(found.parent.fd, found.name);
    if (found === undefined || status === undefined) {
      // It may come later, or be in a lower layer.
      this.writer.remove(at);
      this.deferred.link({ path: at.path, target, name: entry.name });
      return;
    }
    if (status.type === "directory") throw invalidEntry(entry, "is a hard link to a directory");
    if (found.path === at.path) return;
    this.writer.link(at, found);
    if (status.type === "file" && status.size_bytes > 0) this.deferred.linked.add(at.path);
  }

  #whiteout(path: ByteString): void {
    if (this.#overlay) return this.deferred.hide(path);
    const at = this.writer.findPlace(path);
    if (at !== undefined) this.#prune(at);
  }

  #opaque(path: ByteString): void {
    if (this.#overlay) return this.deferred.makeOpaque(path);
    const directory = this.writer.directories.find(path);
    if (directory !== undefined) this.#pruneBelow(directory);
  }

  /** Removes what the parent had at a place; what this archive put there stays. */
  #prune(at: Place): void {
    const status = statxAtIfPresent(at.parent.fd, at.name);
    if (status === undefined) return;
    if (!this.deferred.added.has(at.path)) return this.writer.remove(at);
    if (status.type !== "directory") return;
    const directory = this.writer.directories.find(at.path);
    if (directory === undefined) return;
    this.#makeAnew(directory);
    this.#pruneBelow(directory);
  }

  /** A directory stays that was the parent's: without an entry of its own it is as if it had been made by this layer. */
  #makeAnew(directory: OpenDirectory): void {
    if (this.deferred.named.has(directory.path)) return;
    const mtime = directory.mtime ?? { s: 0, ns: 0 };
    this.writer.directoryAttributes(directory, { mode: 0o755, uid: 0, gid: 0, mtime, xattrs: new Map() });
  }

  #pruneBelow(top: OpenDirectory): void {
    const paths = [top.path];
    for (let path = paths.pop(); path !== undefined; path = paths.pop()) {
      this.#options.check();
      const directory = this.writer.directories.find(path);
      if (directory === undefined) continue;
      for (const name of readDirectory(directory.fd)) {
        const child = below(path, name);
        const at = this.writer.findPlace(child);
        if (at === undefined) continue;
        if (!this.deferred.added.has(child)) this.writer.remove(at);
        else if (statxAtIfPresent(at.parent.fd, name)?.type === "directory") {
          const below = this.writer.directories.find(child);
          if (below !== undefined) this.#makeAnew(below);
          paths.push(child);
        }
      }
    }
  }

  #implied(path: ByteString, instead: FileStatus | undefined): void {
    this.#count(undefined);
    if (this.#options.form === "delete" && instead?.type === "symlink") {
      this.#options.warnings.add(becomesDirectory(path));
    }
    if (this.#options.form === "delete") this.deferred.add(path);
    else if (this.#options.form === "none") this.deferred.added.add(path);
    else this.deferred.imply(path);
  }

  /** A file that the archive brought is about to go: the recipe needs its content. */
  #saveAside(path: ByteString, dirFd: number, name: ByteString, status: FileStatus): void {
    const { recipe, form } = this.#options;
    if (recipe === undefined || status.size_bytes === 0 || path.startsWith(`${LINK_STORE}/`)) return;
    if (this.deferred.linked.delete(path)) return;
    if (form === "delete" && !this.deferred.added.has(path)) return;
    this.deferred.remember(path);
    this.#countContent(status.size_bytes);
    recipe.saveAside(path, dirFd, name);
  }

  #count(entry: TarEntry | undefined): void {
    const { maxEntries } = this.#options.limits;
    if (++this.#made <= maxEntries) return;
    const at = entry === undefined ? "" : ` at "${displayName(entry.name).slice(0, 200)}"`;
    throw new LaminaError("RESOURCE_EXHAUSTED", `The archive has more than ${maxEntries} entries: stopped${at}`, {
      details: { limit: maxEntries },
    });
  }

  #countContent(size_bytes: number): void {
    const { maxContent_bytes } = this.#options.limits;
    this.#content_bytes += size_bytes;
    if (this.#content_bytes <= maxContent_bytes) return;
    throw new LaminaError(
      "RESOURCE_EXHAUSTED",
      `The files of the archive take more than the limit of ${maxContent_bytes} bytes`,
      { details: { limit_bytes: maxContent_bytes } },
    );
  }
}

/** For people, of an implied directory in the place of a link. */
export function becomesDirectory(path: ByteString): string {
  return `"${displayName(path)}" is a symbolic link in a lower layer and becomes a directory, because this layer ` +
    "puts something below it";
}

const ABSOLUTE_NAMES = "The archive has absolute names; they were taken as relative to the layer's root";

function below(base: ByteString, path: ByteString): ByteString {
  return (base === "" ? path : path === "" ? base : `${base}/${path}`) as ByteString;
}
