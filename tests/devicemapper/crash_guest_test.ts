/** A process is killed between each two steps; the next start brings database and pool together. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { join } from "@std/path/posix";
import { devicemapperFactory } from "../../drivers/storage/devicemapper/devicemapper_driver.ts";
import { FAULT_POINTS } from "../../runtime/host/faults.ts";
import { Store } from "../../runtime/store/store.ts";
import { sharedEngine } from "../contract/support/engine.ts";
import { keyOf } from "../contract/support/driver_fixture.ts";
import { messageOf } from "../../runtime/core/errors.ts";
import { rootTest, scratchDirectory, testOperation } from "../support/scratch.ts";
import { directMounter } from "./support/direct_mounter.ts";
import { poolOf } from "./support/pool_backing.ts";
import { THIN } from "../../drivers/storage/devicemapper/thin_pool.ts";

const child = fromFileUrl(new URL("./crash_child.ts", import.meta.url));
const options = {
  "devicemapper.loop_size": "128m",
  "devicemapper.loop_max_size": "128m",
  "devicemapper.base_size": "32m",
};

/** What a start may find, by what was acknowledged last: nothing acknowledged is lost, at most the next step is done. */
const allowed: Record<string, readonly string[]> = {
  "": [""],
  opened: ["", "first", "base"],
  base: ["base", "base work"],
  work: ["base work", "base layer"],
  layer: ["base layer", "base"],
  removed: ["base"],
};

const own = FAULT_POINTS.filter((point) => point.startsWith("devicemapper."));
// The second snapshot has a parent.
const points = [
  ...own,
  ...own.filter((point) => !point.includes("base_")).map((point) => `${point}:2`).filter((point) =>
    !point.startsWith("devicemapper.device_deleted")
  ),
  "snapshot.directory_made:2",
  "snapshot.row_written:2",
  "snapshot.commit_row:2",
  "snapshot.remove_marked",
];

/** Children at a time; most of a round is a process that starts. */
const PARALLEL = 3;

rootTest("devicemapper: after a SIGKILL at any of its steps database and pool agree again", async () => {
  const failures: string[] = [];
  const rest = points.values();
  const visit = async () => {
    for (const point of rest) {
      try {
        await playAndProve(point);
      } catch (error) {
        failures.push(`${point}: ${messageOf(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, visit));
  assertEquals(failures, []);
});

async function playAndProve(point: string): Promise<void> {
  await using scratch = await scratchDirectory();
  await Deno.mkdir(join(scratch.path, "driver"));
  const { stdout, stderr, signal } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--cached-only", child, scratch.path, JSON.stringify(options)],
    env: { LAMINA_FAULT: point },
    stdin: "null",
  }).output();
  assertEquals(signal, "SIGKILL", new TextDecoder().decode(stderr));
  const acknowledged = new TextDecoder().decode(stdout).trim().split("\n").at(-1)!;
  const operation = testOperation();
  using store = new Store(join(scratch.path, "lamina.db"));
  const context = {
    directory: join(scratch.path, "driver"),
    store,
    engine: sharedEngine(),
    mounter: directMounter,
    options,
  };
  await using driver = await devicemapperFactory.open(context, operation);
  await driver.recover(operation);
  await driver.cleanup(operation);
  assertEquals(await driver.check({ repair: false }, operation), []);
  const rows = await Array.fromAsync(driver.walk());
  assert(
    allowed[acknowledged]!.includes(rows.map(({ key }) => key).join(" ")),
    `${acknowledged}: ${rows.map(({ key }) => key)}`,
  );
  const thins = (await poolOf(context.directory).list(operation.signal)).filter((thin) => thin < THIN.firstOwn);
  assertEquals(thins.length, rows.length);
  // All of it can be used, and the pool takes more.
  const [parent] = rows.filter(({ kind }) => kind === "committed");
  await driver.prepare(keyOf("after"), parent?.key, {}, operation);
  await driver.remove(keyOf("after"), operation);
  await driver.cleanup(operation);
  assertEquals(await driver.check({ repair: false }, operation), []);
}
