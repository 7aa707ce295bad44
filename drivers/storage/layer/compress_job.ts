/** Bytes compressed in a worker: it would keep the daemon's own thread busy for seconds. */
import { compressed, type FoundCompression } from "./byte_streams.ts";
import type { JobContext } from "./job_protocol.ts";

/** Compresses the job's input into its output. */
export async function compressJob(
  { compression }: { readonly compression: Exclude<FoundCompression, "none"> },
  context: JobContext,
): Promise<void> {
  // A chunk that is sent away must not be one that the encoder still fills.
  for await (const chunk of compressed(input(context), compression)) await context.emitChunk(new Uint8Array(chunk));
}

async function* input(context: JobContext): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let chunk = await context.nextChunk(); chunk !== undefined; chunk = await context.nextChunk()) yield chunk;
}
