/** What the verbs mean, without a look into the trees. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { SnapshotFilter } from "../../drivers/storage/port.ts";
import { assertFails, type ContractCase } from "./support/contract_case.ts";
import { keyOf } from "./support/driver_fixture.ts";

/** See the head of the file. */
export const lifecycleCases: readonly ContractCase[] = [
  {
    name: "an active snapshot becomes a committed one",
    async run(f) {
      await f.prepare("work");
      const active = await f.stat("work");
      assertEquals([active.kind, active.parent, active.labels], ["active", undefined, {}]);
      assert(active.createdAt_ms <= Date.now() && active.createdAt_ms === active.updatedAt_ms);
      await f.commit("layer", "work");
      await assertFails("NOT_FOUND", () => f.stat("work"));
      const committed = await f.stat("layer");
      assertEquals([committed.kind, committed.createdAt_ms], ["committed", active.createdAt_ms]);
      assert(committed.updatedAt_ms >= active.updatedAt_ms);
    },
  },
  {
    name: "a snapshot remembers its parent by name",
    async run(f) {
      await f.prepare("a");
      await f.commit("base", "a");
      await f.prepare("b", "base");
      await f.view("v", "base");
      assertEquals((await f.stat("b")).parent, keyOf("base"));
      assertEquals((await f.stat("v")).parent, keyOf("base"));
      assertEquals((await f.stat("v")).kind, "view");
    },
  },
  {
    name: "a key can be used again after its snapshot was removed or committed",
    async run(f) {
      for (let round = 0; round < 3; round++) {
        await f.prepare("key");
        await f.remove("key");
      }
      await f.prepare("key");
      await f.commit("first", "key");
      await f.prepare("key", "first");
      await f.commit("second", "key");
      assertEquals(await f.keys(), ["first", "second"]);
      await f.remove("second");
      await f.prepare("second", "first");
      assertEquals((await f.stat("second")).kind, "active");
    },
  },
  {
    name: "keys and names share one namespace",
    async run(f) {
      await f.prepare("one");
      await assertFails("ALREADY_EXISTS", () => f.prepare("one"));
      await assertFails("ALREADY_EXISTS", () => f.view("one"));
      await f.commit("layer", "one");
      await assertFails("ALREADY_EXISTS", () => f.prepare("layer"));
      await assertFails("ALREADY_EXISTS", () => f.view("layer"));
      await f.prepare("two");
      const error = await assertFails("ALREADY_EXISTS", () => f.commit("layer", "two"));
      assertStringIncludes(error.message, '"layer"');
      await assertFails("ALREADY_EXISTS", () => f.commit("two", "two"));
      assertEquals((await f.stat("two")).kind, "active");
    },
  },
  {
    name: "only a committed snapshot can be a parent",
    async run(f) {
      await f.prepare("active");
      await f.view("view");
      for (const parent of ["active", "view"]) {
        await assertFails("CONFLICT", () => f.prepare("child", parent));
        await assertFails("CONFLICT", () => f.view("child", parent));
      }
      await assertFails("NOT_FOUND", () => f.prepare("child", "absent"));
      await assertFails("NOT_FOUND", () => f.view("child", "absent"));
      assertEquals(await f.keys(), ["active", "view"]);
    },
  },
  {
    name: "only an active snapshot can be committed",
    async run(f) {
      await f.prepare("a");
      await f.commit("layer", "a");
      await f.view("view", "layer");
      await assertFails("CONFLICT", () => f.commit("other", "view"));
      await assertFails("CONFLICT", () => f.commit("other", "layer"));
      await assertFails("NOT_FOUND", () => f.commit("other", "absent"));
    },
  },
  {
    name: "a committed snapshot has no mounts",
    async run(f) {
      await f.prepare("a");
      await f.commit("layer", "a");
      await assertFails("CONFLICT", () => f.driver.mounts(keyOf("layer")));
      await assertFails("NOT_FOUND", () => f.driver.mounts(keyOf("absent")));
    },
  },
  {
    name: "prepare and view return the mounts that mounts returns later, without a target",
    async run(f) {
      const prepared = await f.prepare("a");
      assertEquals(prepared, await f.driver.mounts(keyOf("a")));
      assertEquals(prepared.map(({ target }) => target), prepared.map(() => ""));
      await f.commit("layer", "a");
      assertEquals(await f.view("v", "layer"), await f.driver.mounts(keyOf("v")));
      assertEquals(await f.prepare("b", "layer"), await f.driver.mounts(keyOf("b")));
    },
  },
  {
    name: "a snapshot with children is not removed, and says which",
    async run(f) {
      await f.prepare("a");
      await f.commit("base", "a");
      await f.view("child-view", "base");
      await f.prepare("child", "base");
      const error = await assertFails("CONFLICT", () => f.remove("base"));
      assertStringIncludes(error.message, '"child-view", "child"');
      await f.remove("child-view");
      await assertFails("CONFLICT", () => f.remove("base"));
      await f.remove("child");
      await f.remove("base");
      assertEquals(await f.keys(), []);
    },
  },
  {
    name: "what does not exist is not found",
    async run(f) {
      await assertFails("NOT_FOUND", () => f.remove("absent"));
      await assertFails("NOT_FOUND", () => f.stat("absent"));
      await assertFails("NOT_FOUND", () => f.driver.usage(keyOf("absent"), f.operation));
      await assertFails("NOT_FOUND", () => f.driver.update(keyOf("absent"), {}));
      await assertFails("NOT_FOUND", () => f.changes("absent"));
    },
  },
  {
    name: "update replaces the labels and nothing else; empty values remove",
    async run(f) {
      await f.driver.prepare(keyOf("a"), undefined, { labels: { one: "1", two: "2" } }, f.operation);
      const before = await f.stat("a");
      assertEquals(before.labels, { one: "1", two: "2" });
      const updated = await f.driver.update(keyOf("a"), { two: "", three: "3" });
      assertEquals(updated, await f.stat("a"));
      assertEquals(updated, { ...before, labels: { three: "3" }, updatedAt_ms: updated.updatedAt_ms });
      assert(updated.updatedAt_ms >= before.updatedAt_ms);
      await f.commit("layer", "a", { committed: "yes" });
      assertEquals((await f.stat("layer")).labels, { committed: "yes" });
      assertEquals((await f.driver.update(keyOf("layer"), { later: "x" })).labels, { later: "x" });
    },
  },
  {
    name: "walk yields what the filter says, in the order of making",
    async run(f) {
      await f.driver.prepare(keyOf("a/1"), undefined, { labels: { team: "red", tier: "db" } }, f.operation);
      await f.commit("base", "a/1", { team: "red", tier: "db" });
      await f.driver.prepare(keyOf("a/2"), keyOf("base"), { labels: { team: "blue" } }, f.operation);
      await f.driver.view(keyOf("a/3"), keyOf("base"), { labels: { team: "red" } }, f.operation);
      await f.prepare("b_1");
      const walk = async (filter?: SnapshotFilter) =>
        (await Array.fromAsync(f.driver.walk(filter))).map(({ key }) => String(key));
      assertEquals(await walk(), ["base", "a/2", "a/3", "b_1"]);
      assertEquals(await walk({ kind: "committed" }), ["base"]);
      assertEquals(await walk({ kind: "view" }), ["a/3"]);
      assertEquals(await walk({ parent: "base" }), ["a/2", "a/3"]);
      assertEquals(await walk({ parent: "" }), ["base", "b_1"]);
      assertEquals(await walk({ keyPrefix: "a/" }), ["a/2", "a/3"]);
      // Not a pattern: `_` and `%` stand for themselves.
      assertEquals(await walk({ keyPrefix: "b%" }), []);
      assertEquals(await walk({ keyPrefix: "a_" }), []);
      assertEquals(await walk({ labels: { team: "red" } }), ["base", "a/3"]);
      assertEquals(await walk({ labels: { tier: "" } }), ["base"]);
      assertEquals(await walk({ labels: { team: "red", tier: "web" } }), []);
      assertEquals(await walk({ kind: "view", parent: "base", labels: { team: "red" } }), ["a/3"]);
    },
  },
  {
    name: "walk goes on while snapshots come and go",
    async run(f) {
      for (let i = 0; i < 5; i++) await f.view(`v${i}`);
      const seen: string[] = [];
      for await (const { key } of f.driver.walk()) {
        seen.push(key);
        await f.remove(key);
      }
      assertEquals(seen, ["v0", "v1", "v2", "v3", "v4"]);
      assertEquals(await f.keys(), []);
    },
  },
  {
    name: "rows of the caller appear and disappear in the commit of the snapshot, or nothing does",
    async run(f) {
      const note = (key: string) => (tx: { run: (sql: string, ...params: string[]) => unknown }) => {
        tx.run("INSERT INTO settings (key, value) VALUES (?, ?)", key, "x");
      };
      const notes = () =>
        f.store.all<{ key: string }>("SELECT key FROM settings WHERE value = 'x' ORDER BY key").map(({ key }) => key);
      await f.driver.prepare(keyOf("a"), undefined, { alongside: note("a") }, f.operation);
      await f.driver.view(keyOf("v"), undefined, { alongside: note("v") }, f.operation);
      assertEquals(notes(), ["a", "v"]);
      const refuse = () => {
        throw new LaminaError("CONFLICT", "not now");
      };
      await assertFails("CONFLICT", () => f.driver.prepare(keyOf("b"), undefined, { alongside: refuse }, f.operation));
      await assertFails("CONFLICT", () => f.driver.view(keyOf("w"), undefined, { alongside: refuse }, f.operation));
      await assertFails("CONFLICT", () => f.driver.remove(keyOf("a"), f.operation, { alongside: refuse }));
      assertEquals(await f.keys(), ["a", "v"]);
      assertEquals(await f.driver.check({ repair: false }, f.operation), []);
      await f.driver.remove(keyOf("a"), f.operation, {
        alongside: (tx) => tx.run("DELETE FROM settings WHERE key = 'a'"),
      });
      assertEquals([await f.keys(), notes()], [["v"], ["v"]]);
    },
  },
  {
    name: "of many that want one key, one gets it and the others leave nothing",
    async run(f) {
      const results = await Promise.allSettled(Array.from({ length: 12 }, () => f.prepare("wanted")));
      assertEquals(results.filter(({ status }) => status === "fulfilled").length, 1);
      for (const result of results) {
        if (result.status === "rejected") assertEquals((result.reason as LaminaError).code, "ALREADY_EXISTS");
      }
      await f.driver.cleanup(f.operation);
      assertEquals(await f.driver.check({ repair: false }, f.operation), []);
      assertEquals((await f.leftovers()).length, 1);
    },
  },
  {
    name: "an operation that is cancelled before it began leaves nothing",
    async run(f) {
      const cancelled = { ...f.operation, signal: AbortSignal.abort() };
      await assertFails("CANCELLED", () => f.driver.prepare(keyOf("a"), undefined, {}, cancelled));
      assertEquals(await f.keys(), []);
      await f.prepare("a");
      await assertRejects(() => f.driver.commit(keyOf("l"), keyOf("a"), {}, cancelled));
      assertEquals((await f.stat("a")).kind, "active");
      await f.driver.cleanup(f.operation);
      assertEquals((await f.leftovers()).length, 1);
    },
  },
  {
    name: "a size that the driver cannot enforce is refused, never ignored",
    async run(f) {
      if (f.driver.capabilities.quota) return;
      const error = await assertFails(
        "UNSUPPORTED",
        () => f.driver.prepare(keyOf("a"), undefined, { size_bytes: 1 << 20 }, f.operation),
      );
      assertStringIncludes(error.message, "1048576 bytes");
      assertEquals(await f.keys(), []);
    },
  },
  {
    name: "what was acknowledged is there after a restart",
    async run(f) {
      await f.layer("base", undefined, (root) => Deno.writeTextFile(`${root}/file`, "text"));
      await f.prepare("work", "base");
      await f.edit("work", (root) => Deno.writeTextFile(`${root}/mine`, "mine"));
      await f.restart();
      assertEquals(await f.keys(), ["base", "work"]);
      await f.edit("work", async (root) => {
        assertEquals(await Deno.readTextFile(`${root}/file`) + await Deno.readTextFile(`${root}/mine`), "textmine");
      });
    },
  },
  {
    name: "a driver is not retired while it has snapshots; afterwards its place takes it anew",
    async run(f) {
      await f.layer("base", undefined, (root) => Deno.writeTextFile(`${root}/x`, "x"));
      const error = await assertFails("CONFLICT", () => f.driver.retire(f.operation));
      assert(error.message.includes('"base"'), error.message);
      await f.look("base", async (root) => assertEquals(await Deno.readTextFile(`${root}/x`), "x"));
      await f.remove("base");
      await f.driver.retire(f.operation);
      await f.driver[Symbol.asyncDispose]();
      await f.restart();
      await f.mounted(await f.prepare("again"), (root) => Deno.writeTextFile(`${root}/y`, "y"));
      assertEquals(await f.driver.check({ repair: false }, f.operation), []);
    },
  },
  {
    name: "closing twice is closing once; a closed driver changes nothing any more",
    async run(f) {
      await f.prepare("a");
      await f.driver[Symbol.asyncDispose]();
      await f.driver[Symbol.asyncDispose]();
      await assertFails("UNAVAILABLE", () => f.prepare("b"));
      await assertFails("UNAVAILABLE", () => f.remove("a"));
    },
  },
];
