import { assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { backgroundOperation } from "../../runtime/core/operation.ts";
import { WorkerPool } from "../../drivers/storage/layer/worker_pool.ts";
import type { TestJobs } from "./support/test_worker.ts";

Deno.test("a worker that breaks down fails its job and no other, and gives its slot back", async () => {
  const module = new URL("./support/test_worker.ts", import.meta.url);
  await using pool = new WorkerPool<TestJobs>(module, { slots: { intake: 1 } });
  const options = { slot: "intake", operation: backgroundOperation() } as const;
  let cancelled = false;
  const input = new ReadableStream<Uint8Array<ArrayBuffer>>({ cancel: () => void (cancelled = true) });
  const broken = pool.run("breakDown", null, { ...options, input });
  const next = pool.run("add", { a: 1, b: 2 }, options);
  const error = await assertRejects(() => broken, LaminaError, "nobody catches this");
  assertEquals([error.code, cancelled], ["INTERNAL", true]);
  assertEquals(await next, 3);
});
