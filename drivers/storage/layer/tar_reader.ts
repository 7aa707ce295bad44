/**
 * A pull parser for tar archives: v7, ustar, GNU and pax. It holds one chunk and one extended header at a time,
 * whatever the archive; names are bytes; a missing end-of-archive mark and a last block that is not padded are
 * accepted, as other programs do.
 */
import { type ByteString, byteStringOf, displayName } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { parsePaxRecords, paxName, paxNumber, type PaxRecord, paxTime, paxXattr } from "./pax_records.ts";
import { BlockSource, type ChunkSource } from "./tar_blocks.ts";
import { BLOCK_BYTES, isZeroBlock, parseTarHeader, TarFormatError, type TarHeader, tarNumber } from "./tar_header.ts";
import { addOldGnuPieces, addPaxMap, readPaxMapBlocks, type SparseMap, SparseMapBuilder } from "./tar_sparse.ts";
import type { LayerLimits } from "./types.ts";

/** What an entry makes. `label` (GNU volume headers and the like) makes nothing. */
export type TarEntryType =
  | "file"
  | "directory"
  | "symlink"
  | "hardlink"
  | "char"
  | "block"
  | "fifo"
  | "socket"
  | "label";

/** An entry, extended headers merged in. */
export interface TarEntry {
  readonly type: TarEntryType;
  /** As in the archive: not checked, with leading and trailing slashes. */
  readonly name: ByteString;
  readonly linkName: ByteString;
  /** 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of the file when it is written, holes included. */
  readonly size_bytes: number;
  /** What follows in the archive. */
  readonly stored_bytes: number;
  readonly mtime: { readonly s: number; readonly ns: number };
  readonly atime?: { readonly s: number; readonly ns: number };
  readonly devMajor: number;
  readonly devMinor: number;
  readonly xattrs: ReadonlyMap<ByteString, Uint8Array<ArrayBuffer>>;
  /** Present for sparse files. */
  readonly sparse?: SparseMap;
}

/** Limits that the reader keeps. */
export type TarReaderLimits = Pick<LayerLimits, "maxPax_bytes" | "maxPath_bytes">;

const TYPES: Readonly<Record<string, TarEntryType>> = {
  "0": "file",
  "7": "file",
  "S": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "char",
  "4": "block",
  "5": "directory",
  "D": "directory",
  "6": "fifo",
  "s": "socket",
  "V": "label",
  "N": "label",
};
const WITHOUT_DATA = new Set<TarEntryType>(["hardlink", "symlink", "char", "block", "directory", "fifo", "socket"]);
const noXattrs: ReadonlyMap<ByteString, Uint8Array<ArrayBuffer>> = new Map();

/** See the head of the file. Use: `next`, then `data` until it gives nothing, then `next` again. */
export class TarReader {
  readonly #source: BlockSource;
  readonly #limits: TarReaderLimits;
  readonly #global = new Map<ByteString, PaxRecord>();
  #globalSize_bytes = 0;
  #data_bytes = 0;
  #padding_bytes = 0;
  #entryName = "" as ByteString;

  /**
   * @param source Chunks of the archive.
   * @param onRaw Receives every byte of the archive that `data` does not return: headers, padding, the end. In order.
   */
  constructor(source: ChunkSource, limits: TarReaderLimits, onRaw: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.#source = new BlockSource(source, onRaw);
    this.#limits = limits;
  }

