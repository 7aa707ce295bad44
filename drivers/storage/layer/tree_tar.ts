/** A tar of a whole tree, or of one path of it. */
import { type ByteString, byteStringFromText } from "../../../runtime/core/bytes.ts";
import { AT_FDCWD, O_DIRECTORY, O_NOFOLLOW, O_PATH, openat2, RESOLVE_IN_ROOT } from "../../../runtime/host/openat2.ts";
import { closeFd, openAt, statxAtIfPresent, statxFd } from "../../../runtime/host/fs_calls.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { TarEntries, type TarEntryOptions } from "./tar_entries.ts";
import { absolutePath, treeError } from "./tree_error.ts";
import { walkTree } from "./walk_tree.ts";

/** What goes into the archive; see `TarSource` in `engine.ts`. */
export interface TreeTarSource {
  /** Absolute path of the tree. */
  readonly root: string;
  /** Absolute inside the tree: no link in it leads out, a final link is archived as a link. */
  readonly path: string;
  /** Name of the top entry; absent: `./` for a directory, its own name for anything else. */
  readonly as?: string;
}

/**
 * The archive in chunks: sorted, everything of one file system, hard links within it as links, sockets left out.
 *
 * @throws `NOT_FOUND` when `path` is not there, `CONFLICT` when a file shrinks while it is read.
 */
export function* treeTar(source: TreeTarSource, options: TarEntryOptions = {}): Generator<
  Uint8Array<ArrayBuffer>,
  void,
  void
> {
  const entries = new TarEntries(options);
  const as = source.as === undefined ? undefined : byteStringFromText(source.as);
  const place = openPlace(source);
  try {
    if (place.directory) {
      const top = as ?? "" as ByteString;
      const prefix = top === "" || top.endsWith("/") ? top : `${top}/`;
      for (const node of walkTree(place.fd, { check: options.check, skipPlaceholders: true })) {
        if (node.phase === "leave") continue;
        yield* entries.add(node, node.path === "" ? top : `${prefix}${node.path}` as ByteString);
      }
    } else {
      const status = statxAtIfPresent(place.fd, place.name);
      if (status === undefined) throw notFound(source);
      const node = { phase: "enter", path: place.name, name: place.name, parentFd: place.fd, fd: -1 } as const;
      yield* entries.add({ ...node, depth: 0, status, mountPoint: false }, as ?? place.name);
    }
    yield* entries.end();
  } finally {
    closeFd(place.fd);
  }
}

interface Place {
  /** The directory itself, or the one that holds `name`. */
  readonly fd: number;
  readonly directory: boolean;
  readonly name: ByteString;
}

// The kernel resolves every link as if the tree were its root; the last component is only looked at.
function openPlace(source: TreeTarSource): Place {
  const rootFd = openRoot(source.root);
  try {
    const parts = byteStringFromText(source.path).split("/").filter((part) => part !== "" && part !== ".");
    const name = (parts.at(-1) ?? ".") as ByteString;
    if (name === "." || name === "..") {
      return { fd: openInRoot(rootFd, parts.join("/"), source), directory: true, name };
    }
    const parentFd = openInRoot(rootFd, parts.slice(0, -1).join("/"), source);
    let fd: number;
    try {
      if (statxAtIfPresent(parentFd, name)?.type !== "directory") return { fd: parentFd, directory: false, name };
      fd = openAt(parentFd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    } catch (error) {
      closeFd(parentFd);
      throw error;
    }
    closeFd(parentFd);
    return { fd, directory: true, name };
  } catch (error) {
    throw treeError("Cannot archive", byteStringFromText(source.path.replace(/^\/+/, "")), error);
  } finally {
    closeFd(rootFd);
  }
}

function openRoot(root: string): number {
  const path = absolutePath(root);
  try {
    return openAt(AT_FDCWD, path, O_PATH | O_DIRECTORY);
  } catch (error) {
    throw treeError("Cannot open the tree", path.slice(1) as ByteString, error);
  }
}

function openInRoot(rootFd: number, path: string, source: TreeTarSource): number {
  const fd = openat2(rootFd, (path || ".") as ByteString, { flags: O_PATH | O_DIRECTORY, resolve: RESOLVE_IN_ROOT });
  if (statxFd(fd).type === "directory") return fd;
  closeFd(fd);
  throw notFound(source);
}

function notFound(source: TreeTarSource): LaminaError {
  return new LaminaError("NOT_FOUND", `Cannot archive "${source.path}": it does not exist in "${source.root}"`);
}
