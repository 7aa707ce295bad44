/** The kernel's mount table of this process: reading it, and waiting for its changes without any polling. */
import { LaminaError } from "../core/errors.ts";
import { type MountEntry, parseMountInfo, unescapeMountField } from "../core/mountinfo.ts";
import { closeFd, openAt } from "./fs_calls.ts";
import { cFunctions, checked, cString, ERRNO, ErrnoError, libc } from "./libc.ts";
import { AT_FDCWD, O_CLOEXEC, O_NOFOLLOW, O_PATH, O_RDONLY } from "./openat2.ts";
import { byteStringFromText } from "../core/bytes.ts";

export { mountsBelow } from "../core/mountinfo.ts";

const tablePath = "/proc/self/mountinfo";

const kernel = cFunctions({
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32", nonblocking: true },
});

const pollNow = cFunctions({
  poll: { parameters: ["buffer", "u64", "i32"], result: "i32" },
});

const POLLIN = 0x1;
const POLLPRI = 0x2;
const POLLERR = 0x8;

/** The table as it was read last, and a descriptor that knows whether it has changed since. */
interface KnownTable {
  readonly fd: number;
  text: string;
  /** Parsed when first asked for. */
  entries?: readonly MountEntry[];
  /** The last answer of {@linkcode mountPointsIn}. */
  points?: { readonly directory: string; readonly found: ReadonlySet<string> };
}
let known: KnownTable | undefined;

/** The kernel's text, read again only after a change: with thousands of mounts a read takes the kernel many milliseconds. */
function tableText(): KnownTable {
  if (known === undefined) {
    const fd = checked(
      libc.openat(AT_FDCWD, cString(byteStringFromText(tablePath)), O_RDONLY | O_CLOEXEC, 0),
      "open",
      tablePath,
    );
    known = { fd, text: Deno.readTextFileSync(tablePath) };
    return known;
  }
  const polled = new Uint8Array(8);
  const view = new DataView(polled.buffer);
  view.setInt32(0, known.fd, true);
  view.setInt16(4, POLLPRI, true);
  // The kernel answers "changed" once per descriptor and change. What changes between the two calls is read now and
  // announced again next time.
  if (pollNow.poll(polled, 1n, 0) !== 0) {
    known.text = Deno.readTextFileSync(tablePath);
    known.entries = known.points = undefined;
  }
  return known;
}

/** All mounts, parents before the mounts upon them: one read, which since Linux 5.8 is consistent. */
export function readMountTable(): MountEntry[] {
  return parseMountInfo(Deno.readTextFileSync(tablePath));
}

/**
 * The same, read again only when something was mounted, unmounted or remounted since: otherwise a call costs a
 * microsecond and gives the same array. What the kernel does not count as a change (another propagation, a renamed
 * directory on the way to a mount point) shows with the next one that it does.
 */
export function currentMountTable(): readonly MountEntry[] {
  const table = tableText();
  return table.entries ??= parseMountInfo(table.text);
}

/**
 * Where something is mounted in or below `directory` (absolute, canonical), without parsing the rest of the table.
 */
export function mountPointsIn(directory: string): ReadonlySet<string> {
  const table = tableText();
  if (table.points?.directory === directory) return table.points.found;
  const found = new Set<string>();
  for (const line of linesAbout(table.text, `${directory}/`, "")) found.add(unescapeMountField(line.split(" ")[4]!));
  table.points = { directory, found };
  return found;
}

let tableOfThisTurn: { readonly text: string; entries?: readonly MountEntry[] } | undefined;

function tableTextOnce(): { readonly text: string; entries?: readonly MountEntry[] } {
  if (tableOfThisTurn === undefined) {
    tableOfThisTurn = { text: Deno.readTextFileSync(tablePath) };
    queueMicrotask(() => tableOfThisTurn = undefined);
  }
  return tableOfThisTurn;
}

/** As {@linkcode readMountTable}, for many callers in one turn of the event loop: a long table takes milliseconds. */
export function readMountTableOnce(): readonly MountEntry[] {
  const table = tableTextOnce();
  return table.entries ??= parseMountInfo(table.text);
}

/** The topmost mount at exactly `target` (absolute, canonical), read like that, without parsing the rest of the table. */
export function readMountAt(target: string): MountEntry | undefined {
  const lines = [...linesAbout(tableTextOnce().text, target, " ")];
  return mountAtTarget(parseMountInfo(lines.join("\n")), target);
}

