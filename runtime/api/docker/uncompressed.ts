/** Archives for `docker cp` may be compressed, as far as the platform's own streams know how. */
import type { ByteStream } from "../../services.ts";

/** The same bytes, without gzip. What is compressed otherwise is refused by whoever reads it as a tar. */
export async function uncompressed(stream: ByteStream): Promise<ByteStream> {
  const reader = stream.getReader();
  const held: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  while (length < 2) {
    const { done, value } = await reader.read();
    if (done) break;
    held.push(value);
    length += value.length;
  }
  const head = held.flatMap((chunk) => [...chunk.subarray(0, 2)]);
  const whole = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const chunk = held.shift();
      if (chunk !== undefined) return controller.enqueue(chunk);
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
  return head[0] === 0x1f && head[1] === 0x8b ? whole.pipeThrough(new DecompressionStream("gzip")) : whole;
}