  /**
   * The next entry; `undefined` at the end of the archive. Data of the entry before that was not taken is skipped.
   *
   * @throws `INVALID_ARGUMENT` for a malformed or truncated archive; names the entry or the offset.
   */
  async next(): Promise<TarEntry | undefined> {
    await this.#skipData();
    const offset_bytes = this.#source.offset_bytes;
    try {
      return await this.#nextEntry();
    } catch (error) {
      if (!(error instanceof TarFormatError)) throw error;
      const where = this.#entryName === "" ? "" : ` "${displayName(this.#entryName)}"`;
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Malformed tar archive: the entry${where} at byte ${offset_bytes} cannot be read: ${error.message}`,
        { cause: error, details: { offset_bytes } },
      );
    }
  }

  /** The next piece of the entry's data, a view that is valid until the next call; `undefined` after the last. */
  async data(): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#data_bytes === 0) return undefined;
    const piece = await this.#source.piece(this.#data_bytes);
    if (piece === undefined) {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Truncated tar archive: it ends at byte ${this.#source.offset_bytes}, but the entry ` +
          `"${displayName(this.#entryName)}" lacks ${this.#data_bytes} bytes`,
      );
    }
    this.#data_bytes -= piece.length;
    return piece;
  }

  /** Reads what follows the end-of-archive mark, whatever it is. */
  async finish(): Promise<void> {
    await this.#source.drain();
  }

  async #skipData(): Promise<void> {
    if (this.#data_bytes > 0) {
      const missing = await this.#source.skip(this.#data_bytes);
      this.#data_bytes = missing;
      if (missing > 0) await this.data(); // throws: truncated
    }
    // A missing last padding is accepted.
    await this.#source.skip(this.#padding_bytes);
    this.#padding_bytes = 0;
  }

  async #nextEntry(): Promise<TarEntry | undefined> {
    let longName: ByteString | undefined;
    let longLink: ByteString | undefined;
    let local: PaxRecord[] | undefined;
    for (;;) {
      this.#entryName = longName ?? "" as ByteString;
      const block = await this.#source.block();
      if (block === undefined || isZeroBlock(block)) {
        if (longName !== undefined || longLink !== undefined || local !== undefined) {
          throw new TarFormatError("it consists of an extended header only");
        }
        if (block !== undefined) await this.#expectEnd();
        return undefined;
      }
      const header = parseTarHeader(block);
      this.#entryName = longName ?? header.name;
      switch (header.typeFlag) {
        case "L":
          longName = await this.#longText(header);
          break;
        case "K":
          longLink = await this.#longText(header);
          break;
        case "x":
        case "X":
          local = parsePaxRecords(await this.#extension(header, this.#limits.maxPax_bytes, "extended header"));
          break;
        case "g":
          this.#mergeGlobal(parsePaxRecords(
            await this.#extension(header, this.#limits.maxPax_bytes, "global extended header"),
          ));
          break;
        default:
          if (longName !== undefined) header.name = longName;
          if (longLink !== undefined) header.linkName = longLink;
          return await this.#entry(header, local);
      }
    }
  }

  async #entry(header: TarHeader, local: readonly PaxRecord[] | undefined): Promise<TarEntry> {
    // `block` reuses its memory: the pieces of an old GNU sparse file are read before anything else is.
    const builder = new SparseMapBuilder();
    let oldReal_bytes: number | undefined;
    if (header.typeFlag === "S") oldReal_bytes = await this.#readOldSparse(builder);
    const pax = this.#global.size === 0 && local === undefined ? undefined : this.#readPax(local ?? [], builder);
    const name = pax?.name ?? header.name;
    this.#entryName = name;
    let stored_bytes = pax?.size_bytes ?? header.size_bytes;
    if (stored_bytes < 0) throw new TarFormatError("its size is negative");
    let type = TYPES[header.typeFlag];
    if (type === undefined) throw new TarFormatError(`its type ${JSON.stringify(header.typeFlag)} is unknown`);
    if (header.typeFlag !== "D" && WITHOUT_DATA.has(type)) stored_bytes = 0; // as GNU tar and Go read it
    if (type === "file" && name.endsWith("/")) type = "directory"; // as v7 did
    this.#data_bytes = stored_bytes;
    this.#padding_bytes = paddingOf(stored_bytes);
    let sparse: SparseMap | undefined;
    let size_bytes = stored_bytes;
    if (type === "file" && (oldReal_bytes !== undefined || pax?.sparse !== undefined)) {
      size_bytes = oldReal_bytes ?? pax?.sparse?.real_bytes ?? stored_bytes;
      if (pax?.sparse?.inData) {
        const used = await readPaxMapBlocks(() => this.#dataBlock(), builder);
        stored_bytes -= used;
      }
      sparse = builder.finish(size_bytes, stored_bytes);
    }
    this.#checkPath(name);
    this.#checkPath(pax?.linkName ?? header.linkName);
    return {
      type,
      name,
      linkName: pax?.linkName ?? header.linkName,
      mode: header.mode,
      uid: pax?.uid ?? header.uid,
      gid: pax?.gid ?? header.gid,
      size_bytes: WITHOUT_DATA.has(type) ? 0 : size_bytes,
      stored_bytes,
      mtime: pax?.mtime ?? { s: header.mtime_s, ns: 0 },
      atime: pax?.atime,
      devMajor: header.devMajor,
      devMinor: header.devMinor,
      xattrs: pax?.xattrs ?? noXattrs,
      sparse,
    };
  }

  #readPax(local: readonly PaxRecord[], map: SparseMapBuilder): PaxFields {
    const fields: PaxFields = { xattrs: new Map() };
    const locals = new Set(local.map(([keyword]) => keyword));
    for (const record of this.#global.values()) {
      if (!locals.has(record[0])) readPaxRecord(record, fields, map);
    }
    for (const record of local) readPaxRecord(record, fields, map);
    if (fields.sparse?.name !== undefined) fields.name = fields.sparse.name;
    return fields;
  }

  #mergeGlobal(records: readonly PaxRecord[]): void {
    for (const record of records) {
      const [keyword, value] = record;
      const before = this.#global.get(keyword);
      if (before !== undefined) this.#globalSize_bytes -= keyword.length + before[1].length;
      this.#global.delete(keyword);
      if (value.length === 0) continue;
      this.#globalSize_bytes += keyword.length + value.length;
      if (this.#globalSize_bytes > this.#limits.maxPax_bytes) {
        throw limitReached("global extended headers", this.#limits.maxPax_bytes, this.#entryName);
      }
      this.#global.set(keyword, record);
    }
  }

  async #readOldSparse(map: SparseMapBuilder): Promise<number> {
    let block = this.#source.lastBlock;
    const real_bytes = tarNumber(block, 483, 12, "real size");
    let more = addOldGnuPieces(block, false, map);
    while (more) {
      const extension = await this.#source.block();
      if (extension === undefined) throw new TarFormatError("the archive ends in its sparse map");
      block = extension;
      more = addOldGnuPieces(block, true, map);
    }
    return real_bytes;
  }

  /** One block of the entry's data that is no content. */
  async #dataBlock(): Promise<Uint8Array> {
    const block = this.#data_bytes >= BLOCK_BYTES ? await this.#source.block() : undefined;
    if (block === undefined) throw new TarFormatError("its data ends in the sparse map");
    this.#data_bytes -= BLOCK_BYTES;
    return block;
  }

  async #longText(header: TarHeader): Promise<ByteString> {
    const bytes = await this.#extension(header, this.#limits.maxPath_bytes + 1, "long name");
    const end = bytes.indexOf(0);
    return byteStringOf(end < 0 ? bytes : bytes.subarray(0, end));
  }

  async #extension(header: TarHeader, limit_bytes: number, what: string): Promise<Uint8Array<ArrayBuffer>> {
    const { size_bytes } = header;
    if (size_bytes < 0) throw new TarFormatError("its size is negative");
    if (size_bytes > limit_bytes) throw limitReached(what, limit_bytes, this.#entryName);
    const bytes = await this.#source.copy(size_bytes);
    if (bytes === undefined) throw new TarFormatError(`the archive ends in its ${what}`);
    await this.#source.skip(paddingOf(size_bytes));
    return bytes;
  }

  #checkPath(path: ByteString): void {
    if (path.length > this.#limits.maxPath_bytes) throw limitReached("name", this.#limits.maxPath_bytes, path);
  }

  /** After one block of zeros: another, or the end of the file. */
  async #expectEnd(): Promise<void> {
    const block = await this.#source.block();
    if (block !== undefined && !isZeroBlock(block)) {
      throw new TarFormatError("a lone block of zeros precedes it");
    }
  }
}

