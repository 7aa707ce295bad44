import { assertEquals, assertRejects } from "@std/assert";
import { beginIntent, endIntent, openIntents, updateIntent } from "../../runtime/store/journal.ts";
import { Store } from "../../runtime/store/store.ts";
import { scratchDirectory } from "../support/scratch.ts";

Deno.test("intents that were not ended are found at the next start, oldest first, with their last data", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/lamina.db`;
  {
    using store = new Store(path);
    const first = await store.write((tx) => beginIntent(tx, "image.import", "web", { layers: ["a"] }));
    const second = await store.write((tx) => beginIntent(tx, "volume.create", "data", {}));
    const third = await store.write((tx) => beginIntent(tx, "container.remove", "c1", { nested: { deep: [1, null] } }));
    assertEquals([first.kind, first.object, first.data], ["image.import", "web", { layers: ["a"] }]);
    const updated = await store.write((tx) => updateIntent(tx, first, { layers: ["a", "b\n\u{1f600}"] }));
    assertEquals([updated.id, updated.data], [first.id, { layers: ["a", "b\n\u{1f600}"] }]);
    await store.write((tx) => endIntent(tx, second));
    await store.write((tx) => endIntent(tx, second));
    assertEquals(third.id > second.id, true);
  }
  using store = new Store(path);
  assertEquals(
    openIntents(store).map(({ kind, object, data }) => ({ kind, object, data })),
    [
      { kind: "image.import", object: "web", data: { layers: ["a", "b\n\u{1f600}"] } },
      { kind: "container.remove", object: "c1", data: { nested: { deep: [1, null] } } },
    ],
  );
});

Deno.test("an intent stands and falls with the write that it is a part of", async () => {
  await using scratch = await scratchDirectory();
  using store = new Store(`${scratch.path}/lamina.db`);
  await assertRejects(() =>
    store.write((tx) => {
      beginIntent(tx, "image.remove", "web", {});
      throw new Error("the rows could not be written");
    })
  );
  assertEquals(openIntents(store), []);
  const intent = await store.write((tx) => beginIntent(tx, "image.remove", "web", {}));
  await assertRejects(() =>
    store.write((tx) => {
      endIntent(tx, intent);
      throw new Error("the rows could not be written");
    })
  );
  assertEquals(openIntents(store), [intent]);
});

Deno.test("an intent's number is never given twice", async () => {
  await using scratch = await scratchDirectory();
  using store = new Store(`${scratch.path}/lamina.db`);
  const first = await store.write((tx) => beginIntent(tx, "image.remove", "a", {}));
  await store.write((tx) => endIntent(tx, first));
  const second = await store.write((tx) => beginIntent(tx, "image.remove", "b", {}));
  assertEquals(second.id, first.id + 1);
});
