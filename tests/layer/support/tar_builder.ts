/** Archives by hand, for tests: every field can be wrong. */
import { bytesOf, type ByteString, byteStringFromText } from "../../../runtime/core/bytes.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Fields of a hand-made entry; names are text in UTF-8 or byte strings. */
export interface HandEntry {
  readonly name: string;
  /** One character; default `0`. */
  readonly type?: string;
  readonly data?: string | Bytes;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly link?: string;
  readonly major?: number;
  readonly minor?: number;
  readonly prefix?: string;
  /** In the size field instead of the data's length. */
  readonly size?: number;
  /** `v7` has no magic. Default `ustar`. */
  readonly magic?: "ustar" | "gnu" | "v7";
  /** Records of a pax header that goes before. */
  readonly pax?: Readonly<Record<string, string | Bytes>> | ReadonlyArray<readonly [string, string | Bytes]>;
  /** Changes the finished block before its checksum is made. */
  readonly patch?: (block: Bytes) => void;
  /** Changes the finished block after its checksum was made. */
  readonly spoil?: (block: Bytes) => void;
}

/** Bytes of text that may be a byte string already. */
export function raw(text: string | Bytes): Bytes {
  if (typeof text !== "string") return text;
  // deno-lint-ignore no-control-regex
  const isBytes = /^[\x00-\xff]*$/.test(text);
  return bytesOf(isBytes ? text as ByteString : byteStringFromText(text));
}

/** One entry: pax header if asked for, block, data, padding. */
export function entry(fields: HandEntry): Bytes {
  const data = raw(fields.data ?? "");
  const parts: Bytes[] = [];
  if (fields.pax !== undefined) {
    parts.push(entry({ name: "PaxHeaders/x", type: "x", data: paxRecords(fields.pax) }));
  }
  parts.push(header(fields, data.length), data, new Uint8Array((512 - data.length % 512) % 512));
  return concat(parts);
}

/** A global extended header. */
export function globalHeader(pax: Readonly<Record<string, string>>): Bytes {
  return entry({ name: "pax_global_header", type: "g", data: paxRecords(pax) });
}

/** The header block of an entry. */
export function header(fields: HandEntry, length: number): Bytes {
  const block = new Uint8Array(512);
  const put = (at: number, text: string) => block.set(raw(text), at);
  const octal = (at: number, width: number, value: number) => {
    if (value >= 0 && value < 8 ** (width - 1)) return put(at, value.toString(8).padStart(width - 1, "0"));
    let rest = BigInt(value);
    for (let i = width - 1; i >= 0; i--, rest >>= 8n) block[at + i] = Number(rest & 255n);
    block[at] = value < 0 ? 255 : block[at]! | 128;
  };
  block.set(raw(fields.name).subarray(0, 100), 0);
  octal(100, 8, fields.mode ?? (fields.type === "5" ? 0o755 : 0o644));
  octal(108, 8, fields.uid ?? 0);
  octal(116, 8, fields.gid ?? 0);
  octal(124, 12, fields.size ?? length);
  octal(136, 12, fields.mtime ?? 1_600_000_000);
  block[156] = (fields.type ?? "0").charCodeAt(0);
  block.set(raw(fields.link ?? "").subarray(0, 100), 157);
  if (fields.magic === "gnu") put(257, "ustar  ");
  else if (fields.magic !== "v7") put(257, "ustar\x0000");
  octal(329, 8, fields.major ?? 0);
  octal(337, 8, fields.minor ?? 0);
  if (fields.prefix !== undefined) put(345, fields.prefix);
  fields.patch?.(block);
  seal(block);
  fields.spoil?.(block);
  return block;
}

/** Writes the checksum. */
export function seal(block: Bytes): void {
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.set(raw(sum.toString(8).padStart(6, "0") + "\0 "), 148);
}

/** A long name (`L`) or link target (`K`) as GNU tar writes it. */
export function gnuLong(type: "L" | "K", text: string): Bytes {
  return entry({ name: "././@LongLink", type, magic: "gnu", data: concat([raw(text), new Uint8Array(1)]) });
}

/** `LENGTH key=value\n` records. */
export function paxRecords(
  pax: Readonly<Record<string, string | Bytes>> | ReadonlyArray<readonly [string, string | Bytes]>,
): Bytes {
  const list = Array.isArray(pax) ? pax as Array<[string, string | Bytes]> : Object.entries(pax);
  return concat(list.map(([key, value]) => {
    const body = concat([raw(` ${key}=`), raw(value), raw("\n")]);
    let length = body.length + 1;
    while (String(length).length + body.length > length) length++;
    return concat([raw(String(length)), body]);
  }));
}

/** Entries as a whole archive; `end` false leaves the end mark out. */
export function archive(entries: ReadonlyArray<HandEntry | Bytes>, options: { end?: boolean } = {}): Bytes {
  const parts = entries.map((item) => item instanceof Uint8Array ? item : entry(item));
  if (options.end !== false) parts.push(new Uint8Array(1024));
  return concat(parts);
}

/** Shorthands for the usual entries. */
export const file = (name: string, data: string | Bytes = name, more: Partial<HandEntry> = {}): HandEntry => ({
  name,
  data,
  ...more,
});
export const dir = (name: string, more: Partial<HandEntry> = {}): HandEntry => ({
  name: `${name}/`,
  type: "5",
  ...more,
});
export const symlink = (name: string, link: string, more: Partial<HandEntry> = {}): HandEntry => ({
  name,
  type: "2",
  link,
  ...more,
});
export const hardlink = (name: string, link: string): HandEntry => ({ name, type: "1", link });
export const whiteout = (path: string): HandEntry => {
  const slash = path.lastIndexOf("/") + 1;
  return { name: `${path.slice(0, slash)}.wh.${path.slice(slash)}` };
};
export const opaque = (directory: string): HandEntry => ({
  name: directory === "" ? ".wh..wh..opq" : `${directory}/.wh..wh..opq`,
});

/** All parts as one. */
export function concat(parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Chunks of the given size (the last one shorter), as a reader's source. */
export function chunked(bytes: Bytes, size: number): { next(): Promise<Bytes | undefined> } {
  let at = 0;
  return {
    next: () => {
      if (at >= bytes.length) return Promise.resolve(undefined);
      const chunk = bytes.slice(at, at + size);
      at += size;
      return Promise.resolve(chunk);
    },
  };
}
