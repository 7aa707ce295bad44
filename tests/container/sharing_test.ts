/** What holds when many make, use and remove the same volumes at the same time. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { isLaminaError } from "../../runtime/core/errors.ts";
import type { ErrorCode } from "../../runtime/core/errors.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

const FILES = 20;
const files = Object.fromEntries(Array.from({ length: FILES }, (_, i) => [`many/f${i}`, `${i}\n`]));

async function opened(): Promise<TestRuntime> {
  const test = await TestRuntime.withImage();
  await test.importImage("many:1", [files]);
  return test;
}

/** Success, or one of the failures that the race allows. */
async function either<T>(promise: Promise<T>, ...codes: ErrorCode[]): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isLaminaError(error, ...codes)) return undefined;
    throw error;
  }
}

/** Every volume that a container has is there, whole; nothing else is. */
async function prove(test: TestRuntime, round: number): Promise<void> {
  const volumes = new Map(test.runtime.volumes.list().map((volume) => [volume.name, volume]));
  for (const container of test.runtime.containers.list()) {
    for (const mount of container.mounts) {
      if (mount.type !== "volume") continue;
      const volume = volumes.get(mount.source);
      assert(
        volume !== undefined && volume.used_by.includes(container.name),
        `round ${round}: ${container.name} has no ${mount.source}`,
      );
      assertEquals([...Deno.readDirSync(volume.mountpoint)].length, FILES, `round ${round}: ${mount.source}`);
    }
  }
  assertEquals(await test.check(), [], `round ${round}`);
}

async function clear(test: TestRuntime): Promise<void> {
  await test.runtime.containers.prune({ volumes: true }, test.operation);
  await test.runtime.volumes.prune({ all: true }, test.operation);
  assertEquals(test.runtime.volumes.list(), []);
}

rootTest("fifty containers share one new volume, and each sees what any of them writes", async () => {
  await using test = await opened();
  const mounts = [{ type: "volume" as const, source: "shared", target: "/many" }];
  const made = await Promise.all(
    Array.from(
      { length: 50 },
      (_, i) =>
        test.runtime.containers.create({ image: "many:1", name: `c${i}`, mounts }, test.operation, {
          mount: i % 5 === 0,
        }),
    ),
  );
  assertEquals(test.runtime.volumes.inspect("shared").used_by.length, 50);
  const mounted = made.filter(({ mounted }) => mounted);
  await Deno.writeTextFile(join(mounted[0]!.rootfs, "many/new"), "seen\n");
  for (const { rootfs } of mounted) assertEquals(await Deno.readTextFile(join(rootfs, "many/new")), "seen\n");
  await Promise.all(made.map(({ name }) => test.remove(name, { force: true, volumes: true })));
  assertEquals(test.runtime.volumes.list().map(({ name, used_by }) => [name, used_by]), [["shared", []]]);
  assertEquals(await test.check(), []);
});

rootTest("fifty creators of one name make one container and one set of volumes", async () => {
  await using test = await opened();
  for (let round = 0; round < 3; round++) {
    const spec = {
      image: "many:1",
      name: "only",
      mounts: [{ type: "volume" as const, target: "/many" }, {
        type: "volume" as const,
        source: "named",
        target: "/n",
      }],
    };
    const made = await Promise.all(
      Array.from({ length: 50 }, () => either(test.create(spec), "ALREADY_EXISTS")),
    );
    assertEquals(made.filter((container) => container !== undefined).length, 1);
    assertEquals(test.runtime.volumes.list().length, 2);
    assertEquals(await test.check(), []);
    await clear(test);
  }
});

rootTest("removing races with creating: a container has its volumes whole, or is refused", async () => {
  await using test = await opened();
  for (let round = 0; round < 25; round++) {
    const mounts = [{ type: "volume" as const, source: "v1", target: "/many" }];
    await test.create({ image: "many:1", name: "holder", mounts });
    await Promise.all([
      test.remove("holder", { volumes: true }),
      either(test.runtime.volumes.remove("v1", test.operation), "CONFLICT", "NOT_FOUND"),
      either(test.create({ image: "many:1", name: "a", mounts }), "CONFLICT"),
      either(test.runtime.volumes.remove("v1", test.operation), "CONFLICT", "NOT_FOUND"),
      either(test.create({ image: "many:1", name: "b", mounts }), "CONFLICT"),
    ]);
    await prove(test, round);
    await clear(test);
  }
});

rootTest("pruning races with creating: nothing that a container has is pruned", async () => {
  await using test = await opened();
  for (let round = 0; round < 25; round++) {
    const create = (name: string, source?: string) =>
      test.create({
        image: "many:1",
        name,
        mounts: [{ type: "volume", target: "/many", ...(source ? { source } : {}) }],
      });
    await create("old");
    await Promise.all([
      create("a", "v1"),
      test.runtime.volumes.prune({ all: true }, test.operation),
      create("b"),
      test.runtime.containers.prune({ volumes: true }, test.operation),
      create("c", "v1"),
      test.runtime.volumes.prune({ all: true }, test.operation),
    ]);
    await prove(test, round);
    await clear(test);
  }
});

rootTest(
  "rm -v races with --volumes-from: the volume stays whole with the borrower, or the borrower is refused",
  async () => {
    await using test = await opened();
    let borrowed = 0;
    for (let round = 0; round < 25; round++) {
      await test.create({ image: "many:1", name: "lender", mounts: [{ type: "volume", target: "/many" }] });
      const borrow = () => either(test.create({ name: "borrower", volumes_from: ["lender"] }), "NOT_FOUND", "CONFLICT");
      const remove = () => test.remove("lender", { volumes: true });
      await Promise.all(round % 2 === 0 ? [borrow(), remove()] : [remove(), borrow()]);
      borrowed += test.runtime.containers.list().length;
      await prove(test, round);
      assertEquals(test.runtime.volumes.list().length, test.runtime.containers.list().length, `round ${round}`);
      await clear(test);
    }
    assert(borrowed > 0, "no borrower ever won");
  },
);