interface PaxFields {
  name?: ByteString;
  linkName?: ByteString;
  uid?: number;
  gid?: number;
  size_bytes?: number;
  mtime?: { s: number; ns: number };
  atime?: { s: number; ns: number };
  sparse?: { name?: ByteString; real_bytes?: number; inData?: boolean; offset?: number };
  readonly xattrs: Map<ByteString, Uint8Array<ArrayBuffer>>;
}

function readPaxRecord(record: PaxRecord, fields: PaxFields, map: SparseMapBuilder): void {
  const [keyword, value] = record;
  if (keyword.startsWith("GNU.sparse.")) return readSparseRecord(record, fields, map);
  const xattr = paxXattr(record);
  if (xattr !== undefined) {
    fields.xattrs.set(...xattr);
    return;
  }
  if (value.length === 0) return; // takes a global record back: that was left out already
  switch (keyword as string) {
    case "path":
      fields.name = paxName(keyword, value);
      break;
    case "linkpath":
      fields.linkName = paxName(keyword, value);
      break;
    case "uid":
      fields.uid = paxNumber(keyword, value);
      break;
    case "gid":
      fields.gid = paxNumber(keyword, value);
      break;
    case "size":
      fields.size_bytes = paxNumber(keyword, value);
      break;
    case "mtime":
      fields.mtime = paxTime(keyword, value);
      break;
    case "atime":
      fields.atime = paxTime(keyword, value);
      break;
  }
}

function readSparseRecord([keyword, value]: PaxRecord, fields: PaxFields, map: SparseMapBuilder): void {
  const sparse = fields.sparse ??= {};
  switch (keyword.slice(11)) {
    case "name":
      sparse.name = paxName(keyword, value);
      break;
    case "realsize": // 1.0
    case "size": // 0.0 and 0.1
      sparse.real_bytes = paxNumber(keyword, value);
      break;
    case "major":
      sparse.inData = paxNumber(keyword, value) === 1;
      break;
    case "map":
      addPaxMap(value, map);
      break;
    case "offset":
      sparse.offset = paxNumber(keyword, value);
      break;
    case "numbytes":
      map.add(sparse.offset ?? 0, paxNumber(keyword, value));
      break;
  }
}

/** Bytes that fill up the last block. */
function paddingOf(size_bytes: number): number {
  return (BLOCK_BYTES - size_bytes % BLOCK_BYTES) % BLOCK_BYTES;
}

function limitReached(what: string, limit_bytes: number, name: ByteString): LaminaError {
  const shown = displayName(name.slice(0, 100) as ByteString);
  return new LaminaError(
    "RESOURCE_EXHAUSTED",
    `The ${what} of the archive's entry "${shown}" exceeds the limit of ${limit_bytes} bytes`,
    { details: { limit_bytes } },
  );
}
