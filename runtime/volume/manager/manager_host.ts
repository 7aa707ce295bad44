/** All that the manager asks of the machine besides mounting: time, the mount table, and its own directories. */
import { dirname } from "@std/path/posix";
import { LaminaError, messageOf } from "../../core/errors.ts";
import type { MountEntry } from "../../core/mountinfo.ts";
import { hostError } from "../../host/errno_errors.ts";
import { bootId } from "../../host/host_facts.ts";
import { currentMountTable, mountIdentityIfThere, watchMountTable } from "../../host/mount_table.ts";

/** A mount, whose `root` is a path also when nothing is there any more. */
export interface ManagerMount extends MountEntry {
  /** What it shows was deleted where it came from. */
  readonly isSourceGone?: boolean;
}

/** See the head of the file. */
export interface ManagerHost {
  /** Milliseconds since the epoch. */
  now_ms(): number;
  /** Runs `body` once. @param idle Nobody waits for it: it does not keep the process alive. @returns stops it. */
  timer(delay_ms: number, body: () => void, idle?: boolean): () => void;
  /** Changes at each boot. */
  bootId(): string;
  mountTable(): readonly ManagerMount[];
  /** Once when the watch stands, then after each change of the mount table. */
  watchMounts(signal: AbortSignal): AsyncIterable<void>;
  /** Id of the mount whose root is at `path`, if one is. */
  mountIdAt(path: string): bigint | undefined;
  /** Without links; a path that is not there as it was written. */
  canonical(path: string): Promise<string>;
  /** What is there, links followed. @throws `NOT_FOUND` */
  kindOf(path: string): Promise<"directory" | "file">;
  /** Inode number of what is there, links followed; 0: nothing, or nothing that can be looked at. */
  inodeAt(path: string): Promise<number>;
  /** The nearest directory above a path that exists. */
  directoryAbove(path: string): Promise<string>;
  /** Calls `changed` after changes of what directories hold. One that cannot be watched is left out. */
  watchDirectories(directories: readonly string[], changed: () => void, signal: AbortSignal): void;
  /** Makes what is missing of it (0700), or, for a file, of the way to it and an empty file. */
  makePlace(path: string, kind: "directory" | "file"): void;
  /**
   * Removes an empty directory or file; gone already is success.
   *
   * @throws `CONFLICT` naming what is there when it is not empty.
   */
  removePlace(path: string): void;
  /** Removes directories that are empty, from `path` upwards, up to and without `top`. */
  removeEmptyAbove(path: string, top: string): void;
}

/** This machine. */
export const thisHost: ManagerHost = {
  now_ms: () => Date.now(),
  timer(delay_ms, body, idle = false) {
    const timer = setTimeout(body, delay_ms);
    if (idle) Deno.unrefTimer(timer);
    return () => clearTimeout(timer);
  },
  bootId,
  mountTable: () => withoutDeleted(currentMountTable()),
  watchMounts: watchMountTable,
  mountIdAt(path) {
    const identity = mountIdentityIfThere(path);
    return identity?.isRoot ? identity.id : undefined;
  },
  async canonical(path) {
    try {
      return await Deno.realPath(path);
    } catch (error) {
      if (error instanceof Error && "code" in error) return path;
      throw error;
    }
  },
  async kindOf(path) {
    try {
      return (await Deno.stat(path)).isDirectory ? "directory" : "file";
    } catch (error) {
      throw hostError(error, `Cannot use ${path} as the source of a volume`, { path });
    }
  },
  async inodeAt(path) {
    return (await lookAt(path))?.ino ?? 0;
  },
  async directoryAbove(path) {
    for (let at = dirname(path);; at = dirname(at)) {
      if (at === "/" || (await lookAt(at))?.isDirectory) return at;
    }
  },
  watchDirectories(directories, changed, signal) {
    for (const directory of directories) void watchDirectory(directory, changed, signal);
  },
  makePlace(path, kind) {
    try {
      Deno.mkdirSync(kind === "directory" ? path : dirname(path), { recursive: true, mode: 0o700 });
      if (kind === "file") Deno.openSync(path, { write: true, create: true, mode: 0o600 }).close();
    } catch (error) {
      throw hostError(error, `Cannot make the mount point ${path}`, { path });
    }
  },
  removePlace(path) {
    try {
      const info = Deno.lstatSync(path);
      if (info.isFile && info.size > 0) throw inTheWay(path, `it is a file of ${info.size} bytes`);
      if (!info.isFile && !info.isDirectory) throw inTheWay(path, "it is neither a directory nor an empty file");
      Deno.removeSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      if (isErrno(error, "ENOTEMPTY")) throw inTheWay(path, `it holds ${namesIn(path)}`);
      throw hostError(error, `Cannot remove ${path}`, { path });
    }
  },
  removeEmptyAbove(path, top) {
    for (let at = path; at !== top && at.startsWith(`${top}/`); at = dirname(at)) {
      try {
        Deno.removeSync(at);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) continue;
        if (isErrno(error, "ENOTEMPTY", "EEXIST", "EBUSY")) return;
        throw hostError(error, `Cannot remove the directory ${at}`, { path: at });
      }
    }
  },
};

/** Milliseconds for a look at a path whose server may be silent. */
const LOOK_MS = 5000;

/** `undefined`: nothing, or nothing that can be looked at. */
async function lookAt(path: string): Promise<Deno.FileInfo | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), LOOK_MS);
  try {
    return await Promise.race([Deno.stat(path).catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}

async function watchDirectory(directory: string, changed: () => void, signal: AbortSignal): Promise<void> {
  try {
    using watcher = Deno.watchFs(directory, { recursive: false });
    if (signal.aborted) return;
    signal.addEventListener("abort", () => watcher.close(), { once: true });
    for await (const _ of watcher) changed();
  } catch {
    // Gone meanwhile, or too many watches: the next try comes by its backoff.
  }
}

const DELETED = "//deleted";

/** The kernel writes it behind the path; the mount is the same as before. */
function withoutDeleted(table: readonly MountEntry[]): readonly ManagerMount[] {
  if (!table.some(({ root }) => root.endsWith(DELETED))) return table;
  return table.map((entry) => {
    if (!entry.root.endsWith(DELETED)) return entry;
    return { ...entry, root: entry.root.slice(0, -DELETED.length), isSourceGone: true };
  });
}

function inTheWay(path: string, found: string): LaminaError {
  return new LaminaError(
    "CONFLICT",
    `Cannot remove ${path}: ${found}, which this program has not made. Move that away, then it goes by itself`,
    { details: { path } },
  );
}

function namesIn(path: string): string {
  try {
    const names = [...Deno.readDirSync(path)].map(({ name }) => JSON.stringify(name));
    return names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "");
  } catch (error) {
    return `something (${messageOf(error)})`;
  }
}

function isErrno(error: unknown, ...names: string[]): boolean {
  return error instanceof Error && "code" in error && names.includes(String(error.code));
}
