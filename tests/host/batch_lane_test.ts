import { assertEquals, assertRejects } from "@std/assert";
import { BatchLane } from "../../runtime/host/batch_lane.ts";

const never = new AbortController().signal;

/** A lane of numbers: doubles them, when told to. */
function lane(fits: (batch: readonly number[], group: readonly number[]) => boolean = () => true) {
  const batches: number[][] = [];
  let goOn = Promise.withResolvers<void>();
  const work = new BatchLane<number, number>(async (items) => {
    batches.push([...items]);
    await goOn.promise;
    if (items.includes(13)) throw new Error("unlucky");
    return items.map((item) => item * 2);
  }, fits);
  return {
    batches,
    submit: (items: number[], signal = never) => work.submit(items, signal),
    release: async () => {
      goOn.resolve();
      goOn = Promise.withResolvers<void>();
      for (let i = 0; i < 10; i++) await Promise.resolve();
    },
  };
}

Deno.test("what is asked for in one turn, or while a batch runs, shares the next batch", async () => {
  const l = lane();
  const first = [l.submit([1]), l.submit([2, 3])];
  await Promise.resolve();
  const second = [l.submit([4]), l.submit([5])];
  await l.release();
  assertEquals(await Promise.all(first), [[2], [4, 6]]);
  await l.release();
  assertEquals(await Promise.all(second), [[8], [10]]);
  assertEquals(l.batches, [[1, 2, 3], [4, 5]]);
});

Deno.test("a group that does not fit waits for its turn and is not overtaken", async () => {
  const l = lane((batch, group) => batch[0]! % 2 === group[0]! % 2);
  const all = [l.submit([1]), l.submit([2]), l.submit([3])];
  for (let i = 0; i < 4; i++) {
    await Promise.resolve();
    await l.release();
  }
  assertEquals(await Promise.all(all), [[2], [4], [6]]);
  assertEquals(l.batches, [[1], [2], [3]]);
});

Deno.test("a failing batch fails its groups only", async () => {
  const l = lane();
  const bad = [l.submit([13]), l.submit([1])];
  const failures = bad.map((group) => assertRejects(() => group, Error, "unlucky"));
  await Promise.resolve();
  const good = l.submit([2]);
  await l.release();
  await Promise.all(failures);
  await l.release();
  assertEquals(await good, [4]);
});

Deno.test("a group is taken back while it waits, and carried out once it runs", async () => {
  const l = lane();
  const abort = new AbortController();
  const running = l.submit([1], abort.signal);
  await Promise.resolve();
  const waiting = l.submit([2], abort.signal);
  abort.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  await l.release();
  assertEquals(await running, [2]);
  await assertRejects(async () => await l.submit([3], abort.signal), Error, "enough");
  assertEquals(l.batches, [[1]]);
});

Deno.test("a wide lane shares out what waits among its batches", async () => {
  const batches: number[][] = [];
  const free = Promise.withResolvers<void>();
  const work = new BatchLane<number, number>(
    async (items) => {
      batches.push([...items]);
      await free.promise;
      return [...items];
    },
    () => true,
    2,
  );
  const all = [1, 2, 3, 4, 5].map((item) => work.submit([item], never));
  await Promise.resolve();
  await Promise.resolve();
  assertEquals(batches.length, 2);
  free.resolve();
  assertEquals(await Promise.all(all), [[1], [2], [3], [4], [5]]);
  assertEquals(batches.flat().sort(), [1, 2, 3, 4, 5]);
});
