import { assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { beginIntent, openIntents } from "../../runtime/store/journal.ts";
import { testOperation } from "../support/scratch.ts";
import { configOf, layer, layoutOf, sha256, streamOfBytes } from "./support/archives.ts";
import { type ImageRoot, imageRoot } from "./support/image_root.ts";

const base = layer("etc/base", "base");
const change = layer("etc/change", "change");
const container = "c".repeat(64);

async function rootWithImage(): Promise<ImageRoot> {
  const root = await imageRoot();
  await Deno.writeFile(`${root.work}/a.tar`, layoutOf([base], "web:1").tar());
  await root.images.import({ path: `${root.work}/a.tar` }, {}, testOperation());
  root.events.length = 0;
  return root;
}

Deno.test("commit makes an image of one more layer, with history and changed config, and keeps the parent's", async () => {
  await using root = await rootWithImage();
  const image = await root.images.commit({
    parent: "web:1",
    layer: streamOfBytes(change),
    container,
    options: { reference: "web:2", author: "me", message: "it works", changes: ['CMD ["httpd"]', "ENV A=1"] },
  }, testOperation());
  assertEquals(image.references, ["web:2"]);
  assertEquals(image.layer_list.map(({ diff_id }) => diff_id), [base, change].map(sha256));
  assertEquals(image.layer_list.map(({ shared_by }) => shared_by), [2, 1]);
  const config = image.config as Record<string, unknown>;
  assertEquals(config.config, { Cmd: ["httpd"], Env: ["PATH=/bin", "A=1"] });
  assertEquals(config.author, "me");
  const [first, second] = config.history as Record<string, string>[];
  assertEquals(first?.created_by, "step 0");
  assertEquals([second?.author, second?.comment, second?.created_by], [
    "me",
    "it works",
    "lamina container commit cccccccccccc",
  ]);
  assertEquals(root.events.map(({ action, name }) => [action, name]), [["commit", "web:2"], ["tag", "web:2"]]);
  assertEquals(root.images.inspect("web:1").id, sha256(configOf([base])));
  assertEquals((await root.leftovers()).intents, 0);
});

Deno.test("commit without a reference makes an untagged image; the same changes share their layer", async () => {
  await using root = await rootWithImage();
  const commit = () =>
    root.images.commit(
      { parent: "web:1", layer: streamOfBytes(change), container, options: { changes: [] } },
      testOperation(),
    );
  const first = await commit();
  const second = await commit();
  assertEquals(first.references, []);
  assertEquals(first.layer_list[1]?.chain_id, second.layer_list[1]?.chain_id);
  assertEquals((await root.leftovers()).layers.length, 2);
});

Deno.test("commit that is refused, fails or is aborted leaves nothing and lets the stream go", async () => {
  await using root = await rootWithImage();
  const before = await root.leftovers();
  const abort = new AbortController();
  const cases = [
    { parent: "absent", changes: [], code: "NOT_FOUND", signal: testOperation().signal },
    { parent: "web:1", changes: ["RUN make"], code: "INVALID_ARGUMENT", signal: testOperation().signal },
    { parent: "web:1", changes: [], reference: "Web", code: "INVALID_ARGUMENT", signal: testOperation().signal },
    { parent: "web:1", changes: [], code: "CANCELLED", signal: abort.signal },
    { parent: "web:1", changes: [], code: "RESOURCE_EXHAUSTED", signal: testOperation().signal },
  ];
  for (const { parent, changes, reference, code, signal } of cases) {
    let cancelled = false;
    const layer = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        if (code === "CANCELLED") return abort.abort();
        controller.enqueue(change);
        controller.close();
      },
      cancel() {
        cancelled = true;
      },
    }, { highWaterMark: 0 });
    root.driver.beforeCommit = () =>
      code === "RESOURCE_EXHAUSTED"
        ? Promise.reject(new LaminaError("RESOURCE_EXHAUSTED", "disk full"))
        : Promise.resolve();
    const request = { parent, layer, container, options: { reference, changes } };
    const timer = setTimeout(() => abort.abort(), 100);
    const error = await assertRejects(
      () => root.images.commit(request, { ...testOperation(), signal }),
      LaminaError,
    );
    clearTimeout(timer);
    assertEquals(error.code, code);
    if (code !== "RESOURCE_EXHAUSTED") assertEquals(cancelled || code === "CANCELLED", true, code);
    assertEquals(await root.leftovers(), before);
  }
});

Deno.test("recover ends what a crash left of imports, commits and removals", async () => {
  await using root = await rootWithImage();
  const before = await root.leftovers();
  const stray = sha256(new TextEncoder().encode("stray"));
  root.driver.snapshots.set(stray, { tar: base, parent: before.snapshots[0] as never });
  await Deno.writeTextFile(root.layout.recipe(stray), "x");
  // Half written by a process that was killed.
  for (const name of ["new-1234", `${"c".repeat(64)}.partial`, `${"c".repeat(64)}.asides.partial`]) {
    await Deno.writeTextFile(`${root.layout.recipes}/${name}`, "x");
  }
  await root.store.write((tx) => {
    tx.run("INSERT INTO layers VALUES (?, ?, NULL, 1, 1, 1, 1, 0)", "sha256:gone", "sha256:gone");
    for (const kind of ["image.import", "container.commit", "image.remove"] as const) beginIntent(tx, kind, "x", {});
  });
  for (const intent of openIntents(root.store)) await root.images.recover(intent, testOperation());
  assertEquals(await root.leftovers(), before);
});
