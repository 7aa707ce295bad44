import { assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { testOperation } from "../support/scratch.ts";
import { layer, layoutOf, stored, streamOfBytes, tarOf } from "./support/archives.ts";
import { type ImageRoot, imageRoot, NOTHING } from "./support/image_root.ts";

const base = layer("etc/base", "base");
const one = layer("etc/one", "one");
const two = layer("etc/two", "two");

async function archive(root: ImageRoot, layers: Uint8Array[], name: string): Promise<string> {
  const path = `${root.work}/${name.replace(":", "-")}.tar`;
  await Deno.writeFile(path, layoutOf(layers, name).tar());
  return path;
}

Deno.test("imports at the same time that share layers unpack each once", async () => {
  await using root = await imageRoot();
  const paths = [];
  for (let i = 0; i < 8; i++) paths.push(await archive(root, [base, one, layer("etc/own", `${i}`)], `image${i}:1`));
  const results = await Promise.all(paths.map((path) => root.images.import({ path }, {}, testOperation())));
  assertEquals(root.driver.applied.length, new Set(root.driver.applied).size);
  assertEquals(results.reduce((sum, { images }) => sum + images[0]!.layers_unpacked, 0), 10);
  const left = await root.leftovers();
  assertEquals([left.layers.length, left.intents], [10, 0]);
});

Deno.test("imports of the same image at the same time make it once", async () => {
  await using root = await imageRoot();
  const path = await archive(root, [base, one, two], "web:1");
  const results = await Promise.all(
    Array.from({ length: 5 }, () => root.images.import({ path }, {}, testOperation())),
  );
  assertEquals(results.filter(({ images }) => images[0]!.already_present).length, 4);
  assertEquals(root.driver.applied.length, 3);
});

Deno.test("an image of many layers is unpacked several at a time, within bounds, in any order of their ends", async () => {
  await using root = await imageRoot();
  const layers = Array.from({ length: 120 }, (_, i) => layer(`etc/${i}`, `${i}`));
  const path = await archive(root, layers, "deep:1");
  await root.images.import({ path }, {}, testOperation());
  assertEquals(root.images.inspect("deep:1").layer_list.length, 120);
  assertEquals(root.driver.mostAtOnce > 1 && root.driver.mostAtOnce <= 4 * navigator.hardwareConcurrency, true);
});

Deno.test("many imports with common and own layers never wait for each other for ever", async () => {
  await using root = await imageRoot();
  const layers = Array.from({ length: 12 }, (_, i) => layer(`etc/${i}`, `${i}`));
  const paths = [];
  for (let i = 0; i < 12; i++) paths.push(await archive(root, [...layers.slice(0, i), one, two], `image${i}:1`));
  await Promise.all(paths.reverse().map((path) => root.images.import({ path }, {}, testOperation(120_000))));
  assertEquals(root.images.list().length, 12);
});

Deno.test("an import that is aborted in the middle leaves nothing", async () => {
  for (const at of [1, 2, 3]) {
    await using root = await imageRoot();
    const path = await archive(root, [base, one, two], "web:1");
    const abort = new AbortController();
    let commits = 0;
    root.driver.beforeCommit = () => {
      if (++commits === at) abort.abort(new DOMException("enough", "AbortError"));
      return Promise.resolve();
    };
    const operation = { ...testOperation(), signal: abort.signal };
    const error = await assertRejects(() => root.images.import({ path }, {}, operation), LaminaError);
    assertEquals(error.code, "CANCELLED");
    assertEquals(await root.leftovers(), NOTHING);
    assertEquals(root.images.list(), []);
  }
});

Deno.test("an import that fails leaves the layers that another import has begun to use", async () => {
  await using root = await imageRoot();
  const good = await archive(root, [base, one], "good:1");
  const bad = await archive(root, [base, two], "bad:1");
  const shared = Promise.withResolvers<void>();
  root.driver.beforeCommit = async (name) => {
    if (name !== root.driver.applied[0]) {
      // Both are past the common layer; the one that made it fails.
      await shared.promise;
      if (name === badTop) throw new LaminaError("RESOURCE_EXHAUSTED", "disk full");
    }
  };
  let badTop = "";
  const failing = root.images.import({ path: bad }, {}, {
    ...testOperation(),
    progress: () => {},
  });
  failing.catch(() => {});
  while (root.driver.applied.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  badTop = root.driver.applied[1]!;
  const working = root.images.import({ path: good }, {}, testOperation());
  // The common layer is there before either goes on.
  while (root.driver.applied.length < 3 || root.driver.snapshots.size < 1) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  shared.resolve();
  await assertRejects(() => failing, LaminaError, "disk full");
  const result = await working;
  assertEquals([result.images[0]!.layers_unpacked, result.images[0]!.layers_shared], [1, 1]);
  const left = await root.leftovers();
  assertEquals([left.layers.length, left.snapshots.length, left.recipes.length, left.intents], [2, 2, 2, 0]);
});

Deno.test("an import whose layer fails elsewhere unpacks it from its own archive", async () => {
  await using root = await imageRoot();
  const first = await archive(root, [base, one], "first:1");
  const second = await archive(root, [base, two], "second:1");
  let fail = true;
  root.driver.beforeCommit = () => {
    if (!fail) return Promise.resolve();
    fail = false;
    return Promise.reject(new LaminaError("RESOURCE_EXHAUSTED", "disk full"));
  };
  const [a, b] = await Promise.allSettled(
    [first, second].map((path) => root.images.import({ path }, {}, testOperation())),
  );
  assertEquals([a!.status, b!.status].sort(), ["fulfilled", "rejected"]);
  assertEquals(root.images.list().length, 1);
  assertEquals((await root.leftovers()).layers.length, 2);
});

Deno.test("removal and collection at the same time as an import never take what it needs", async () => {
  await using root = await imageRoot();
  const path = await archive(root, [base, one, two], "web:1");
  for (let i = 0; i < 10; i++) {
    const importing = root.images.import({ path }, {}, testOperation());
    const collecting = root.images.collectGarbage(testOperation());
    const removing = (async () => {
      await Promise.resolve();
      try {
        await root.images.remove("web:1", { force: true }, testOperation());
      } catch (error) {
        if (!(error instanceof LaminaError)) throw error;
      }
    })();
    await Promise.all([importing, collecting, removing]);
    const there = root.images.list().length;
    await root.images.collectGarbage(testOperation());
    assertEquals((await root.leftovers()).layers.length, 3 * there);
  }
});

Deno.test("a rootfs tar that is imported twice at the same time makes one layer", async () => {
  await using root = await imageRoot();
  const rootfs = tarOf({ "etc/passwd": "x" });
  const importing = (name: string) =>
    root.images.import({ stream: streamOfBytes(stored(rootfs, "gzip")) }, { reference: name }, testOperation());
  const results = await Promise.all([importing("a"), importing("b")]);
  assertEquals(results.map(({ images }) => images[0]!.layers_unpacked).sort(), [0, 1]);
  const left = await root.leftovers();
  assertEquals([left.layers.length, left.recipes.length, left.intents], [1, 1, 0]);
  assertEquals(root.images.inspect("a").references, ["a:latest", "b:latest"]);
});

Deno.test("a rootfs tar and an image with the same layer at the same time share it", async () => {
  for (let i = 0; i < 5; i++) {
    await using root = await imageRoot();
    const path = await archive(root, [base], "web:1");
    await Promise.all([
      root.images.import({ path }, {}, testOperation()),
      root.images.import({ stream: streamOfBytes(base) }, { reference: "rootfs" }, testOperation()),
    ]);
    const left = await root.leftovers();
    assertEquals([left.layers.length, left.snapshots.length, left.recipes.length, left.intents], [1, 1, 1, 0]);
  }
});

Deno.test("a stream that fails or is aborted leaves nothing and is cancelled", async () => {
  await using root = await imageRoot();
  const bytes = layoutOf([base, layer("big", crypto.randomUUID().repeat(20_000))], "web:1", "none").tar();
  for (const kind of ["fails", "aborted"]) {
    let cancelled = false;
    const abort = new AbortController();
    let at = 0;
    const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        controller.enqueue(bytes.slice(at, at += 10_000));
        if (at < 400_000) return;
        if (kind === "fails") controller.error(new Error("the client went away"));
        else abort.abort();
      },
      cancel() {
        cancelled = true;
      },
    }, { highWaterMark: 0 });
    const error = await assertRejects(
      () => root.images.import({ stream }, {}, { ...testOperation(), signal: abort.signal }),
      LaminaError,
    );
    assertEquals(error.code, kind === "fails" ? "INTERNAL" : "CANCELLED");
    assertEquals(cancelled, kind === "aborted");
    assertEquals(await root.leftovers(), NOTHING);
  }
});

Deno.test("a stream that gives nothing any more does not hold an aborted import", async () => {
  await using root = await imageRoot();
  const bytes = layoutOf([base, layer("big", "x".repeat(600_000))], "web:1", "none").tar();
  for (const given_bytes of [0, 5_000, 500_000]) {
    let cancelled = false;
    let gave = false;
    const abort = new AbortController();
    const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        if (!gave && given_bytes > 0) controller.enqueue(bytes.slice(0, given_bytes));
        else setTimeout(() => abort.abort(), 10);
        gave = true;
      },
      cancel() {
        cancelled = true;
      },
    }, { highWaterMark: 0 });
    const operation = { ...testOperation(), signal: abort.signal };
    const error = await assertRejects(() => root.images.import({ stream }, {}, operation), LaminaError);
    assertEquals([error.code, cancelled], ["CANCELLED", true]);
    assertEquals(await root.leftovers(), NOTHING);
  }
});
