import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "@std/path/posix";
import { type ErrorCode, LaminaError } from "../../runtime/core/errors.ts";
import { rootTest } from "../support/scratch.ts";
import { SMALL_IMAGE, TestRuntime } from "../support/test_runtime.ts";

async function refused(code: ErrorCode, body: () => Promise<unknown>, words = ""): Promise<void> {
  const error = await assertRejects(body, LaminaError, words);
  assertEquals(error.code, code, error.message);
}

rootTest("a container has a name of its own making, and is found by name, id and unique prefix", async () => {
  await using test = await TestRuntime.withImage();
  const anonymous = await test.create();
  assertMatch(anonymous.id, /^[0-9a-f]{64}$/);
  assertEquals(anonymous.name, anonymous.id.slice(0, 12));
  const named = await test.create({ name: "shop", labels: { a: "b" } });
  const inspect = (text: string) => test.runtime.containers.inspect(text, { size: true }, test.operation);
  for (const text of ["shop", named.id, named.id.slice(0, 20)]) assertEquals((await inspect(text)).id, named.id);
  assertEquals((await inspect("shop")).labels, { a: "b" });
  assert((await inspect("shop")).size!.rw_inodes >= 1);
  assertEquals(test.runtime.containers.list().map(({ id }) => id).sort(), [anonymous.id, named.id].sort());
  for (const text of ["nobody", "", "a/b", "../shop", "x".repeat(5000), "sh%op"]) {
    await refused("NOT_FOUND", () => inspect(text));
  }
});

rootTest("what cannot be created is refused by name and leaves nothing", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "taken" });
  const volume = { type: "volume" as const, source: "data", target: "/v" };
  await refused("NOT_FOUND", () => test.create({ image: "absent:1", mounts: [volume] }), "absent");
  await refused("ALREADY_EXISTS", () => test.create({ name: "taken", mounts: [volume] }), "taken");
  await refused("UNSUPPORTED", () => test.create({ storage_options: { size: "1g" }, mounts: [volume] }), "overlay");
  await refused("INVALID_ARGUMENT", () => test.create({ storage_options: { files: "5" } }), "inodes");
  await refused("INVALID_ARGUMENT", () => test.create({ mounts: [volume, { ...volume, target: "/v/" }] }), "/v");
  await refused(
    "NOT_FOUND",
    () => test.create({ mounts: [volume, { type: "bind", source: join(test.scratch.path, "absent"), target: "/b" }] }),
    "absent",
  );
  const create = (spec: unknown) => test.runtime.containers.create(spec as never, test.operation);
  const base = { image: SMALL_IMAGE };
  const wrong: unknown[] = [
    { ...base, name: "a/b" },
    { ...base, name: "" },
    { ...base, name: "-x" },
    { ...base, name: "x".repeat(129) },
    { ...base, name: "new\nline" },
    { ...base, unknown: 1 },
    { ...base, mounts: [{ ...volume, source: "../../etc" }] },
    { ...base, mounts: [{ ...volume, target: "relative" }] },
    { ...base, mounts: [{ ...volume, target: "/" }] },
    { ...base, mounts: [{ ...volume, target: "/a/../../b" }] },
    { ...base, mounts: [{ ...volume, target: "/a\0b" }] },
    { ...base, mounts: [{ type: "bind", source: "relative", target: "/x" }] },
    { ...base, mounts: [{ type: "tmpfs", target: "/x", mode: 0o10000 }] },
    { ...base, mounts: [{ type: "nfs", target: "/x" }] },
    null,
    "text",
  ];
  for (const spec of wrong) await refused("INVALID_ARGUMENT", () => create(spec));
  assertEquals(test.runtime.volumes.list(), []);
  assertEquals(test.runtime.containers.list().length, 1);
  assertEquals(await test.check(), []);
});

rootTest("of many creators of one name exactly one wins, and volumes are made once", async () => {
  await using test = await TestRuntime.withImage();
  const mounts = ["one", "two"].map((source) => ({ type: "volume" as const, source, target: `/${source}` }));
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => test.create({ name: "same", mounts })));
  assertEquals(results.filter(({ status }) => status === "fulfilled").length, 1);
  for (const result of results) {
    if (result.status === "rejected") assertEquals(result.reason.code, "ALREADY_EXISTS");
  }
  await Promise.all(Array.from({ length: 20 }, () => test.create({ mounts })));
  assertEquals(test.runtime.volumes.list().map(({ name, used_by }) => [name, used_by.length]), [["one", 21], [
    "two",
    21,
  ]]);
  assertEquals(await test.check(), []);
});

rootTest("creating and removing an image at the same time leaves either both or neither", async () => {
  await using test = await TestRuntime.withImage();
  for (let round = 0; round < 5; round++) {
    await test.importImage("short:1", [{ [`file${round}`]: "x" }]);
    const [created, removed] = await Promise.allSettled([
      test.create({ name: "racer", image: "short:1" }),
      test.runtime.images.remove("short:1", { force: false }, test.operation),
    ]);
    if (created.status === "fulfilled") {
      assertEquals(removed.status, "rejected");
      await test.mount("racer");
      await test.remove("racer", { force: true });
      await test.runtime.images.remove("short:1", { force: false }, test.operation);
    } else {
      assert(["NOT_FOUND", "CONFLICT"].includes(created.reason.code), created.reason.message);
      assertEquals(removed.status, "fulfilled");
    }
    assertEquals(await test.check(), []);
  }
});

rootTest("an aborted creation leaves nothing", async () => {
  await using test = await TestRuntime.withImage();
  const spec = { image: SMALL_IMAGE, name: "gone", mounts: [{ type: "volume", source: "data", target: "/v" }] };
  const stop = new AbortController();
  const creating = test.runtime.containers.create(spec as never, { signal: stop.signal, progress: () => {} });
  queueMicrotask(() => stop.abort());
  await refused("CANCELLED", () => creating);
  assertEquals(test.runtime.containers.list(), []);
  assertEquals(test.runtime.volumes.list(), []);
  assertEquals(await test.check(), []);
  await test.create(spec as never);
});
