import { assert, assertEquals } from "@std/assert";
import {
  BLOCK_SECTORS,
  decodeLabel,
  encodeLabel,
  HEADER_BYTES,
  LABEL_BYTES,
  metadataSectors,
  newestLabel,
  placesOf,
  type PoolLabel,
  SECTOR_BYTES,
} from "../../drivers/storage/devicemapper/pool_layout.ts";
import { parseSuperblock } from "../../drivers/storage/devicemapper/file_systems.ts";
import { shortageOf } from "../../drivers/storage/devicemapper/pool_room.ts";

const label: PoolLabel = {
  format: 1,
  pool: "00000000-1111-2222-3333-444444444444",
  store: "store",
  root: "/var/lib/lamina/drivers/devicemapper",
  sequence: 3,
  places: { metadata: "a", metadata_sectors: 8192 },
};

Deno.test("the parts of a pool follow each other, begin at whole blocks and do not overlap", () => {
  for (const size_bytes of [64 << 20, 512 << 20, 10 * 2 ** 30, 2 ** 40]) {
    const sectors = metadataSectors(size_bytes);
    const { metadata, dataStart, dataSectors } = placesOf(size_bytes, sectors);
    assertEquals(metadata.a * SECTOR_BYTES, HEADER_BYTES);
    assertEquals([metadata.b, dataStart], [metadata.a + sectors, metadata.b + sectors]);
    assert((dataStart + dataSectors) * SECTOR_BYTES <= size_bytes);
    assertEquals([dataStart % BLOCK_SECTORS, dataSectors % BLOCK_SECTORS], [0, 0]);
    assert(dataSectors * SECTOR_BYTES > size_bytes * 0.8);
  }
});

Deno.test("a device that is too small has no data, not less than none", () => {
  assertEquals(placesOf(4 << 20, metadataSectors(1 << 30)).dataSectors, 0);
});

Deno.test("a label is what was written; the newer copy counts, and one damaged copy does no harm", () => {
  const older = encodeLabel(label), newer = encodeLabel({ ...label, sequence: 4 });
  assertEquals([older.length, decodeLabel(older)], [LABEL_BYTES, label]);
  assertEquals(newestLabel([older, newer]), { ...label, sequence: 4 });
  const torn = newer.slice();
  torn[100]! ^= 1;
  assertEquals([decodeLabel(torn), newestLabel([older, torn]), newestLabel([torn, torn])], [
    "damaged",
    label,
    "damaged",
  ]);
});

Deno.test("what is not ours is none; what another version wrote is foreign", () => {
  assertEquals(newestLabel([new Uint8Array(LABEL_BYTES), new Uint8Array(LABEL_BYTES)]), "none");
  assertEquals(decodeLabel(crypto.getRandomValues(new Uint8Array(LABEL_BYTES))), "none");
  assertEquals(decodeLabel(encodeLabel({ ...label, format: 2 } as unknown as PoolLabel)), "foreign");
});

Deno.test("superblocks of ext4 and xfs tell their sizes; anything else is unknown", () => {
  const ext4 = new Uint8Array(4096), view = new DataView(ext4.buffer);
  view.setUint16(1024 + 56, 0xef53, true);
  view.setUint32(1024 + 4, 16384, true);
  view.setUint32(1024 + 24, 2, true);
  assertEquals(parseSuperblock(ext4), { fs: "ext4", size_bytes: 64 << 20 });
  view.setUint32(1024 + 96, 0x80, true);
  view.setUint32(1024 + 336, 1, true);
  assertEquals(parseSuperblock(ext4), { fs: "ext4", size_bytes: (16384 + 2 ** 32) * 4096 });
  const xfs = new Uint8Array(4096), other = new DataView(xfs.buffer);
  other.setUint32(0, 0x58465342);
  other.setUint32(4, 4096);
  other.setBigUint64(8, 131072n);
  assertEquals(parseSuperblock(xfs), { fs: "xfs", size_bytes: 512 << 20 });
  assertEquals(parseSuperblock(new Uint8Array(4096)), undefined);
  assertEquals(parseSuperblock(new Uint8Array(100)), undefined);
});

Deno.test("a pool is short of room before it is full: of data, of metadata, of what is below its file", () => {
  const status = (data: number, metadata = 10, mode: "rw" | "out_of_data_space" = "rw") => ({
    transactionId: 0,
    usedDataBlocks: data,
    totalDataBlocks: 100,
    usedMetadataBlocks: metadata,
    totalMetadataBlocks: 100,
    mode,
    needsCheck: false,
  });
  assertEquals(shortageOf(status(90), 10, Infinity), undefined);
  assertEquals(shortageOf(status(91), 10, Infinity), "its data is 91.0% full");
  assertEquals(shortageOf(status(10, 95), 10, Infinity), "its metadata is 95.0% full");
  assertEquals(shortageOf(status(10), 10, 1 << 20), "the file system below its file has 1 MiB left");
  assertEquals(shortageOf(status(100, 10, "out_of_data_space"), 0, Infinity), "its data is 100.0% full");
  assertEquals(shortageOf(status(99), 0, Infinity), undefined);
});
