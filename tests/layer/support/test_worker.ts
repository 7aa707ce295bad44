/** A worker with jobs that tests of the pool need. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import { ErrnoError } from "../../../runtime/host/libc.ts";
import type { JobContext } from "../../../drivers/storage/layer/job_protocol.ts";
import { serveJobs } from "../../../drivers/storage/layer/job_server.ts";

export const testJobs = {
  add: ({ a, b }: { a: number; b: number }, _context: JobContext) => a + b,
  failLamina: (_args: null, _context: JobContext): void => {
    throw new LaminaError("DATA_LOSS", "the digest differs", { details: { found: "x" } });
  },
  failErrno: ({ errno }: { errno: number }, _context: JobContext): void => {
    throw new ErrnoError("write", errno, "file");
  },
  count: async ({ to, size_bytes }: { to: number; size_bytes: number }, context: JobContext) => {
    for (let i = 0; i < to; i++) await context.emitChunk(new Uint8Array(size_bytes).fill(i));
  },
  sum: async (_args: null, context: JobContext) => {
    let sum = 0;
    for (;;) {
      const chunk = await context.nextChunk();
      if (chunk === undefined) return sum;
      for (const byte of chunk) sum += byte;
    }
  },
  ask: async ({ question }: { question: string }, context: JobContext) => await context.askMain(question),
  spin: (_args: null, context: JobContext): void => {
    // Begun: whoever aborts from here on aborts a job that runs.
    context.progress({ phase: "spin", id: "x", current: 1, total: 1 });
    for (;;) context.throwIfCancelled();
  },
  deaf: (_args: null, _context: JobContext): void => {
    for (;;);
  },
  breakDown: (_args: null, _context: JobContext): Promise<void> => {
    setTimeout(() => {
      throw new Error("nobody catches this");
    });
    return new Promise(() => {});
  },
  progress: (_args: null, context: JobContext): void => {
    context.progress({ phase: "test", id: "x", current: 1, total: 1 });
  },
};

/** For the pool's type. */
export type TestJobs = typeof testJobs;

// The module is also imported for its types.
if ("DedicatedWorkerGlobalScope" in globalThis) serveJobs(testJobs);
