import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { DatabaseSync } from "node:sqlite";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { ProgressEvent } from "../../runtime/core/operation.ts";
import { createRuntime } from "../../runtime/runtime.ts";
import { Layout } from "../image/support/archives.ts";
import { archive, dir, file, symlink } from "../layer/support/tar_builder.ts";
import { otherFileSystem } from "../contract/support/other_file_system.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";
import { filledRuntime, picture } from "./support/stage.ts";

for (const [from, to] of [["overlay", "vfs"], ["vfs", "overlay"]] as const) {
  rootTest(`everything moves from ${from} to ${to} as it is, and the old data goes`, async () => {
    await using test = await filledRuntime({ storageDriver: from });
    const before = await picture(test);
    const { layers } = test.runtime.system.info();
    const steps: ProgressEvent[] = [];
    const operation = { ...test.operation, progress: (event: ProgressEvent) => void steps.push(event) };
    const result = await test.runtime.system.migrate({ to }, operation);
    assertEquals(result, { from, to, layers, containers: 2, resumed: false });
    assert(steps.some(({ phase, total }) => phase === "layers" && total === layers));
    assert(steps.some(({ phase, id }) => phase === "containers" && id === "changed"));
    assertEquals(await picture(test), before);
    assertEquals(test.runtime.system.info().storage_driver, to);
    assertEquals(await test.check({ deep: true }), []);
    assertEquals([...Deno.readDirSync(join(test.root, "drivers"))].map(({ name }) => name), [to]);
    // The same runtime goes on with the new driver …
    await test.create({ name: "later" });
    await test.mount("later");
    await test.unmount("later");
    await test.remove("later");
    // … and the next start, told the old one, says what is up.
    await test.runtime[Symbol.asyncDispose]();
    const error = await assertRejects(() => createRuntime({ ...test.options }), LaminaError);
    assertEquals(error.code, "CONFLICT");
    assertStringIncludes(error.message, `lamina migrate --to ${from}`);
    test.runtime = await createRuntime({ ...test.options, storageDriver: "auto" });
    assertEquals(await picture(test), before);
    assertEquals(await test.check({ deep: true }), []);
  });
}

rootTest("everything moves from overlay to btrfs and back", async () => {
  const fs = await otherFileSystem("btrfs");
  if (fs === undefined) return;
  await using _fs = fs;
  await using test = await filledRuntime({ storageDriver: "overlay", root: join(fs.path, "root") });
  const before = await picture(test);
  const { layers } = test.runtime.system.info();
  for (const to of ["btrfs", "overlay"] as const) {
    const result = await test.runtime.system.migrate({ to }, test.operation);
    assertEquals([result.to, result.layers, result.containers, result.warning], [to, layers, 2, undefined]);
    assertEquals(await picture(test), before);
    assertEquals(await test.check({ deep: true }), []);
    assertEquals([...Deno.readDirSync(join(test.root, "drivers"))].map(({ name }) => name), [to]);
  }
});

for (const [from, to] of [["overlay", "vfs"], ["vfs", "overlay"]] as const) {
  rootTest(`an image whose layer writes where a lower one has a link moves from ${from} to ${to}`, async () => {
    await using test = await filledRuntime({ storageDriver: from });
    const layout = new Layout();
    const lower = archive([dir("usr"), dir("usr/bin"), file("usr/bin/sh"), symlink("bin", "usr/bin")]);
    layout.add(layout.manifest([lower, archive([file("bin/app")])]), "linked:1");
    const path = join(test.scratch.path, "linked.tar");
    await Deno.writeFile(path, layout.tar());
    await test.runtime.images.import({ path }, {}, test.operation);
    await test.create({ name: "linked", image: "linked:1" });
    const before = await picture(test);
    await test.runtime.system.migrate({ to }, test.operation);
    assertEquals(await picture(test), before);
    assertEquals(await test.check({ deep: true }), []);
  });
}

async function refusal(test: TestRuntime, to: string): Promise<LaminaError> {
  return await assertRejects(
    () => test.runtime.system.migrate({ to: to as "vfs" }, test.operation),
    LaminaError,
  );
}

