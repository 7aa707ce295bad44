/** What stands below a layer: the union of its lower layers' directories, as the kernel would show it. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import {
  closeFd,
  type FileStatus,
  openAt,
  readDirectory,
  statxAtIfPresent,
  statxFd,
} from "../../../runtime/host/fs_calls.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../../../runtime/host/openat2.ts";
import { readXattrs, readXattrsAt, type Xattrs } from "../../../runtime/host/xattr_calls.ts";
import { MAX_PIECE_BYTES, openPathFd } from "./deep_path.ts";
import { absolutePath, joinPath, treeError } from "./tree_error.ts";
import { WHITEOUT_PREFIX, type WhiteoutMarks } from "./whiteout_marks.ts";

/** A merged directory: which layers take part in it. Empty `layers`: there is none. */
export interface LowerDirectory {
  readonly path: ByteString;
  /** Indices, topmost first; in each of them `path` is a real directory, reached through real directories. */
  readonly layers: readonly number[];
}

/** What a name stands for below. */
export interface FoundBelow {
  readonly status: FileStatus;
  /** Index of the layer that shows it. */
  readonly layer: number;
}

/**
 * See the head of the file. Costs one descriptor per layer. The layers must not change meanwhile; no symbolic link in
 * them is ever followed.
 */
export class LowerView implements Disposable {
  readonly #roots: number[] = [];
  readonly #marks: WhiteoutMarks;

  /** @param lowers Absolute paths, topmost first. */
  constructor(lowers: readonly string[], marks: WhiteoutMarks) {
    this.#marks = marks;
    try {
      for (const lower of lowers) this.#roots.push(openAt(AT_FDCWD, absolutePath(lower), O_RDONLY | O_DIRECTORY));
    } catch (error) {
      this[Symbol.dispose]();
      throw treeError(
        "Cannot open the lower layer",
        absolutePath(lowers[this.#roots.length]!).slice(1) as ByteString,
        error,
      );
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#roots.splice(0)) closeFd(fd);
  }

  /** The merged root. */
  root(): LowerDirectory {
    const layers: number[] = [];
    for (const [layer, fd] of this.#roots.entries()) {
      layers.push(layer);
      if (this.#marks.isOpaque(fd)) break;
    }
    return { path: "" as ByteString, layers };
  }

  /** Attributes of a layer's root. */
  rootStatus(layer: number): FileStatus {
    return statxFd(this.#roots[layer]!);
  }

  /** What `name` in a merged directory stands for; `undefined` when nothing is visible there. */
  find(directory: LowerDirectory, name: ByteString): FoundBelow | undefined {
    for (const layer of directory.layers) {
      const seen = this.#look(layer, directory.path, name);
      if (seen === "hidden") return undefined;
      if (seen !== undefined) return { status: seen, layer };
    }
    return undefined;
  }

  /** The merged directory `name` of a merged directory. */
  enter(directory: LowerDirectory, name: ByteString): LowerDirectory {
    const path = joinPath(directory.path, name);
    const layers: number[] = [];
    for (const layer of directory.layers) {
      const seen = this.#look(layer, directory.path, name);
      if (seen === undefined) continue;
      if (seen === "hidden" || seen.type !== "directory") break;
      layers.push(layer);
      if (this.#within(layer, path, (fd) => this.#marks.isOpaque(fd))) break;
    }
    return { path, layers };
  }

  /** The names that a merged directory shows, sorted. */
  names(directory: LowerDirectory): ByteString[] {
    const visible = new Set<ByteString>();
    const hidden = new Set<ByteString>();
    for (const layer of directory.layers) {
      this.#within(layer, directory.path, (fd) => {
        const hiddenHere: ByteString[] = [];
        for (const name of readDirectory(fd)) {
          if (this.#marks.byName && name.startsWith(WHITEOUT_PREFIX)) {
            hiddenHere.push(name.slice(WHITEOUT_PREFIX.length) as ByteString);
          } else if (!visible.has(name) && !hidden.has(name)) {
            const status = statxAtIfPresent(fd, name);
            if (status === undefined) continue;
            (this.#marks.isWhiteout(fd, name, status) ? hidden : visible).add(name);
          }
        }
        for (const name of hiddenHere) if (!visible.has(name)) hidden.add(name);
      });
    }
    return [...visible].sort();
  }

  /** Extended attributes of what {@linkcode find} found; of the directory itself for an empty `name`. */
  xattrs(directory: LowerDirectory, name: ByteString, layer: number): Xattrs {
    return this.#within(
      layer,
      directory.path,
      (fd) => name === "" ? readXattrs(fd) : readXattrsAt(fd, name),
    );
  }

  #look(layer: number, directory: ByteString, name: ByteString): FileStatus | "hidden" | undefined {
    return this.#near(layer, directory, (fd, prefix) => {
      const place = joinPath(prefix, name);
      const status = statxAtIfPresent(fd, place);
      if (status !== undefined) return this.#marks.isWhiteout(fd, place, status) ? "hidden" : status;
      if (!this.#marks.byName) return undefined;
      const sign = joinPath(prefix, `${WHITEOUT_PREFIX}${name}` as ByteString);
      return statxAtIfPresent(fd, sign) === undefined ? undefined : "hidden";
    });
  }

  // With a descriptor from which the rest of the path is short enough for one call.
  #near<T>(layer: number, path: ByteString, use: (fd: number, rest: ByteString) => T): T {
    const root = this.#roots[layer]!;
    if (path.length <= MAX_PIECE_BYTES) return use(root, path);
    return this.#within(layer, path, (fd) => use(fd, "" as ByteString));
  }

  #within<T>(layer: number, path: ByteString, use: (fd: number) => T): T {
    using directory = openPathFd(this.#roots[layer]!, path);
    return use(directory.fd);
  }
}