/** The lines of mounts whose mount point begins with `path` (absolute), followed by `next`. */
function* linesAbout(text: string, path: string, next: string): Iterable<string> {
  // As the kernel writes it: a space, tab, newline or backslash as three octal digits.
  const escaped = path.replace(/[ \t\n\\]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`);
  const wanted = ` ${escaped}${next}`;
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    const start = text.lastIndexOf("\n", at) + 1;
    // The mount point is the fifth field of six; the fourth, what is mounted, may look the same.
    if (text.slice(start, at + 1).split(" ").length === 5) yield text.slice(start, text.indexOf("\n", at));
  }
}

/** The topmost mount at exactly `target` (absolute, canonical), or undefined. */
export function mountAtTarget(entries: readonly MountEntry[], target: string): MountEntry | undefined {
  return entries.findLast((entry) => entry.target === target && !entry.deleted);
}

/** Whether something is mounted at exactly `target` (absolute, canonical) now. */
export function isMounted(target: string): boolean {
  return readMountAt(target) !== undefined;
}

/**
 * Yields once when the watch stands, so that what happened before is looked at too, then after each change of the
 * mount table; changes that come while the consumer works are one. Ends when the signal aborts. Waits in the kernel
 * (poll(2) on another thread): idle costs nothing.
 *
 * @throws `INTERNAL` when the kernel refuses.
 */
export async function* watchMountTable(signal: AbortSignal): AsyncGenerator<void, void, void> {
  if (signal.aborted) return;
  const table = checked(
    libc.openat(AT_FDCWD, cString(byteStringFromText(tablePath)), O_RDONLY | O_CLOEXEC, 0),
    "open",
    tablePath,
  );
  const wake = kernel.eventfd(0, O_CLOEXEC);
  if (wake < 0) {
    libc.close(table);
    throw new LaminaError("INTERNAL", "Cannot watch the mount table: the kernel gives no eventfd");
  }
  const onAbort = () => libc.write(wake, new Uint8Array(new BigUint64Array([1n]).buffer), 8n);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    // Two struct pollfd: int fd, short events, short revents.
    const polled = new Uint8Array(16);
    const view = new DataView(polled.buffer);
    view.setInt32(0, table, true);
    view.setInt16(4, POLLPRI, true);
    view.setInt32(8, wake, true);
    view.setInt16(12, POLLIN, true);
    yield;
    while (!signal.aborted) {
      const ready = await kernel.poll(polled, 2n, -1);
      if (signal.aborted) return;
      // A negative result is EINTR: the descriptors are ours and valid.
      if (ready > 0 && (view.getInt16(6, true) & (POLLPRI | POLLERR)) !== 0) yield;
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    libc.close(wake);
    libc.close(table);
  }
}

/** What the kernel says of the mount that a path is on. */
export interface MountIdentity {
  readonly id: bigint;
  /** The path is where that mount is mounted. */
  readonly isRoot: boolean;
  readonly isDirectory: boolean;
}

const AT_NO_AUTOMOUNT = 0x800;
const AT_STATX_DONT_SYNC = 0x4000;
const STATX_TYPE_AND_MNT_ID = 0x1001;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

/**
 * Which mount `path` is on; links are followed. Asks no server.
 *
 * @throws `ErrnoError`
 */
export function mountIdentity(path: string): MountIdentity {
  checked(askMountIdentity(path), "statx", path);
  return answeredIdentity();
}

/** The same, `undefined` where the path cannot be looked at (missing, not connected, no permission). */
export function mountIdentityIfThere(path: string): MountIdentity | undefined {
  return askMountIdentity(path) < 0 ? undefined : answeredIdentity();
}

const identityBuffer = new Uint8Array(256);
const identityView = new DataView(identityBuffer.buffer);

function askMountIdentity(path: string): number {
  const flags = AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  return libc.statx(AT_FDCWD, cString(byteStringFromText(path)), flags, STATX_TYPE_AND_MNT_ID, identityBuffer);
}

function answeredIdentity(): MountIdentity {
  return {
    id: identityView.getBigUint64(144, true),
    isRoot: (identityView.getUint32(8, true) & STATX_ATTR_MOUNT_ROOT) !== 0,
    isDirectory: identityView.getUint16(28, true) >> 12 === 4,
  };
}

/**
 * A descriptor (`O_PATH`) of the mount that was just made at `path`.
 *
 * @param before What was there before; a mount with the same id is not the one that is meant.
 * @throws `ErrnoError`: `ESTALE` when something else is there by now.
 */
export function openNewMount(path: string, before: MountIdentity | undefined): number {
  const fd = openAt(AT_FDCWD, byteStringFromText(path), O_PATH | O_NOFOLLOW);
  const found = mountIdentity(`/proc/self/fd/${fd}`);
  if (found.isRoot && found.id !== before?.id) return fd;
  closeFd(fd);
  throw new ErrnoError("open", ERRNO.ESTALE!, path);
}
