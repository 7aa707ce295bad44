/** Small tools for streams. */

/**
 * The same stream; `ended` runs once, when it is over: read to its end, failed, cancelled, or stopped by `signal` (so
 * that an abandoned stream holds nothing for ever). The reader sees the end after `ended` is done, and its failure.
 */
export function onEnd<T extends Uint8Array>(
  stream: ReadableStream<T>,
  ended: () => void | Promise<void>,
  signal: AbortSignal,
): ReadableStream<T> {
  const reader = stream.getReader();
  let over: Promise<void> | undefined;
  let stop = () => {};
  const finish = () =>
    over ??= (async () => {
      signal.removeEventListener("abort", stop);
      await ended();
    })();
  return new ReadableStream<T>({
    start(controller) {
      stop = () => {
        // First nothing more comes from the source, then what it stood on may go.
        reader.cancel(signal.reason).then(finish, finish).then(
          () => controller.error(signal.reason),
          (error) => controller.error(error),
        );
      };
      if (signal.aborted) stop();
      else signal.addEventListener("abort", stop, { once: true });
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (signal.aborted) return;
        if (done) {
          await finish();
          controller.close();
        } else {
          controller.enqueue(value);
        }
      } catch (error) {
        if (signal.aborted) return;
        try {
          await finish();
        } finally {
          controller.error(error);
        }
      }
    },
    async cancel(reason) {
      try {
        await reader.cancel(reason);
      } finally {
        await finish();
      }
    },
  }, { highWaterMark: 0 });
}
