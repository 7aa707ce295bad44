/**
 * File operations as data: drawn once against the oracle's tree, then played on every driver's. What is drawn is what a
 * container may rely on everywhere: no rename of directories (overlay leaves that to its caller), and of a file with
 * several names that came from below only the removal of names (overlay parts them when one is written to).
 */
import { S_IF } from "../../runtime/host/fs_change_calls.ts";
import { mknodAt, setTimesAt } from "../../runtime/host/fs_change_calls.ts";
import { removeXattrAt, setXattrAt } from "../../runtime/host/xattr_calls.ts";
import type { Random } from "../layer/support/random_trees.ts";
import { bytes, inDirectory } from "../layer/support/trees.ts";

/** One operation. Paths are relative to the tree's root. */
export type FileOperation =
  | { readonly kind: "directory"; readonly path: string; readonly mode: number }
  | {
    readonly kind: "write";
    readonly path: string;
    readonly offset: number;
    readonly size_bytes: number;
    readonly fill: number;
    readonly truncate: boolean;
  }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string }
  | { readonly kind: "node"; readonly path: string; readonly type: number; readonly minor: number }
  | { readonly kind: "link" | "rename"; readonly from: string; readonly path: string }
  | { readonly kind: "remove"; readonly path: string }
  | { readonly kind: "replace"; readonly path: string }
  | { readonly kind: "mode"; readonly path: string; readonly mode: number }
  | { readonly kind: "owner"; readonly path: string; readonly uid: number; readonly gid: number }
  | { readonly kind: "attribute"; readonly path: string; readonly name: string; readonly value?: number };

/** An operation with the time that its file gets, in nanoseconds after {@linkcode EPOCH_s}. */
export type TimedOperation = FileOperation & { readonly time_ns: number };

/** Seconds since the epoch. */
export const EPOCH_s = 1_600_000_000;

const NAMES = [..."abcdefgh", "a.b", "a-b", "with space", "wh.no", ".hidden", "L".repeat(200)];
const MODES = [0o644, 0o755, 0o600, 0o4755, 0o2750, 0o1777, 0o000];
const IDS = [0, 0, 1, 1000, 65534];
const SIZES = [0, 1, 511, 4096, 70_000, 300_000];
const ATTRIBUTES = ["user.a", "user.b.c", "trusted.t"];

/** Does it. */
export function perform(root: string, operation: TimedOperation): void {
  const path = `${root}/${operation.path}`;
  switch (operation.kind) {
    case "directory":
      Deno.mkdirSync(path);
      Deno.chmodSync(path, operation.mode);
      return;
    case "write":
      return write(root, operation);
    case "symlink":
      Deno.symlinkSync(operation.target, path);
      return touch(root, operation);
    case "node":
      inDirectory(root, (fd) => mknodAt(fd, bytes(operation.path), operation.type, 0o640, 3000, operation.minor));
      return touch(root, operation);
    case "link":
      return Deno.linkSync(`${root}/${operation.from}`, path);
    case "rename":
      return Deno.renameSync(`${root}/${operation.from}`, path);
    case "remove":
      return Deno.removeSync(path, { recursive: true });
    case "replace":
      Deno.removeSync(path, { recursive: true });
      return Deno.mkdirSync(path);
    case "mode":
      return Deno.chmodSync(path, operation.mode);
    case "owner":
      // A change of owner takes the set-id bits away.
      Deno.chmodSync(path, 0o755);
      return Deno.chownSync(path, operation.uid, operation.gid);
    case "attribute":
      inDirectory(root, (fd) => {
        const [file, name] = [bytes(operation.path), bytes(operation.name)];
        if (operation.value === undefined) removeXattrAt(fd, file, name);
        else setXattrAt(fd, file, name, new Uint8Array([operation.value, 0, 10]));
      });
  }
}

function write(root: string, operation: TimedOperation & { readonly kind: "write" }): void {
  const options = { write: true, create: true, truncate: operation.truncate };
  {
    using file = Deno.openSync(`${root}/${operation.path}`, options);
    file.seekSync(operation.offset, Deno.SeekMode.Start);
    const content = new Uint8Array(operation.size_bytes).fill(operation.fill);
    for (let at = 0; at < content.length;) at += file.writeSync(content.subarray(at));
  }
  touch(root, operation);
}

function touch(root: string, { path, time_ns }: TimedOperation): void {
  inDirectory(root, (fd) => setTimesAt(fd, bytes(path), { s: EPOCH_s, ns: time_ns }));
}

