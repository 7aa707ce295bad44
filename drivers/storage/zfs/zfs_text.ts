/** What `zfs` and `zpool` print. Pure. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import type { ErrorCode } from "../../../runtime/core/errors.ts";
import { directoryName, idOfDirectory } from "../snapshot_mounts.ts";

/** Name of the snapshot that makes a dataset a committed one. */
export const SEAL = "layer";

/** A dataset of a snapshot. */
export interface Dataset {
  /** Limit of what it has beyond its origin, in bytes. */
  readonly quota_bytes?: number;
  /** It has the snapshot {@linkcode SEAL}. */
  readonly sealed: boolean;
}

/** What lies below the driver's own dataset. */
export interface DatasetListing {
  readonly datasets: ReadonlyMap<number, Dataset>;
  /** Names of datasets that are none of Lamina's. */
  readonly strangers: readonly string[];
  /** Identity of the store that knows them; absent: Lamina did not make the dataset. */
  readonly owner?: string;
  /** The driver's directory of the root that it belongs to. */
  readonly root?: string;
}

/** Columns of the list that {@linkcode parseListing} reads. */
export const LIST_COLUMNS = ["name", "type", "quota"] as const;

/**
 * The output of `zfs list -Hp -o name,type,quota,OWNER,ROOT -t filesystem,volume,snapshot -r -d 2 BASE`. Snapshots that somebody
 * takes of everything (by a timer) are nobody's concern.
 */
export function parseListing(text: string, base: string): DatasetListing {
  const datasets = new Map<number, { quota_bytes?: number; sealed: boolean }>();
  const strangers: string[] = [];
  let marks = {};
  for (const line of text.split("\n")) {
    const [name = "", type, quota, owner = "-", root] = line.split("\t");
    if (name === base && owner !== "-") marks = { owner, root };
    if (!name.startsWith(`${base}/`)) continue;
    const [below, snapshot] = name.slice(base.length + 1).split("@") as [string, string | undefined];
    const id = idOfDirectory(below);
    if (snapshot !== undefined) {
      const dataset = id === undefined ? undefined : datasets.get(id);
      if (dataset !== undefined && snapshot === SEAL) dataset.sealed = true;
    } else if (id === undefined || type !== "filesystem" || below !== directoryName(id)) strangers.push(name);
    else datasets.set(id, { sealed: false, ...(Number(quota) > 0 ? { quota_bytes: Number(quota) } : {}) });
  }
  return { datasets, strangers, ...marks };
}

/**
 * The paths in the output of `zfs diff -FH`, relative to the dataset; `undefined` when a line is not understood: then
 * nothing is known.
 *
 * @param mountPoints Where the dataset is mounted: any of them may be what the paths begin with.
 */
export function parseDiff(text: string, mountPoints: readonly string[]): ByteString[] | undefined {
  const paths: ByteString[] = [];
  for (const line of text.split("\n")) {
    if (line === "") continue;
    // change, type, path and, for a new name, the new path or, for more or fewer names, how many.
    const [change, type, ...names] = line.split("\t");
    if (!/^[-+MR]$/.test(change!) || type === undefined || names.length < 1 || names.length > 2) return undefined;
    const wanted = change === "R" ? names : names.slice(0, 1);
    if (change !== "R" && names[1] !== undefined && !/^\([+-]\d+\)$/.test(names[1])) return undefined;
    for (const name of wanted) {
      const path = relativePath(unescapeZfs(name), mountPoints);
      if (path === undefined) return undefined;
      paths.push(path);
    }
  }
  return paths;
}

/** Names as `zfs diff` writes them: what is not plain ASCII as `\` and four octal digits. */
export function unescapeZfs(name: string): ByteString {
  return name.replace(/\\0(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))) as ByteString;
}

function relativePath(path: ByteString, mountPoints: readonly string[]): ByteString | undefined {
  for (const mountPoint of mountPoints) {
    if (path === mountPoint || path === `${mountPoint}/`) return "" as ByteString;
    if (path.startsWith(`${mountPoint}/`)) return path.slice(mountPoint.length + 1) as ByteString;
  }
  return undefined;
}

/** What a failed `zfs` or `zpool` means, by what it says on standard error. */
export function meaningOfFailure(stderr: string): { code: ErrorCode; advice: string } {
  for (const [pattern, code, advice] of meanings) if (pattern.test(stderr)) return { code, advice };
  return { code: "INTERNAL", advice: "" };
}

const meanings: ReadonlyArray<readonly [RegExp, ErrorCode, string]> = [
  [/modules? (are|is) not (loaded|auto-loaded)|\/dev\/zfs/i, "UNSUPPORTED", "Load the module (modprobe zfs)"],
  [/I\/O is currently suspended|pool I\/O failure/i, "UNAVAILABLE", "See zpool status, then zpool clear"],
  [/read-only|readonly/i, "UNAVAILABLE", "Import the pool writable"],
  [/out of space|no space left|quota exceeded/i, "RESOURCE_EXHAUSTED", "Free some space in the pool and try again"],
  [/less than current used/i, "INVALID_ARGUMENT", "It takes more than that already. Delete something first"],
  [/parent does not exist/i, "NOT_FOUND", "Make that first (zfs create)"],
  [/does not exist|no such pool/i, "NOT_FOUND", ""],
  [/already exists|dataset exists/i, "ALREADY_EXISTS", ""],
  [/is busy|has dependent clones|has children|already mounted/i, "CONFLICT", "Stop what uses it and try again"],
  [/permission denied/i, "PERMISSION_DENIED", "Run as root"],
];
