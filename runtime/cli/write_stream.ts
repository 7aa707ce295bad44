/** Streams into files and pipes. */

/** What bytes are written to: `Deno.FsFile`, `Deno.stdout`. */
export interface ByteSink {
  write(bytes: Uint8Array<ArrayBuffer>): Promise<number>;
}

/**
 * Writes every byte of a stream, and knows that it has.
 *
 * Not `stream.pipeTo(file.writable)`: in Deno 2.7 that resolves before the last chunk is written, and a `close` right
 * after it cuts the file short.
 *
 * @throws what reading or writing throws, or the signal's reason; the stream is cancelled then.
 */
export async function writeStream(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  sink: ByteSink,
  signal: AbortSignal,
): Promise<void> {
  for await (const chunk of stream) {
    signal.throwIfAborted();
    for (let done = 0; done < chunk.length;) done += await sink.write(chunk.subarray(done));
  }
}
