/**
 * Encodes the headers of a tar archive: ustar, and a pax header before it for what ustar cannot say. The same entry
 * always gives the same bytes. Names, link targets and values are bytes and go out as they are, valid UTF-8 or not;
 * GNU tar, libarchive and Go read them so.
 */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import type { Xattrs } from "../../../runtime/host/xattr_calls.ts";

/** Tar's unit. */
export const BLOCK_BYTES = 512;

/** What an entry is. */
export type TarEntryType = "file" | "hardlink" | "symlink" | "char" | "block" | "directory" | "fifo";

const TYPE_FLAG: Readonly<Record<TarEntryType, number>> = {
  file: 0x30,
  hardlink: 0x31,
  symlink: 0x32,
  char: 0x33,
  block: 0x34,
  directory: 0x35,
  fifo: 0x36,
};

/** One entry's header. */
export interface TarHead {
  /** As it is in the archive; directories end with a slash. */
  readonly path: ByteString;
  readonly type: TarEntryType;
  /** 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a file's content, which follows the header, padded to blocks; 0 for all else. */
  readonly size_bytes: number;
  readonly mtime_s: number;
  readonly mtime_ns: number;
  /** Target of a symbolic link, or path in the archive of a hard link's first name. */
  readonly linkTarget?: ByteString;
  readonly devMajor?: number;
  readonly devMinor?: number;
  readonly xattrs?: Xattrs;
}

const MAX_OCTAL_7 = 0o7777777;
const MAX_OCTAL_11 = 0o77777777777;

/** The bytes of an entry's header or headers: a multiple of 512. */
export function encodeTarHead(head: TarHead): Uint8Array<ArrayBuffer> {
  const split = splitPath(head.path);
  const link = head.linkTarget ?? "" as ByteString;
  const records = paxRecords(head, split !== undefined, link);
  if (records.length === 0) {
    const block = new Uint8Array(BLOCK_BYTES);
    writeUstar(block, head, split![0], split![1], link, TYPE_FLAG[head.type], head.size_bytes);
    return block;
  }
  const bodyLength = records.reduce((sum, record) => sum + record.length, 0);
  const bytes = new Uint8Array(BLOCK_BYTES + padded(bodyLength) + BLOCK_BYTES);
  const paxHead = { mode: 0o644, uid: 0, gid: 0, mtime_s: 0 };
  writeUstar(bytes, paxHead, "", paxName(head.path), "" as ByteString, 0x78, bodyLength);
  let at = BLOCK_BYTES;
  for (const record of records) {
    bytes.set(record, at);
    at += record.length;
  }
  const block = bytes.subarray(bytes.length - BLOCK_BYTES);
  const [prefix, name] = split ?? ["", head.path.slice(0, 100)];
  writeUstar(block, head, prefix, name, link.slice(0, 100), TYPE_FLAG[head.type], head.size_bytes);
  return bytes;
}

/** `size_bytes` rounded up to whole blocks. */
export function padded(size_bytes: number): number {
  return Math.ceil(size_bytes / BLOCK_BYTES) * BLOCK_BYTES;
}

// Prefix (155) and name (100); undefined when they do not fit.
function splitPath(path: ByteString): readonly [string, string] | undefined {
  if (path.length <= 100) return ["", path];
  if (path.length > 256) return undefined;
  // The slash between the two is in neither; a directory's last slash belongs to the name, which must not be empty.
  const slash = path.indexOf("/", path.length - 101);
  return slash > 0 && slash <= 155 && slash < path.length - 1
    ? [path.slice(0, slash), path.slice(slash + 1)]
    : undefined;
}

function paxRecords(head: TarHead, pathFits: boolean, link: ByteString): Uint8Array<ArrayBuffer>[] {
  const records: Uint8Array<ArrayBuffer>[] = [];
  if (!pathFits) records.push(paxRecord("path", head.path));
  if (link.length > 100) records.push(paxRecord("linkpath", link));
  if (head.size_bytes > MAX_OCTAL_11) records.push(paxRecord("size", String(head.size_bytes)));
  if (head.uid > MAX_OCTAL_7) records.push(paxRecord("uid", String(head.uid)));
  if (head.gid > MAX_OCTAL_7) records.push(paxRecord("gid", String(head.gid)));
  if (head.mtime_ns !== 0 || head.mtime_s < 0 || head.mtime_s > MAX_OCTAL_11) {
    records.push(paxRecord("mtime", paxTime(head.mtime_s, head.mtime_ns)));
  }
  for (const [name, value] of head.xattrs ?? []) records.push(paxRecord(`SCHILY.xattr.${paxKey(name)}`, value));
  return records;
}

/** Seconds with as many decimals as it takes, floor and nanoseconds turned into one signed decimal. */
export function paxTime(s: number, ns: number): string {
  if (ns === 0) return String(s);
  const negative = s < 0;
  const whole = negative ? -(s + 1) : s;
  const fraction = negative ? 1_000_000_000 - ns : ns;
  return `${negative ? "-" : ""}${whole}.${String(fraction).padStart(9, "0").replace(/0+$/, "")}`;
}

// As GNU tar: a key ends at "=", so that one within it is escaped, and what looks like such an escape too.
function paxKey(name: string): string {
  return name.replace(/%(?=3D|25)/g, "%25").replaceAll("=", "%3D");
}

function paxRecord(key: string, value: string | Uint8Array): Uint8Array<ArrayBuffer> {
  // The length counts itself.
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  length = rest + String(length).length;
  const record = new Uint8Array(length);
  const at = latin1(record, 0, `${length} ${key}=`);
  if (typeof value === "string") latin1(record, at, value);
  else record.set(value, at);
  record[length - 1] = 0x0a;
  return record;
}

function paxName(path: ByteString): string {
  const plain = path.endsWith("/") ? path.slice(0, -1) : path;
  return `PaxHeaders/${plain.slice(plain.lastIndexOf("/") + 1)}`.slice(0, 100);
}

function writeUstar(
  block: Uint8Array,
  head: Pick<TarHead, "mode" | "uid" | "gid" | "mtime_s" | "devMajor" | "devMinor">,
  prefix: string,
  name: string,
  link: string,
  flag: number,
  size_bytes: number,
): void {
  latin1(block, 0, name);
  octal(block, 100, 7, head.mode, MAX_OCTAL_7);
  octal(block, 108, 7, head.uid, MAX_OCTAL_7);
  octal(block, 116, 7, head.gid, MAX_OCTAL_7);
  octal(block, 124, 11, size_bytes, MAX_OCTAL_11);
  octal(block, 136, 11, head.mtime_s, MAX_OCTAL_11);
  block[156] = flag;
  latin1(block, 157, link);
  latin1(block, 257, "ustar");
  block[263] = block[264] = 0x30;
  octal(block, 329, 7, head.devMajor ?? 0, MAX_OCTAL_7);
  octal(block, 337, 7, head.devMinor ?? 0, MAX_OCTAL_7);
  latin1(block, 345, prefix);
  let sum = 8 * 0x20; // the checksum field counts as spaces
  for (let i = 0; i < BLOCK_BYTES; i++) sum += block[i]!;
  octal(block, 148, 6, sum, MAX_OCTAL_7);
  block[155] = 0x20;
}

// What does not fit is 0 here and true in the pax header.
function octal(block: Uint8Array, at: number, digits: number, value: number, max: number): void {
  let rest = value < 0 || value > max ? 0 : value;
  for (let i = at + digits - 1; i >= at; i--) {
    block[i] = 0x30 + rest % 8;
    rest = Math.floor(rest / 8);
  }
}

function latin1(bytes: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  return at + text.length;
}