rootTest("a migration that cannot be is refused by name and changes nothing", async () => {
  await using test = await filledRuntime({ storageDriver: "overlay" });
  const before = await picture(test);
  await test.mount("plain");
  const mounted = await refusal(test, "vfs");
  assertEquals([mounted.code, mounted.details.containers], ["CONFLICT", ["plain"]]);
  await test.unmount("plain");
  assertEquals((await refusal(test, "overlay")).code, "CONFLICT");
  assertEquals((await refusal(test, "nosuch")).code, "INVALID_ARGUMENT");
  assertEquals([...Deno.readDirSync(join(test.root, "drivers"))].map(({ name }) => name), ["overlay"]);
  assertEquals(await picture(test), before);
  assertEquals(await test.check(), []);
  assertEquals(await test.runtime.system.abandonMigration(test.operation), false);
});

rootTest("limits that the new driver cannot enforce are a reason to refuse, with the containers' names", async () => {
  await using test = await TestRuntime.withImage({ storageDriver: "overlay" });
  const { id } = await test.create({ name: "limited" });
  await test.runtime[Symbol.asyncDispose]();
  const db = new DatabaseSync(join(test.root, "lamina.db"));
  db.exec(`UPDATE snapshots SET limit_inodes = 50 WHERE key = 'container/${id}'`);
  db.close();
  await test.reopen();
  const error = await refusal(test, "vfs");
  assertEquals([error.code, error.details.containers], ["UNSUPPORTED", ["limited"]]);
  assertMatch(error.message, /cannot enforce the limits of limited here \(.+\)/);
  assertEquals([...Deno.readDirSync(join(test.root, "drivers"))].map(({ name }) => name), ["overlay"]);
});

rootTest(
  "a failure on the way leaves the old driver; the attempt goes on later, with what changed meanwhile",
  async () => {
    await using test = await filledRuntime({ storageDriver: "overlay" });
    const stopping = new AbortController();
    const operation = {
      signal: stopping.signal,
      progress: ({ phase, id }: ProgressEvent) => {
        if (phase === "containers" && id === "changed") stopping.abort(new LaminaError("CANCELLED", "enough"));
      },
    };
    const error = await assertRejects(() => test.runtime.system.migrate({ to: "vfs" }, operation), LaminaError);
    assertStringIncludes(error.message, "lamina migrate --to vfs");
    assertEquals(test.runtime.system.info().storage_driver, "overlay");
    assertEquals(await test.check(), ["unfinished-migration overlay to vfs"]);
    // Life goes on with the old driver.
    const { rootfs } = await test.mount("plain");
    await Deno.writeTextFile(join(rootfs, "since"), "written since\n");
    await test.unmount("plain");
    await test.create({ name: "new" });
    await test.runtime.images.remove("other:1", { force: false }, test.operation);
    await test.restart();
    const before = await picture(test);
    const doctor = await test.runtime.system.doctor(test.operation);
    assertEquals(doctor.find(({ subject }) => subject === "migration")?.status, "warning");
    const result = await test.runtime.system.migrate({ to: "vfs" }, test.operation);
    assertEquals(result, { from: "overlay", to: "vfs", layers: 2, containers: 3, resumed: true });
    assertEquals(await picture(test), before);
    assertEquals(await test.check({ deep: true }), []);
  },
);

rootTest("a migration that is given up, or repaired away, leaves no copies", async () => {
  await using test = await filledRuntime({ storageDriver: "vfs" });
  const before = await picture(test);
  const begin = async () => {
    const stopping = new AbortController();
    const progress = ({ phase }: ProgressEvent) => {
      if (phase === "containers") stopping.abort(new LaminaError("CANCELLED", "enough"));
    };
    await assertRejects(() => test.runtime.system.migrate({ to: "overlay" }, { signal: stopping.signal, progress }));
  };
  for (const give of ["abort", "repair"]) {
    await begin();
    assertEquals([...Deno.readDirSync(join(test.root, "drivers"))].length, 2);
    if (give === "abort") assertEquals(await test.runtime.system.abandonMigration(test.operation), true);
    else assertEquals(await test.check({ repair: true }), ["unfinished-migration vfs to overlay repaired"]);
    assertEquals(await test.check(), []);
    assertEquals([...Deno.readDirSync(join(test.root, "drivers"))].map(({ name }) => name), ["vfs"]);
    assertEquals(await picture(test), before);
  }
});

rootTest("nothing else begins while a root is migrated", async () => {
  await using test = await filledRuntime({ storageDriver: "overlay" });
  let refused: Promise<unknown> | undefined;
  const progress = ({ phase }: ProgressEvent) => {
    if (phase === "layers") refused ??= assertRejects(() => test.create({ name: "meanwhile" }), LaminaError, "moved");
  };
  await test.runtime.system.migrate({ to: "vfs" }, { ...test.operation, progress });
  await refused!;
  await test.create({ name: "afterwards" });
});
