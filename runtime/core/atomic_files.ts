/**
 * A set of small files that is replaced as one: what configMap, secret, downwardAPI and projected volumes show. Pure;
 * `runtime/host/atomic_writer.ts` performs it.
 *
 * ```
 * VOLUME/..2026_11_22_18_30_00.48151623/…   the files
 * VOLUME/..data -> ..2026_11_22_18_30_00.48151623
 * VOLUME/NAME -> ..data/NAME                one link for each first component
 * ```
 *
 * Whoever reads through the links sees the old files or the new ones: they change with the one rename of `..data`.
 */
import { byteStringFromText } from "./bytes.ts";
import { LaminaError } from "./errors.ts";

/** One file. */
export interface AtomicFile {
  readonly content: Uint8Array<ArrayBuffer>;
  /** Permission bits, 0 to 0777. */
  readonly mode: number;
}

/** Files by relative path; `/` separates directories. */
export type AtomicFiles = ReadonlyMap<string, AtomicFile>;

/** The link that is renamed. */
export const DATA_LINK = "..data";
/** Its name before that. */
export const NEW_DATA_LINK = "..data_tmp";
/** Prefix of what the links at the top point to. */
export const THROUGH_DATA = "..data/";

const MAX_NAME_BYTES = 255;
const MAX_PATH_BYTES = 4096;

/**
 * Refuses paths that cannot be files of such a set.
 *
 * @param what Whose files they are, for the message, e.g. `volume "config" of pod default/web`.
 * @throws `INVALID_ARGUMENT` naming the path.
 */
export function checkAtomicFiles(files: AtomicFiles, what: string): void {
  const directories = new Set(directoriesOf(files));
  for (const path of files.keys()) {
    const why = whyNotPath(path) ?? (directories.has(path) ? "it is a file and a directory at once" : undefined);
    if (why === undefined) continue;
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Cannot write ${JSON.stringify(path.slice(0, 200))} into ${what}: ${why}`,
      {
        details: { path: path.slice(0, 200) },
      },
    );
  }
}

/** What is wrong with a path; `undefined` for a good one. */
export function whyNotPath(path: string): string | undefined {
  if (path === "") return "the path is empty";
  if (path.startsWith("/")) return "the path must be relative";
  if (path.includes("\0")) return "the path holds a NUL character";
  if (path.startsWith("..")) return 'a path must not begin with ".."';
  if (byteStringFromText(path).length > MAX_PATH_BYTES) return `the path is longer than ${MAX_PATH_BYTES} bytes`;
  for (const name of path.split("/")) {
    if (name === "..") return 'the path must not contain ".."';
    if (name === "" || name === ".") return "a part of the path is empty";
    if (byteStringFromText(name).length > MAX_NAME_BYTES) return `a name is longer than ${MAX_NAME_BYTES} bytes`;
  }
  return undefined;
}

/** `a/./b//c` as `a/b/c`, which is the file that people mean by it. */
export function cleanPath(path: string): string {
  return path.startsWith("/") ? path : path.split("/").filter((name) => name !== "" && name !== ".").join("/");
}

/** The directories that the files lie in, parents first. */
export function directoriesOf(files: AtomicFiles): string[] {
  const found = new Set<string>();
  for (const path of files.keys()) {
    for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) found.add(path.slice(0, at));
  }
  return [...found].sort();
}

/** The names at the top of the set. */
export function topNames(files: AtomicFiles): string[] {
  return [...new Set([...files.keys()].map((path) => path.split("/", 1)[0]!))].sort();
}

/** Owner and modes of everything in the set. */
export interface AtomicOwnership {
  /** Group of all (Kubernetes `fsGroup`), which may then read them. Absent: root's. */
  readonly gid?: number;
}

/** Mode of a file for its owner: a group may read what it owns. */
export function fileModeFor(mode: number, { gid }: AtomicOwnership): number {
  return gid === undefined ? mode : mode | 0o440;
}

/** Mode of every directory. */
export function directoryModeFor({ gid }: AtomicOwnership): number {
  return gid === undefined ? 0o755 : 0o2755;
}

/** Name of a new data directory. @param random Digits that no other call has. */
export function dataDirectoryName(now: Date, random: string): string {
  const [date, time] = now.toISOString().slice(0, 19).split("T") as [string, string];
  return `..${date.replaceAll("-", "_")}_${time.replaceAll(":", "_")}.${random}`;
}

/** Whether a name is that of a data directory, so that one nobody points to may be deleted. */
export function isDataDirectoryName(name: string): boolean {
  return /^\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\.\d+$/.test(name);
}

/** An entry of the volume's directory. */
export interface VolumeEntry {
  readonly name: string;
  /** Of a symbolic link. */
  readonly target?: string;
}

/** What is to be done at the top of a volume after its data directory is in place. */
export interface LinkPlan {
  /** Links to make. */
  readonly make: readonly string[];
  /** Links of ours to remove: their files are gone. */
  readonly remove: readonly string[];
  /** Data directories that nothing points to, and a new link that a crash has left. */
  readonly leftovers: readonly string[];
  /** Names that are wanted, but taken by what is not ours. */
  readonly taken: readonly string[];
}

/**
 * Compares the top of a volume with what it should be.
 *
 * @param wanted Names that must be links.
 * @param current The data directory in use.
 */
export function planLinks(entries: readonly VolumeEntry[], wanted: readonly string[], current: string): LinkPlan {
  const found = new Map(entries.map((entry) => [entry.name, entry]));
  const names = new Set(wanted);
  const isOurs = (name: string) => found.get(name)?.target === THROUGH_DATA + name;
  return {
    make: wanted.filter((name) => !found.has(name)),
    taken: wanted.filter((name) => found.has(name) && !isOurs(name)),
    remove: entries.map(({ name }) => name).filter((name) => isOurs(name) && !names.has(name)),
    leftovers: entries.map(({ name }) => name).filter((name) =>
      name === NEW_DATA_LINK || (isDataDirectoryName(name) && name !== current)
    ),
  };
}
