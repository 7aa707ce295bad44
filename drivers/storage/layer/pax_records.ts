/** Extended headers: `LENGTH KEYWORD=VALUE\n` records, and what their keywords mean. */
import { type ByteString, byteStringOf } from "../../../runtime/core/bytes.ts";
import { TarFormatError } from "./tar_header.ts";

/** Keyword and value; the value is a view of the header's bytes. An empty value takes an earlier record back. */
export type PaxRecord = readonly [keyword: ByteString, value: Uint8Array<ArrayBuffer>];

/**
 * Splits an extended header.
 *
 * @throws `TarFormatError` for a malformed one: lengths that do not fit, no `=`, no line end.
 */
export function parsePaxRecords(bytes: Uint8Array<ArrayBuffer>): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let at = 0; at < bytes.length;) {
    let length = 0;
    let i = at;
    for (; i < bytes.length && i - at < 10; i++) {
      const digit = bytes[i]! - 0x30;
      if (digit < 0 || digit > 9) break;
      length = length * 10 + digit;
    }
    // Padding by NULs at the end is seen in the wild.
    if (i === at && bytes.subarray(at).every((byte) => byte === 0)) break;
    const end = at + length;
    if (i === at || bytes[i] !== 0x20 || end > bytes.length || end < i + 3 || bytes[end - 1] !== 0x0a) {
      throw new TarFormatError("its extended header has a malformed record");
    }
    const equals = bytes.indexOf(0x3d, i + 1);
    if (equals < 0 || equals >= end - 1 || equals === i + 1) {
      throw new TarFormatError("its extended header has a record without a keyword");
    }
    records.push([byteStringOf(bytes.subarray(i + 1, equals)), bytes.subarray(equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

/** A value that is a name: any bytes but NUL. */
export function paxName(keyword: string, value: Uint8Array): ByteString {
  if (value.includes(0)) throw new TarFormatError(`the value of its pax record "${keyword}" holds NUL`);
  return byteStringOf(value);
}

/** A value that is a whole number, not negative. */
export function paxNumber(keyword: string, value: Uint8Array): number {
  const text = byteStringOf(value);
  const number = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(number)) throw new TarFormatError(`the value of its pax record "${keyword}" is no number`);
  return number;
}

/** A value that is a time: seconds since the epoch with a fraction, of which nanoseconds are kept. */
export function paxTime(keyword: string, value: Uint8Array): { s: number; ns: number } {
  const match = /^(-?)(\d{1,16})(?:\.(\d*))?$/.exec(byteStringOf(value.subarray(0, 64)));
  if (match === null) throw new TarFormatError(`the value of its pax record "${keyword}" is no time`);
  const s = Number(match[2]);
  const ns = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (!Number.isSafeInteger(s)) throw new TarFormatError(`the value of its pax record "${keyword}" is out of range`);
  if (match[1] === "") return { s, ns };
  // -1.25 s is 0.75 s after -2 s.
  return ns === 0 ? { s: -s || 0, ns: 0 } : { s: -s - 1, ns: 1_000_000_000 - ns };
}

/**
 * The extended attribute that a record sets: its name and value, or `undefined` for other records. GNU tar, star and
 * Go write `SCHILY.xattr.NAME`, libarchive `LIBARCHIVE.xattr.NAME` with the name URL-encoded and the value in base64.
 */
export function paxXattr([keyword, value]: PaxRecord): [ByteString, Uint8Array<ArrayBuffer>] | undefined {
  if (keyword.startsWith("SCHILY.xattr.")) {
    // A keyword ends at its first "=": GNU tar writes one within the name as %3D, and % before such digits as %25.
    const name = keyword.slice(13).replace(/%(3D|25)/g, (_, code) => code === "3D" ? "=" : "%");
    return [name as ByteString, value];
  }
  if (!keyword.startsWith("LIBARCHIVE.xattr.")) return undefined;
  const name = keyword.slice(17).replace(/%([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
  try {
    const decoded = atob(byteStringOf(value));
    return [name as ByteString, Uint8Array.from(decoded, (c) => c.charCodeAt(0))];
  } catch {
    throw new TarFormatError(`the value of its pax record "${keyword}" is no base64`);
  }
}
