import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { JobTable } from "../../drivers/storage/layer/jobs.ts";
import { createTreeEngine, type TreeEngine } from "../../drivers/storage/layer/tree_engine.ts";
import { sourceDateEpoch } from "../../drivers/storage/layer/tree_jobs.ts";
import { WorkerPool } from "../../drivers/storage/layer/worker_pool.ts";
import { rootTest, scratchDirectory, testOperation } from "../support/scratch.ts";
import { describeTree, drained, gnuUnpack, makeRichTree, sh } from "./support/trees.ts";

async function withEngine(work: (engine: TreeEngine) => Promise<void>): Promise<void> {
  await using pool = new WorkerPool<JobTable>(new URL("../../drivers/storage/layer/layer_worker.ts", import.meta.url));
  await work(createTreeEngine(pool));
}

rootTest("Copies, archives, changes, usage and removals run in workers", async () => {
  await using scratch = await scratchDirectory();
  const from = `${scratch.path}/from`, to = `${scratch.path}/to`;
  await makeRichTree(from);
  await withEngine(async (engine) => {
    const usage = await engine.copyTree(from, to, testOperation());
    await sh(scratch.path, "sync -f .");
    assertEquals(await engine.usage(to, testOperation()), usage);
    const source = { kind: "compare", tree: to, parent: from } as const;
    assertEquals(await Array.fromAsync(engine.changes(source, testOperation())), []);
    await sh(to, "touch $(seq 1200)");
    const changes = await Array.fromAsync(engine.changes(source, testOperation()));
    assertEquals(changes.length, 1200);
    assert(changes.every(({ kind, path }) => kind === "added" && path.startsWith("/")));
    await gnuUnpack(
      await drained(engine.tar({ kind: "tree", root: from, path: "/" }, testOperation())),
      `${scratch.path}/un`,
    );
    assertEquals(await describeTree(`${scratch.path}/un`), await describeTree(from));
    await engine.removeTree(to, testOperation());
    await engine.removeTree(to, testOperation());
    const error = await assertRejects(() => engine.usage(to, testOperation()), LaminaError);
    assertEquals(error.code, "NOT_FOUND");
  });
});

rootTest("An archive waits for its reader, and ends when the reader goes away", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir t; truncate -s 5G t/large");
  await withEngine(async (engine) => {
    const reader = engine.tar({ kind: "tree", root: `${scratch.path}/t`, path: "/" }, testOperation()).getReader();
    assertEquals((await reader.read()).value?.length, 256 * 1024);
    const resident_bytes = Deno.memoryUsage().rss;
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert(Deno.memoryUsage().rss - resident_bytes < 64 << 20, "the worker runs ahead of its reader");
    await reader.cancel();
  });
});

rootTest("An aborted copy ends as cancelled", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir t; cd t; for d in $(seq 40); do mkdir $d; (cd $d; touch $(seq 500)); done");
  await withEngine(async (engine) => {
    const caller = new AbortController();
    const operation = { signal: caller.signal, progress: () => caller.abort() };
    const error = await assertRejects(
      () => engine.copyTree(`${scratch.path}/t`, `${scratch.path}/c`, operation),
      LaminaError,
    );
    assertEquals(error.code, "CANCELLED");
    // The engine is as good as before.
    await engine.removeTree(`${scratch.path}/c`, testOperation());
    assertEquals((await engine.usage(`${scratch.path}/t`, testOperation())).inodes, 20041);
  });
});

Deno.test("SOURCE_DATE_EPOCH is a whole number of seconds", () => {
  assertEquals([undefined, "", "0", "1700000000"].map(sourceDateEpoch), [undefined, undefined, 0, 1700000000]);
  for (const value of ["soon", "-1", "1.5"]) assertThrows(() => sourceDateEpoch(value), LaminaError, value);
});
