/** What the verbs of each storage driver cost, side by side, for every driver that works on this kernel. */
import { benchDirectory } from "./support/bench_daemon.ts";
import { BenchDriver, LARGE } from "./support/bench_drivers.ts";
import { measured } from "./support/recorder.ts";
import type { SnapshotKey } from "../runtime/core/ids.ts";

const iterations = Number(Deno.env.get("LAMINA_BENCH_ITERATIONS") ?? 12);
const drivers = await BenchDriver.all(benchDirectory());

interface Subject {
  readonly key: SnapshotKey;
  readonly target: string;
}

for (const bench of drivers) {
  const { name, driver, operation } = bench;
  const common = { iterations, baseline: bench === drivers[0] };
  let prepared: SnapshotKey | undefined;
  measured({
    ...common,
    group: "prepare on a base of 1,000 files and one of 100 MB",
    name: `prepare, ${name}`,
    run: async () => prepared = await bench.prepare(),
    finish: () => bench.remove(prepared!),
  });
  measured<Subject>({
    ...common,
    group: "first write: one byte of a 100 MB file, synced",
    name: `first write, ${name}`,
    prepare: async () => {
      const key = await bench.prepare();
      return { key, target: await bench.mount(key) };
    },
    run: ({ target }) => {
      using file = Deno.openSync(`${target}/${LARGE.name}`, { write: true });
      file.writeSync(new Uint8Array([1]));
      file.syncSync();
    },
    finish: async ({ key, target }) => {
      await bench.unmount(target);
      await bench.remove(key);
    },
  });
  const named = (key: SnapshotKey) => `committed-${key}` as SnapshotKey;
  measured<SnapshotKey>({
    ...common,
    group: "commit of 200 changed files",
    name: `commit, ${name}`,
    prepare: () => bench.changed(),
    run: (key) => driver.commit(named(key), key, {}, operation),
    finish: (key) => bench.remove(named(key)),
  });
  measured<SnapshotKey>({
    ...common,
    group: "diff of 200 changed files, as a layer's archive",
    name: `diff, ${name}`,
    prepare: () => bench.changed(),
    run: (key) => driver.diff(key, operation).pipeTo(new WritableStream()),
    finish: (key) => bench.remove(key),
  });
  measured<SnapshotKey>({
    ...common,
    group: "remove and free a snapshot of 200 changed files",
    name: `remove, ${name}`,
    prepare: () => bench.changed(),
    run: (key) => bench.remove(key),
  });
}