/** What may be drawn. */
export interface DrawOptions {
  /** Inodes that may only be removed. */
  readonly untouchable: ReadonlySet<string>;
  /** Whether a program under test does this operation right; absent: each. */
  readonly allows?: (operation: FileOperation) => boolean;
}

/** Draws the next operation for the tree at `root`; `undefined` when the dice fell on something impossible. */
export function draw(root: string, random: Random, options: DrawOptions): TimedOperation | undefined {
  const directories = directoriesIn(root);
  const place = random.pick(directories);
  const names = [...Deno.readDirSync(`${root}/${place}`)].map(({ name }) => name).sort();
  const inPlace = (name: string) => place === "" ? name : `${place}/${name}`;
  const path = inPlace(random.pick(NAMES));
  const there = names.includes(path.split("/").pop()!);
  const old = names.length === 0 ? undefined : inPlace(random.pick(names));
  const operation = drawKind(root, random, { path, there, old, untouchable: options.untouchable });
  if (operation === undefined || options.allows?.(operation) === false) return undefined;
  return { ...operation, time_ns: random.below(1_000_000_000) };
}

interface Drawn {
  /** A name to make. */
  readonly path: string;
  readonly there: boolean;
  /** A name that exists. */
  readonly old: string | undefined;
  readonly untouchable: ReadonlySet<string>;
}

function drawKind(root: string, random: Random, drawn: Drawn): FileOperation | undefined {
  const { path, there, old } = drawn;
  const dice = random.below(15);
  if (dice < 3) return there ? undefined : { kind: "directory", path, mode: random.pick([0o755, 0o700, 0o1777]) };
  if (dice < 6) return there ? undefined : drawWrite(path, random, true);
  if (dice === 6) {
    return there ? undefined : { kind: "symlink", path, target: random.pick(["a", "../b", "/etc/passwd", "nowhere"]) };
  }
  if (dice === 7) {
    const type = random.pick([S_IF.FIFO, S_IF.CHR, S_IF.BLK]);
    // A FIFO has no number; the numbers of the others belong to no driver.
    return there ? undefined : { kind: "node", path, type, minor: type === S_IF.FIFO ? 0 : 1 + random.below(70_000) };
  }
  if (old === undefined) return undefined;
  if (dice === 8) return { kind: "remove", path: old };
  if (dice === 9) return { kind: "replace", path: old };
  const info = Deno.lstatSync(`${root}/${old}`);
  if (drawn.untouchable.has(inodeOf(info))) return { kind: "remove", path: old };
  const plain = info.isFile || info.isDirectory;
  switch (dice) {
    case 10:
      return info.isFile && !there ? { kind: "link", from: old, path } : undefined;
    case 11:
      return info.isDirectory || there ? undefined : { kind: "rename", from: old, path };
    case 12:
      return info.isFile ? drawWrite(old, random, random.once(2)) : undefined;
    case 13:
      if (!plain) return undefined;
      if (random.once(2)) return { kind: "mode", path: old, mode: random.pick(MODES) };
      return { kind: "owner", path: old, uid: random.pick(IDS), gid: random.pick(IDS) };
    default:
      if (!plain) return undefined;
      return {
        kind: "attribute",
        path: old,
        name: random.pick(ATTRIBUTES),
        value: random.once(4) ? undefined : random.below(256),
      };
  }
}

function drawWrite(path: string, random: Random, truncate: boolean): FileOperation {
  const offset = random.once(5) ? random.below(1_000_000) : 0;
  return { kind: "write", path, offset, size_bytes: random.pick(SIZES), fill: random.below(256), truncate };
}

/** Tells inodes of one file system apart. */
export function inodeOf(info: Deno.FileInfo): string {
  return `${info.dev}:${info.ino}`;
}

/** Every directory below `root`, the root itself as `""`, sorted. */
function directoriesIn(root: string): string[] {
  const found = [""];
  for (let index = 0; index < found.length; index++) {
    const place = found[index]!;
    const below = [...Deno.readDirSync(`${root}/${place}`)].filter((entry) => entry.isDirectory);
    found.push(...below.map(({ name }) => place === "" ? name : `${place}/${name}`).sort());
  }
  return found;
}

/** The inodes below `root` that have several names. */
export function severalNames(root: string): Set<string> {
  const found = new Set<string>();
  for (const place of directoriesIn(root)) {
    for (const { name } of Deno.readDirSync(`${root}/${place}`)) {
      const info = Deno.lstatSync(`${root}/${place}/${name}`);
      if (!info.isDirectory && (info.nlink ?? 1) > 1) found.add(inodeOf(info));
    }
  }
  return found;
}
