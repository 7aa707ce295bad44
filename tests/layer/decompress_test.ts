import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import zlib from "node:zlib";
import { LaminaError } from "../../runtime/core/errors.ts";
import { decompress, detectCompression } from "../../drivers/storage/layer/decompress.ts";
import type { Compression } from "../../drivers/storage/layer/types.ts";
import { chunked, concat, raw } from "./support/tar_builder.ts";

type Bytes = Uint8Array<ArrayBuffer>;

const a = new Uint8Array(300_000).map((_, i) => (i * 7919) >> 3);
const b = new Uint8Array(200_000).fill(66);
const text = raw(Array.from({ length: 40_000 }, (_, i) => (i * i % 9973).toString(36)).join(" "));
const noise = crypto.getRandomValues(new Uint8Array(65_536));
const none = new Uint8Array(0);
const gz = (bytes: Bytes) => new Uint8Array(zlib.gzipSync(bytes));
const zst = (bytes: Bytes, params: Record<number, number> = {}) =>
  new Uint8Array(zlib.zstdCompressSync(bytes, { params }));
const packers = [["gzip", gz], ["zstd", zst]] as const;
const checksum = { [zlib.constants.ZSTD_c_checksumFlag]: 1 };
const skippable = new Uint8Array([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4]);

async function plain(bytes: Bytes, chunk_bytes: number, compression: Compression = "auto"): Promise<Bytes> {
  const source = await decompress(chunked(bytes, chunk_bytes), compression);
  const parts: Bytes[] = [];
  for (let chunk = await source.next(); chunk !== undefined; chunk = await source.next()) parts.push(chunk.slice());
  source.close();
  return concat(parts);
}

const good: Array<[what: string, bytes: Bytes, expected: Bytes]> = [
  ["plain bytes", concat([a, b]), concat([a, b])],
  ["nothing", none, none],
  ["one byte", raw("x"), raw("x")],
  ["gzip", gz(a), a],
  ["gzip in several members, an empty one too", concat([gz(a), gz(none), gz(b)]), concat([a, b])],
  ["gzip padded with zeros", concat([gz(a), new Uint8Array(600)]), a],
  ["zstd", zst(a), a],
  ["zstd with a checksum", zst(a, checksum), a],
  ["zstd in several frames, an empty one too", concat([zst(a, checksum), zst(none), zst(b)]), concat([a, b])],
  ["zstd with skippable frames", concat([skippable, zst(a), skippable, skippable, zst(b), skippable]), concat([a, b])],
];
for (const [what, bytes, expected] of good) {
  Deno.test(`decompress gives what is behind ${what}, whatever the chunks`, async () => {
    for (const size of [1 << 20, 1000, 61, 3]) assertEquals(await plain(bytes, size), expected);
  });
}

const bad: Array<[what: string, bytes: Bytes]> = [
  ["cut gzip", gz(a).slice(0, -5)],
  ["gzip with a wrong checksum", gz(a).map((byte, i, all) => i === all.length - 7 ? byte ^ 1 : byte)],
  ["gzip with something else behind", concat([gz(a), raw("garbage")])],
  ["cut zstd", zst(a, checksum).slice(0, -2)],
  ["zstd cut between blocks", zst(a).slice(0, 20)],
  ["zstd with a wrong checksum", zst(a, checksum).map((byte, i, all) => i === all.length - 1 ? byte ^ 1 : byte)],
  ["zstd with something else behind", concat([zst(a), raw("garbage")])],
  ["a damaged zstd block", zst(text, checksum).map((byte, i) => i > 100 && i < 140 ? 0xff : byte)],
];
for (const [what, bytes] of bad) {
  Deno.test(`decompress refuses ${what}`, async () => {
    for (const size of [1 << 20, 1000, 7]) {
      const error = await assertRejects(() => plain(bytes, size), LaminaError, "damaged or cut short");
      assertEquals(error.code, "INVALID_ARGUMENT");
    }
  });
}

Deno.test("a compression that was stated wrongly is an error, not garbage", async () => {
  await assertRejects(() => plain(a, 1000, "gzip"), LaminaError, "gzip data is damaged");
  await assertRejects(() => plain(a, 1000, "zstd"), LaminaError, "zstd data is damaged");
  assertEquals(await plain(gz(b), 1000, "none"), gz(b));
});

Deno.test("bzip2 and xz are refused by name, unless it is a tar whose first name looks so", () => {
  for (const [magic, name] of [["BZh9", "bzip2"], ["\xfd7zXZ\0", "xz"]] as const) {
    const error = assertThrows(() => detectCompression(raw(magic.padEnd(300))), LaminaError, name);
    assertEquals(error.code, "UNSUPPORTED");
    const tar = raw(magic.padEnd(512, "\0"));
    tar.set(raw("ustar"), 257);
    assertEquals(detectCompression(tar), "none");
  }
});

for (const [what, pack] of packers) {
  Deno.test(`no more of a ${what} stream is read than its consumer takes`, async () => {
    const bytes = pack(concat(Array.from({ length: 128 }, () => noise)));
    let read_bytes = 0;
    const inner = chunked(bytes, 65_536);
    const source = await decompress({
      async next() {
        const chunk = await inner.next();
        read_bytes += chunk?.length ?? 0;
        return chunk;
      },
    }, "auto");
    assert((await source.next())!.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert(read_bytes < 4 << 20, `${read_bytes} of ${bytes.length} bytes were read`);
    source.close();
  });

  Deno.test(`a failing source of a ${what} stream keeps its own error`, async () => {
    const bytes = pack(a);
    let first = true;
    const source = await decompress({
      next: () => {
        if (!first) return Promise.reject(new LaminaError("NOT_FOUND", "the blob went away"));
        first = false;
        return Promise.resolve(bytes.slice(0, 3000));
      },
    }, "auto");
    await assertRejects(
      async () => {
        while (await source.next() !== undefined);
      },
      LaminaError,
      "the blob went away",
    );
  });
}

for (const [what, pack] of packers) {
  Deno.test(`a ${what} bomb swells no faster than it is taken`, async () => {
    const bomb = pack(new Uint8Array(256 << 20));
    const before_bytes = Deno.memoryUsage().rss;
    const source = await decompress(chunked(bomb, 1 << 18), "auto");
    let most_bytes = 0;
    for (let i = 0; i < 20; i++) {
      assert((await source.next())!.length <= 1 << 20);
      await new Promise((resolve) => setTimeout(resolve, 5));
      most_bytes = Math.max(most_bytes, Deno.memoryUsage().rss);
    }
    source.close();
    assert(most_bytes - before_bytes < 64 << 20, `${most_bytes - before_bytes} bytes more`);
  });
}

Deno.test("a zstd stream with a window beyond 128 MiB is refused", async () => {
  const params = { [zlib.constants.ZSTD_c_windowLog]: 28, [zlib.constants.ZSTD_c_compressionLevel]: 1 };
  // Streamed, so that the window is not cut down to the size of the content.
  const stream = zlib.createZstdCompress({ params });
  const parts: Uint8Array[] = [];
  const collected = (async () => {
    for await (const chunk of stream) parts.push(chunk as Uint8Array);
  })();
  stream.write(a);
  stream.end();
  await collected;
  await assertRejects(() => plain(concat(parts), 1000), LaminaError, "zstd data");
});
