import { assertEquals, assertRejects } from "@std/assert";
import { onEnd } from "../../runtime/core/streams.ts";

type Chunk = Uint8Array<ArrayBuffer>;

/** A stream of three chunks that tells what was done to it. */
function source(told: string[], failure?: Error): ReadableStream<Chunk> {
  let left = 3;
  return new ReadableStream<Chunk>({
    pull(controller) {
      if (left-- > 0) controller.enqueue(new Uint8Array([left]));
      else if (failure !== undefined) controller.error(failure);
      else controller.close();
    },
    cancel: () => void told.push("cancelled"),
  }, { highWaterMark: 0 });
}

const never = new AbortController().signal;

Deno.test("what a stream stood on goes when it was read to its end, and before the reader sees the end", async () => {
  const told: string[] = [];
  const stream = onEnd(source(told), () => void told.push("ended"), never);
  const chunks = await Array.fromAsync(stream);
  assertEquals(chunks.length, 3);
  assertEquals(told, ["ended"]);
});

Deno.test("it goes when the stream fails, when it is cancelled, and when nobody reads it and the signal aborts", async () => {
  const failed: string[] = [];
  const broken = onEnd(source(failed, new Error("broken")), () => void failed.push("ended"), never);
  await assertRejects(() => Array.fromAsync(broken), Error, "broken");
  assertEquals(failed, ["ended"]);

  const cancelled: string[] = [];
  await onEnd(source(cancelled), () => void cancelled.push("ended"), never).cancel();
  assertEquals(cancelled, ["cancelled", "ended"]);

  const stop = new AbortController();
  const abandoned: string[] = [];
  const stream = onEnd(source(abandoned), () => void abandoned.push("ended"), stop.signal);
  stop.abort(new Error("enough"));
  await assertRejects(() => Array.fromAsync(stream), Error, "enough");
  assertEquals(abandoned, ["cancelled", "ended"]);
});

Deno.test("a source that falls silent ends with the signal", async () => {
  const stop = new AbortController();
  const silent = new ReadableStream<Chunk>({ pull: () => new Promise(() => {}) });
  const reading = onEnd(silent, () => {}, stop.signal).getReader().read();
  stop.abort(new Error("too late"));
  await assertRejects(() => reading, Error, "too late");
});

Deno.test("the reader learns that what the stream stood on could not go", async () => {
  const stream = onEnd(source([]), () => Promise.reject(new Error("still mounted")), never);
  await assertRejects(() => Array.fromAsync(stream), Error, "still mounted");
});
