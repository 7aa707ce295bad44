import { assert, assertEquals, assertRejects } from "@std/assert";
import { gunzipSync, gzipSync, zstdDecompressSync } from "node:zlib";
import { createLayerEngine } from "../../drivers/storage/layer/layer_engine.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { backgroundOperation } from "../../runtime/core/operation.ts";

const operation = backgroundOperation();

/** Chunks of some sizes, most of them of what compresses badly. */
function source(count: number, cancelled: (reason: unknown) => void = () => {}) {
  const chunks = Array.from({ length: count }, (_, i) => {
    const chunk = new Uint8Array(1 + (i * 7919) % 65_536);
    return i % 3 === 0 ? chunk.fill(i) : crypto.getRandomValues(chunk);
  });
  const all = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  let next = 0;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => next < count ? controller.enqueue(chunks[next++]!.slice()) : controller.close(),
    cancel: cancelled,
  }, { highWaterMark: 0 });
  return { stream, all, taken: () => next };
}

const bytesOf = (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => new Response(stream).bytes();

Deno.test("what is compressed in a worker is what was given, and the same each time", async () => {
  await using engine = createLayerEngine();
  const undo = { gzip: gunzipSync, zstd: zstdDecompressSync };
  for (const compression of ["gzip", "zstd"] as const) {
    const { stream, all } = source(60);
    const made = await bytesOf(engine.compress(stream, compression, operation));
    assertEquals(new Uint8Array(undo[compression](made)), all);
    const again = new Blob([all]).stream();
    assertEquals(await bytesOf(engine.compress(again, compression, operation)), made);
  }
});

Deno.test("nothing compressed is an empty archive", async () => {
  await using engine = createLayerEngine();
  const made = await bytesOf(engine.compress(source(0).stream, "gzip", operation));
  assertEquals(made, new Uint8Array(gzipSync(new Uint8Array(0))));
});

Deno.test("who gives up before the first byte, or in the middle, cancels what was to be compressed", async () => {
  await using engine = createLayerEngine();
  for (const reads of [0, 1]) {
    const cancelled = Promise.withResolvers<unknown>();
    const { stream, taken } = source(1000, cancelled.resolve);
    const reader = engine.compress(stream, "gzip", operation).getReader();
    for (let i = 0; i < reads; i++) await reader.read();
    await reader.cancel("enough");
    await cancelled.promise;
    assert(taken() < 1000);
  }
});

Deno.test("a source that fails is the failure of what is made of it", async () => {
  await using engine = createLayerEngine();
  const failing = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull() {
      throw new LaminaError("DATA_LOSS", "the disk does not give it");
    },
  }, { highWaterMark: 0 });
  const error = await assertRejects(() => bytesOf(engine.compress(failing, "zstd", operation)), LaminaError);
  assertEquals([error.code, error.message], ["DATA_LOSS", "the disk does not give it"]);
});
