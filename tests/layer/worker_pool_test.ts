import { assert, assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { backgroundOperation, type Operation } from "../../runtime/core/operation.ts";
import { WorkerPool, type WorkerPoolOptions } from "../../drivers/storage/layer/worker_pool.ts";
import type { TestJobs } from "./support/test_worker.ts";

function testPool(options?: WorkerPoolOptions): WorkerPool<TestJobs> {
  return new WorkerPool<TestJobs>(new URL("./support/test_worker.ts", import.meta.url), options);
}

function cancellable(): Operation & { abort(reason?: unknown): void } {
  const controller = new AbortController();
  return { signal: controller.signal, progress: () => {}, abort: (reason) => controller.abort(reason) };
}

const tree = { slot: "tree", operation: backgroundOperation() } as const;

Deno.test("a job's result comes back, and its worker serves the next job", async () => {
  await using pool = testPool();
  assertEquals(await pool.run("add", { a: 1, b: 2 }, tree), 3);
  assertEquals(pool.idleWorkers, 1);
  assertEquals(await pool.run("add", { a: 3, b: 4 }, tree), 7);
  assertEquals(pool.idleWorkers, 1);
});

Deno.test("errors cross the worker boundary with code, message and details", async () => {
  await using pool = testPool();
  const lamina = await assertRejects(() => pool.run("failLamina", null, tree), LaminaError);
  assertEquals([lamina.code, lamina.message, lamina.details.found], ["DATA_LOSS", "the digest differs", "x"]);
  const errno = await assertRejects(
    () => pool.run("failErrno", { errno: 28 }, tree),
    LaminaError,
    "the disk is full",
  );
  assertEquals(errno.code, "RESOURCE_EXHAUSTED");
});

Deno.test("a stream yields the chunks in order, and a job waits for its consumer", async () => {
  await using pool = testPool();
  const stream = pool.stream("count", { to: 50, size_bytes: 10 }, { ...tree, slot: "stream" });
  const seen: number[] = [];
  for await (const chunk of stream) seen.push(chunk[0]!);
  assertEquals(seen, Array.from({ length: 50 }, (_, i) => i));
});

Deno.test("cancelling a stream ends its job and gives the worker back", async () => {
  await using pool = testPool();
  const reader = pool.stream("count", { to: 1e9, size_bytes: 10 }, { ...tree, slot: "stream" }).getReader();
  assertEquals((await reader.read()).value?.[0], 0);
  await reader.cancel();
  assertEquals(pool.idleWorkers, 1);
});

Deno.test("a stream that nobody reads starts no job", async () => {
  await using pool = testPool();
  const stream = pool.stream("count", { to: 3, size_bytes: 1 }, { ...tree, slot: "stream" });
  assertEquals(await pool.run("add", { a: 1, b: 1 }, { ...tree, slot: "stream" }), 2);
  await stream.cancel();
});

Deno.test("a job reads its input to the end, and the input's own error comes back", async () => {
  await using pool = testPool();
  const chunks = Array.from({ length: 40 }, () => new Uint8Array(1000).fill(1));
  assertEquals(await pool.run("sum", null, { ...tree, input: ReadableStream.from(chunks) }), 40_000);
  const failing = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: () => Promise.reject(new LaminaError("NOT_FOUND", "the blob is gone")),
  });
  const error = await assertRejects(() => pool.run("sum", null, { ...tree, input: failing }), LaminaError);
  assertEquals([error.code, error.message], ["NOT_FOUND", "the blob is gone"]);
});

Deno.test("a job that ends early cancels its input", async () => {
  await using pool = testPool();
  let cancelled = false;
  const input = new ReadableStream<Uint8Array<ArrayBuffer>>({ cancel: () => void (cancelled = true) });
  await assertRejects(() => pool.run("failLamina", null, { ...tree, input }), LaminaError);
  assert(cancelled);
});

Deno.test("an abort stops a job that listens and keeps its worker", async () => {
  await using pool = testPool();
  const operation = cancellable();
  const begun = Promise.withResolvers<void>();
  const spinning = pool.run("spin", null, {
    slot: "tree",
    operation: { ...operation, progress: () => begun.resolve() },
  });
  await begun.promise;
  operation.abort(new LaminaError("CONFLICT", "not now"));
  const error = await assertRejects(() => spinning, LaminaError);
  assertEquals([error.code, error.message], ["CONFLICT", "not now"]);
  assertEquals(pool.idleWorkers, 1);
});

Deno.test("an abort stops a job that does not listen, with its worker", async () => {
  await using pool = testPool();
  const operation = cancellable();
  const deaf = pool.run("deaf", null, { slot: "tree", operation });
  setTimeout(() => operation.abort(), 50);
  assertEquals((await assertRejects(() => deaf, LaminaError)).code, "CANCELLED");
  assertEquals(pool.idleWorkers, 0);
  assertEquals(await pool.run("add", { a: 1, b: 1 }, tree), 2);
});

Deno.test("an abort ends the wait for a slot", async () => {
  await using pool = testPool({ slots: { tree: 1 } });
  const first = cancellable();
  const second = cancellable();
  const running = pool.run("spin", null, { slot: "tree", operation: first });
  const waiting = pool.run("add", { a: 1, b: 1 }, { slot: "tree", operation: second });
  second.abort();
  assertEquals((await assertRejects(() => waiting, LaminaError)).code, "CANCELLED");
  first.abort();
  await assertRejects(() => running, LaminaError);
});

Deno.test("a job that waits for an answer lends its slot to the job that gives it", async () => {
  await using pool = testPool({ slots: { unpack: 1 } });
  const unpack = { slot: "unpack", operation: backgroundOperation() } as const;
  const answer = await pool.run("ask", { question: "lowers" }, {
    ...unpack,
    answer: async (question) => `${question}: ${await pool.run("add", { a: 2, b: 2 }, unpack)}`,
  });
  assertEquals(answer, "lowers: 4");
});

Deno.test("a stream piped into an unpack gets its worker although every unpack slot is taken", async () => {
  await using pool = testPool({ slots: { unpack: 1, stream: 1 } });
  const sums = await Promise.all([1, 2, 3].map(() =>
    pool.run("sum", null, {
      slot: "unpack",
      operation: backgroundOperation(),
      input: pool.stream("count", { to: 20, size_bytes: 1 }, { ...tree, slot: "stream" }),
    })
  ));
  assertEquals(sums, [190, 190, 190]);
});

Deno.test("progress reaches the operation", async () => {
  await using pool = testPool();
  const events: number[] = [];
  const operation = { ...backgroundOperation(), progress: (event: { current: number }) => events.push(event.current) };
  await pool.run("progress", null, { slot: "tree", operation });
  assertEquals(events, [1]);
});

Deno.test("an idle worker ends", async () => {
  await using pool = testPool({ idle_ms: 20 });
  await pool.run("add", { a: 1, b: 2 }, tree);
  assertEquals(pool.idleWorkers, 1);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assertEquals(pool.idleWorkers, 0);
});

Deno.test("disposing the pool cancels what runs", async () => {
  const pool = testPool();
  const running = pool.run("spin", null, tree);
  const failed = assertRejects(() => running, LaminaError);
  await pool[Symbol.asyncDispose]();
  assertEquals((await failed).code, "UNAVAILABLE");
});
