/**
 * Paths inside a container's root. An image may hold any links: absolute ones and `..` mean the container's root, never
 * the host's, and nothing that is opened or made here lies outside of it, whoever renames things meanwhile.
 */
import { type ByteString, byteStringFromText, displayName } from "../core/bytes.ts";
import { LaminaError } from "../core/errors.ts";
import { hostError } from "./errno_errors.ts";
import { closeFd, type FileType, knownOfFd, openAt, readlinkAt } from "./fs_calls.ts";
import { chmodFd, mkdirAt } from "./fs_change_calls.ts";
import { isErrno } from "./libc.ts";
import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  openat2,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from "./openat2.ts";

/** How {@linkcode openInRoot} treats what it finds. */
export interface OpenInRootOptions {
  /**
   * What the path must be; it is made, with the directories above it (0755), where it is missing. Absent: whatever
   * exists.
   */
  readonly create?: "directory" | "file";
  /** Permission bits of what is made, whatever the umask; default 0755 for a directory, 0644 for a file. */
  readonly mode?: number;
  /** A link as the last component is opened itself. Not together with `create`. */
  readonly noFollow?: boolean;
}

/** An opened path. It stays what it is while it is open, even when it is renamed. */
export interface OpenedPath extends Disposable {
  /** Opened with `O_PATH`, close-on-exec. */
  readonly fd: number;
  /** Names the opened inode to other processes: `/proc/PID/fd/N`. The target to mount upon. */
  readonly procPath: string;
  /** Where it was on the host when it was opened; for showing, and to compare with the mount table. */
  readonly realPath: string;
  readonly type: FileType;
  /** Paths inside the root that were made for it, outermost first. */
  readonly made: readonly string[];
}

/**
 * Opens `path` inside the directory `root`, resolved as a process with that root would.
 *
 * @param root Absolute path of a directory, trusted.
 * @param path Path inside the root; a leading `/` changes nothing.
 * @throws `NOT_FOUND`, `CONFLICT` (a component is of another type than needed: `details.component`),
 * `INVALID_ARGUMENT` (loop of links, name too long, NUL), `UNAVAILABLE` (must be made on a read-only file system),
 * `RESOURCE_EXHAUSTED`.
 */
export function openInRoot(root: string, path: string, options: OpenInRootOptions = {}): OpenedPath {
  const attempted = `Cannot open ${JSON.stringify(path)} inside ${root}`;
  if (path.includes("\0")) throw new LaminaError("INVALID_ARGUMENT", `${attempted}: the path holds a NUL character`);
  let rootFd: number;
  try {
    rootFd = openAt(AT_FDCWD, byteStringFromText(root), O_PATH | O_DIRECTORY);
  } catch (error) {
    throw hostError(error, attempted, { path: root });
  }
  try {
    const made: string[] = [];
    const fd = options.create === undefined
      ? openExisting(rootFd, path, options.noFollow === true)
      : new Maker(rootFd, options.create, options.mode, made, attempted).open(path);
    return openedPath(fd, made, attempted);
  } catch (error) {
    throw hostError(error, attempted, { path });
  } finally {
    closeFd(rootFd);
  }
}

/**
 * Opens `path` beneath the directory `top`. Links are followed as long as they stay beneath it; one that is absolute or
 * leads out is refused.
 *
 * @param top Absolute path of a directory, trusted.
 * @param path Relative.
 * @throws `NOT_FOUND`, `INVALID_ARGUMENT` (leads out, loop of links, NUL), `CONFLICT` (goes through something that is
 * no directory).
 */
export function openBeneath(top: string, path: string): OpenedPath {
  const attempted = `Cannot open ${JSON.stringify(path)} beneath ${top}`;
  if (path.includes("\0")) throw new LaminaError("INVALID_ARGUMENT", `${attempted}: the path holds a NUL character`);
  let topFd: number;
  try {
    topFd = openAt(AT_FDCWD, byteStringFromText(top), O_PATH | O_DIRECTORY);
  } catch (error) {
    throw hostError(error, attempted, { path: top });
  }
  try {
    const resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    return openedPath(openat2(topFd, byteStringFromText(path), { flags: O_PATH, resolve }), [], attempted);
  } catch (error) {
    if (!isErrno(error, "EXDEV")) throw hostError(error, attempted, { path });
    throw new LaminaError("INVALID_ARGUMENT", `${attempted}: it leads out of there, by a link or by ".."`, {
      cause: error,
      details: { path },
    });
  } finally {
    closeFd(topFd);
  }
}

function openExisting(rootFd: number, path: string, noFollow: boolean): number {
  return openat2(rootFd, byteStringFromText(path === "" ? "." : path), {
    flags: O_PATH | (noFollow ? O_NOFOLLOW : 0),
    resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
  });
}

