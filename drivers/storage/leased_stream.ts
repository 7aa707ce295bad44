/** An archive made of something that has to be within reach while it is read. */
import type { TarStream } from "./layer/types.ts";

/**
 * The stream that `make` returns. What `acquire` gives is had from the first read on and given back at the stream's end,
 * be that a failure or the reader's cancelling. A failure to give it back fails the stream.
 */
export function leasedStream<Lease extends AsyncDisposable>(
  acquire: () => Promise<Lease>,
  make: (lease: Lease) => TarStream,
): TarStream {
  let lease: Lease | undefined;
  let reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | undefined;
  const giveBack = async () => {
    const held = lease;
    lease = undefined;
    await held?.[Symbol.asyncDispose]();
  };
  let reading: Promise<unknown> = Promise.resolve();
  const read = async () => {
    if (reader === undefined) {
      lease = await acquire();
      reader = make(lease).getReader();
    }
    return await reader.read();
  };
  return new ReadableStream({
    async pull(controller) {
      const turn = read();
      reading = turn.catch(() => {});
      try {
        const { done, value } = await turn;
        if (!done) return controller.enqueue(value);
      } catch (error) {
        await giveBack();
        throw error;
      }
      await giveBack();
      controller.close();
    },
    async cancel(reason) {
      try {
        // A reader that exists is cancelled at once; one that is just coming, when it is there.
        if (reader === undefined) await reading;
        await reader?.cancel(reason);
      } finally {
        await giveBack();
      }
    },
  }, { highWaterMark: 0 });
}
