import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { SnapshotKey } from "../../runtime/core/ids.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import { chooseDriver, type DriverChoiceContext } from "../../drivers/storage/choose_driver.ts";
import type { DriverFactory } from "../../drivers/storage/driver_factory.ts";
import { SnapshotStore } from "../../drivers/storage/snapshot_store.ts";
import type { StorageDriver, StorageDriverName } from "../../drivers/storage/port.ts";
import { vfsFactory } from "../../drivers/storage/vfs/vfs_driver.ts";
import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { Store } from "../../runtime/store/store.ts";
import { rootTest, scratchDirectory, testOperation } from "../support/scratch.ts";

/** A factory whose driver is only a name. */
function named(name: StorageDriverName, refusal?: string, seen: Record<string, string>[] = []): DriverFactory {
  return {
    name,
    probe: () => Promise.reject(new Error("not asked here")),
    open: (context) => {
      seen.push({ ...context.options });
      return refusal === undefined
        ? Promise.resolve({ name } as StorageDriver)
        : Promise.reject(new LaminaError("UNSUPPORTED", refusal));
    },
  };
}

async function withContext(
  factories: DriverFactory[],
  body: (context: DriverChoiceContext, operation: Operation) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir();
  const store = new Store(join(directory, "db"));
  try {
    const directoryOf = (name: string) => join(directory, "drivers", name);
    const none = {} as never;
    await body({ factories, directoryOf, store, engine: none, mounter: none, options: {} }, testOperation());
  } finally {
    store[Symbol.dispose]();
    await Deno.remove(directory, { recursive: true });
  }
}

async function hold(store: Store, driver: StorageDriverName): Promise<void> {
  const rows = new SnapshotStore(store, driver);
  const id = rows.reserveId();
  await store.write((tx) => rows.insert(tx, { id, key: "layer" as SnapshotKey, kind: "committed" }, "prepare"));
}

async function assertCode(code: string, body: () => Promise<unknown>): Promise<string> {
  const error = await assertRejects(body, LaminaError);
  assertEquals(error.code, code);
  return error.message;
}

Deno.test("the first driver that works is chosen, and why the better ones were passed over is kept", async () => {
  await withContext([named("overlay", "no overlayfs here"), named("vfs")], async (context, operation) => {
    const chosen = await chooseDriver(context, operation);
    assertEquals(chosen.driver.name, "vfs");
    assertEquals(chosen.passedOver, [{ name: "overlay", reason: "no overlayfs here" }]);
    assertEquals(chosen.why, "vfs is the best one that works here. no overlayfs here");
    // The one that was tried leaves no directory.
    assertEquals((await Array.fromAsync(Deno.readDir(context.directoryOf("x" as never).replace(/x$/, "")))).length, 1);
  });
});

Deno.test("a driver that needs a person's decisions is taken by itself only with one of its options", async () => {
  const pool = { ...named("devicemapper"), onlyWithOptions: true };
  await withContext([named("overlay", "no overlayfs here"), pool, named("vfs")], async (context, operation) => {
    assertEquals((await chooseDriver(context, operation)).driver.name, "vfs");
    const options = { "devicemapper.pool": "x" };
    assertEquals((await chooseDriver({ ...context, options }, operation)).driver.name, "devicemapper");
    assertEquals((await chooseDriver({ ...context, configured: "devicemapper" }, operation)).why, "configured");
  });
});

Deno.test("a configured driver that cannot work is an error, not a reason for another", async () => {
  await withContext([named("overlay", "no overlayfs here"), named("vfs")], async (context, operation) => {
    const message = await assertCode(
      "UNSUPPORTED",
      () => chooseDriver({ ...context, configured: "overlay" }, operation),
    );
    assertMatch(message, /with overlay \(configured\): no overlayfs here/);
    assertEquals((await chooseDriver({ ...context, configured: "vfs" }, operation)).why, "configured");
    await assertCode("INVALID_ARGUMENT", () => chooseDriver({ ...context, configured: "overlay2" }, operation));
  });
});

Deno.test("when none works all reasons are told", async () => {
  await withContext([named("overlay", "reason one"), named("vfs", "reason two")], async (context, operation) => {
    assertMatch(await assertCode("UNSUPPORTED", () => chooseDriver(context, operation)), /reason one; reason two/);
  });
});

Deno.test("a root keeps the driver that its data belongs to", async () => {
  await withContext([named("overlay"), named("vfs")], async (context, operation) => {
    await hold(context.store, "vfs");
    const chosen = await chooseDriver({ ...context, configured: "auto" }, operation);
    assertEquals([chosen.driver.name, chosen.why], ["vfs", "the root holds 1 snapshots of it"]);
    const message = await assertCode("CONFLICT", () => chooseDriver({ ...context, configured: "overlay" }, operation));
    assertMatch(message, /holds 1 snapshots of vfs.*--storage-driver vfs/);
    await assertCode("UNSUPPORTED", () => chooseDriver({ ...context, factories: [named("overlay")] }, operation));
  });
});

Deno.test("options go to the driver they name; those of a driver passed over mean nothing", async () => {
  const overlay: Record<string, string>[] = [], vfs: Record<string, string>[] = [];
  await withContext([named("overlay", "no", overlay), named("vfs", undefined, vfs)], async (context, operation) => {
    const options = { "overlay.index": "on" };
    await chooseDriver({ ...context, options }, operation);
    assertEquals([overlay, vfs], [[options], [{}]]);
    await assertCode("INVALID_ARGUMENT", () => chooseDriver({ ...context, options, configured: "vfs" }, operation));
    await assertCode("INVALID_ARGUMENT", () => chooseDriver({ ...context, options: { size: "1G" } }, operation));
  });
});

rootTest("a root on an overlay falls back to vfs with a clear message", async () => {
  await using scratch = await scratchDirectory();
  const at = (name: string) => join(scratch.path, name);
  for (const name of ["lower", "upper", "work", "merged"]) await Deno.mkdir(at(name));
  const options = `lowerdir=${at("lower")},upperdir=${at("upper")},workdir=${at("work")}`;
  await commandOutput("mount", ["-t", "overlay", "-o", options, "overlay", at("merged")]);
  using store = new Store(at("db"));
  const context: DriverChoiceContext = {
    factories: [overlayFactory, vfsFactory],
    directoryOf: (name) => join(at("merged"), "drivers", name),
    store,
    engine: {} as never,
    mounter: new LibcMounter(),
    options: {},
  };
  const chosen = await chooseDriver(context, testOperation());
  await using driver = chosen.driver;
  assertEquals(driver.name, "vfs");
  assertMatch(chosen.why, /the root lies on an overlay/);
  assert(!driver.capabilities.copyOnWrite);
});