function openedPath(fd: number, made: readonly string[], attempted: string): OpenedPath {
  let open = true;
  const close = () => {
    if (open) closeFd(fd);
    open = false;
  };
  try {
    const realPath = Deno.readLinkSync(`/proc/self/fd/${fd}`);
    return {
      fd,
      procPath: `/proc/${Deno.pid}/fd/${fd}`,
      realPath,
      type: knownOfFd(fd).type,
      made,
      [Symbol.dispose]: close,
    };
  } catch (error) {
    close();
    // The mount table and commands know paths as text only: what is mounted there could never be unmounted.
    if (!(error instanceof Deno.errors.InvalidData)) throw error;
    throw new LaminaError("INVALID_ARGUMENT", `${attempted}: it leads to a name that is no valid UTF-8`, {
      cause: error,
    });
  }
}

// As many links as the kernel follows.
const MAX_LINKS = 40;

/**
 * Walks component by component, because what is missing behind a dangling link must be made where the link points
 * to *inside* the root. Each step opens a path of plain names from the root with links forbidden: a component that
 * somebody exchanges for a link makes the step fail.
 */
class Maker {
  /** Names from the root to where the walk is; never `.`, `..` or a link. */
  readonly #at: ByteString[] = [];
  #links = 0;

  constructor(
    readonly rootFd: number,
    readonly wanted: "directory" | "file",
    readonly mode: number | undefined,
    readonly made: string[],
    readonly attempted: string,
  ) {}

  open(path: string): number {
    const rest = componentsOf(byteStringFromText(path)).reverse();
    while (rest.length > 0) {
      const name = rest.pop()!;
      if (name === ".") continue;
      if (name === "..") {
        this.#at.pop();
        continue;
      }
      // "file/." and "file/.." need a directory too, as in the kernel.
      const isLast = rest.length === 0;
      const fd = this.#openOrMake(name, isLast ? this.wanted : "directory", isLast);
      const type = knownOfFd(fd).type;
      if (type === "symlink") {
        this.#follow(fd, name, rest);
        continue;
      }
      this.#checkType(fd, name, type, isLast ? this.wanted : "directory");
      this.#at.push(name);
      if (isLast) return fd;
      closeFd(fd);
    }
    // The path ended on `.` or `..`, or was the root itself: a directory, by the walk.
    const fd = this.#openHere(here, O_PATH);
    this.#checkType(fd, undefined, "directory", this.wanted);
    return fd;
  }

  #openOrMake(name: ByteString, kind: "directory" | "file", isLast: boolean): number {
    for (;;) {
      try {
        return this.#openHere(name, O_PATH | O_NOFOLLOW);
      } catch (error) {
        if (!isErrno(error, "ENOENT")) throw error;
      }
      const parent = this.#openHere(here, O_RDONLY | O_DIRECTORY);
      try {
        if (kind === "file") {
          const fd = openAt(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
          chmodFd(fd, this.mode ?? 0o644);
          closeFd(fd);
        } else {
          mkdirAt(parent, name, 0o700);
          const fd = openAt(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
          chmodFd(fd, isLast ? this.mode ?? 0o755 : 0o755);
          closeFd(fd);
        }
        this.made.push(this.#show(name));
      } catch (error) {
        // Somebody was faster: take theirs, whatever it is.
        if (!isErrno(error, "EEXIST")) throw error;
      } finally {
        closeFd(parent);
      }
    }
  }

  #openHere(name: ByteString, flags: number): number {
    return openat2(this.rootFd, [...this.#at, name].join("/") as ByteString, {
      flags,
      resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
    });
  }

  #follow(fd: number, name: ByteString, rest: ByteString[]): void {
    const target = readlinkAt(fd, "" as ByteString);
    closeFd(fd);
    if (++this.#links > MAX_LINKS) {
      const component = this.#show(name);
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `${this.attempted}: more than ${MAX_LINKS} symbolic links on the way, the last at ${component}`,
        { details: { component } },
      );
    }
    if (target.startsWith("/")) this.#at.length = 0;
    const parts = componentsOf(target);
    // A trailing slash asks for a directory.
    if (parts.length === 0 || target.endsWith("/")) parts.push(here);
    rest.push(...parts.reverse());
  }

  #checkType(fd: number, name: ByteString | undefined, type: FileType, wanted: "directory" | "file"): void {
    if ((type === "directory") === (wanted === "directory")) return;
    closeFd(fd);
    const component = this.#show(name);
    throw new LaminaError(
      "CONFLICT",
      `${this.attempted}: ${component} is a ${type}, a ${wanted} is needed. Choose another path or remove it`,
      { details: { component, found: type, wanted } },
    );
  }

  #show(name?: ByteString): string {
    return displayName(`/${[...this.#at, ...(name === undefined ? [] : [name])].join("/")}` as ByteString);
  }
}

const here = "." as ByteString;

function componentsOf(path: ByteString): ByteString[] {
  return path.split("/").filter(Boolean) as ByteString[];
}
