/** Bodies of answers that are made while they are sent. */
import { type LaminaError, toLaminaError } from "../core/errors.ts";
import { abortable } from "../core/keyed_lock.ts";
import type { ProgressEvent } from "../core/operation.ts";
import type { ByteStream } from "../services.ts";
import type { Lease } from "./lease.ts";

const encoder = new TextEncoder();

/** Told when a body breaks after its first byte was sent: then no status can tell the client. */
export type OnBroken = (error: unknown) => void;

/**
 * The same bytes, the first chunk of them in hand: what fails at once still gets a status of its own. A failure later
 * errors the stream, which breaks the connection: the client never takes a part for the whole.
 */
export async function startedStream(source: ByteStream, lease: Lease, onBroken: OnBroken): Promise<ByteStream> {
  const reader = source.getReader();
  let pending: ReadableStreamReadResult<Uint8Array<ArrayBuffer>> | undefined = await reader.read();
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const { done, value } = pending ?? await reader.read();
        pending = undefined;
        if (!done) return controller.enqueue(value);
        controller.close();
        lease.end();
      } catch (error) {
        onBroken(error);
        lease.end();
        throw error;
      }
    },
    async cancel(reason) {
      lease.abandon(reason);
      try {
        await reader.cancel(reason);
      } finally {
        lease.end();
      }
    },
  }, { highWaterMark: 0 });
}

/**
 * The same bytes until the signal aborts; then the reader gets its reason at once, even where the source hangs (a
 * terminal, a stalled client).
 */
export function untilAborted(source: ByteStream, signal: AbortSignal): ByteStream {
  const reader = source.getReader();
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const { done, value } = await abortable(reader.read(), signal);
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        // Not awaited: what hangs in reading may hang in cancelling.
        reader.cancel(error).catch(() => {});
        throw error;
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

/** Objects as NDJSON, as they come; ends in order when the lease's signal aborts. */
export function ndjsonStream(items: AsyncIterable<unknown>, lease: Lease, onBroken: OnBroken): ByteStream {
  const iterator = items[Symbol.asyncIterator]();
  // Asked for at once: what happens after the client has the headers is not missed.
  let pending: Promise<IteratorResult<unknown>> | undefined = iterator.next();
  pending.catch(() => {});
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      try {
        const { done, value } = await (pending ?? iterator.next());
        pending = undefined;
        if (!done) return controller.enqueue(line(value));
      } catch (error) {
        if (!lease.signal.aborted) {
          onBroken(error);
          lease.end();
          throw error;
        }
      }
      controller.close();
      lease.end();
    },
    async cancel(reason) {
      lease.abandon(reason);
      try {
        await iterator.return?.();
      } finally {
        lease.end();
      }
    },
  }, { highWaterMark: 0 });
}

/** Milliseconds between two lines about the same thing. */
const PROGRESS_INTERVAL_MS = 100;

/** What a stream of progress says, as objects that become lines of JSON. */
export interface ProgressLines {
  progress(event: ProgressEvent): unknown;
  /** Any number, at the end of work that was done. */
  result(value: unknown): readonly unknown[];
  /** At the end of work that failed. */
  error(error: LaminaError): unknown;
}

const nativeLines: ProgressLines = {
  progress: (event) => ({ type: "progress", ...event }),
  result: (value) => [{ type: "result", result: value ?? null }],
  error: (error) => ({ type: "error", error: error.toJSON() }),
};

/**
 * Progress lines while `work` runs, then one `result` or `error` line, or what `lines` makes of them.
 *
 * Resolves as soon as there is a first line of progress, or with what `work` throws before that: such a failure gets a
 * status of its own. Progress is thinned out: the newest state of each thing, every 100 ms.
 */
export async function progressStream(
  work: (progress: (event: ProgressEvent) => void) => Promise<unknown>,
  attempted: string,
  lease: Lease,
  lines: ProgressLines = nativeLines,
): Promise<ByteStream> {
  const newest = new Map<string, ProgressEvent>();
  const started = Promise.withResolvers<void>();
  const done = work((event) => {
    newest.set(`${event.phase}/${event.id}`, event);
    started.resolve();
  });
  await Promise.race([started.promise, done]);
  let timer: ReturnType<typeof setInterval> | undefined;
  let cancelled = false;
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      const flush = () => {
        for (const event of newest.values()) controller.enqueue(line(lines.progress(event)));
        newest.clear();
      };
      const finish = (last: readonly unknown[]) => {
        clearInterval(timer);
        if (!cancelled) {
          flush();
          for (const item of last) controller.enqueue(line(item));
          controller.close();
        }
        lease.end();
      };
      timer = setInterval(flush, PROGRESS_INTERVAL_MS);
      flush();
      done.then(
        (result) => finish(lines.result(result)),
        (error) => finish([lines.error(toLaminaError(error, attempted))]),
      );
    },
    // The place in the lane is kept until the work has rolled back.
    cancel(reason) {
      cancelled = true;
      clearInterval(timer);
      lease.abandon(reason);
    },
  });
}

function line(value: unknown): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${JSON.stringify(value)}\n`);
}
