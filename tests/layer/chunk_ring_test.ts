import { assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { ChunkRing, RING_CHUNK_BYTES, ringMemory } from "../../drivers/storage/layer/chunk_ring.ts";

const buffer = () => new Uint8Array(RING_CHUNK_BYTES);

Deno.test("a ring gives the bytes in order, cut to its chunks, and then the note", () => {
  const memory = ringMemory();
  const [writer, reader] = [new ChunkRing(memory), new ChunkRing(memory)];
  const bytes = new Uint8Array(RING_CHUNK_BYTES + 10).map((_, i) => i % 251);
  assertEquals([writer.write(bytes), writer.write(new Uint8Array(0)), writer.write(new Uint8Array([7]))], [
    true,
    true,
    true,
  ]);
  writer.end("note");
  assertEquals(reader.read(buffer()), bytes.subarray(0, RING_CHUNK_BYTES));
  assertEquals(reader.read(buffer()), bytes.subarray(RING_CHUNK_BYTES));
  assertEquals(reader.read(buffer()), new Uint8Array([7]));
  assertEquals(reader.read(buffer()), undefined);
  assertEquals(reader.note(), "note");
});

Deno.test("a full ring waits for its reader, an empty one for its writer; a cancelled wait ends", () => {
  const memory = ringMemory();
  let waits = 0;
  const check = () => {
    if (++waits > 2) throw new LaminaError("CANCELLED", "enough");
  };
  const ring = new ChunkRing(memory, check);
  assertThrows(() => ring.read(buffer()), LaminaError, "enough");
  waits = 0;
  assertThrows(() => ring.write(new Uint8Array(64 * RING_CHUNK_BYTES)), LaminaError, "enough");
});

Deno.test("a writer that fails ends the reader's wait, after what it had written", () => {
  const memory = ringMemory();
  const ring = new ChunkRing(memory);
  ring.write(new Uint8Array([1]));
  ring.fail();
  assertEquals(ring.read(buffer()), new Uint8Array([1]));
  assertEquals(assertThrows(() => ring.read(buffer()), LaminaError).code, "UNAVAILABLE");
  assertEquals(assertThrows(() => ring.note(), LaminaError).code, "UNAVAILABLE");
});

Deno.test("a reader that wants only the note ends the writing", () => {
  const memory = ringMemory();
  const [writer, reader] = [
    new ChunkRing(memory),
    new ChunkRing(memory, () => {
      // Called while the reader waits: the writer's turn.
      assertEquals(writer.write(new Uint8Array([1])), false);
      writer.end("the digest");
    }),
  ];
  assertEquals(reader.note(), "the digest");
});

Deno.test("an end is final: a failure afterwards changes nothing", () => {
  const ring = new ChunkRing(ringMemory());
  ring.end("done");
  ring.fail();
  assertEquals([ring.read(buffer()), ring.note()], [undefined, "done"]);
});
