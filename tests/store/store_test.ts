import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { LaminaError } from "../../runtime/core/errors.ts";
import { runCommand } from "../../runtime/host/command.ts";
import { SCHEMA_VERSION } from "../../runtime/store/migrations.ts";
import { Store, type Transaction } from "../../runtime/store/store.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";

function put(key: string, value = key) {
  return (tx: Transaction) => tx.run("INSERT INTO settings (key, value) VALUES (?, ?)", key, value);
}

function keys(store: Store): string[] {
  return store.all<{ key: string }>("SELECT key FROM settings ORDER BY key").map((row) => row.key);
}

/** Commits in a write-ahead log: frames whose header tells the size of the database after them. */
async function commits(database: string): Promise<number> {
  const log = new DataView((await Deno.readFile(`${database}-wal`)).buffer);
  const frame_bytes = 24 + log.getUint32(8);
  let count = 0;
  for (let at = 32; at + frame_bytes <= log.byteLength; at += frame_bytes) if (log.getUint32(at + 4) !== 0) count++;
  return count;
}

Deno.test("an empty root gets the whole schema, readable by its owner only, with durable commits", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/lamina.db`;
  using store = new Store(path);
  assertEquals(store.get("PRAGMA user_version"), { user_version: SCHEMA_VERSION });
  assertEquals(store.get("PRAGMA journal_mode"), { journal_mode: "wal" });
  assertEquals(store.get("PRAGMA synchronous"), { synchronous: 2 });
  assertEquals(store.get("PRAGMA foreign_keys"), { foreign_keys: 1 });
  for (const name of ["lamina.db", "lamina.db-wal"]) {
    assertEquals((await Deno.stat(`${scratch.path}/${name}`)).mode! & 0o077, 0, name);
  }
  // Nothing of it is mapped: on a full copy-on-write file system that ends a process.
  assertEquals([...Deno.readDirSync(scratch.path)].some(({ name }) => name.endsWith("-shm")), false);
  const tables = store.all<{ name: string; strict: number }>(
    "SELECT name, strict FROM pragma_table_list WHERE schema='main'",
  );
  for (const { name, strict } of tables) if (!name.startsWith("sqlite_")) assertEquals(strict, 1, name);
});

Deno.test("what was written is there after the store was opened again", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/lamina.db`;
  {
    using store = new Store(path);
    await store.write(put("a"));
  }
  using again = new Store(path);
  assertEquals(keys(again), ["a"]);
});

Deno.test("writes of one turn share one commit, and each gets its own value", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/lamina.db`;
  using store = new Store(path);
  const before = await commits(path);
  const values = await Promise.all(Array.from({ length: 100 }, (_, i) =>
    store.write((tx) => {
      put(`k${i}`)(tx);
      return tx.all("SELECT key FROM settings").length;
    })));
  assertEquals(values, Array.from({ length: 100 }, (_, i) => i + 1));
  assertEquals(await commits(path) - before, 1);
  await store.write(put("later"));
  assertEquals(await commits(path) - before, 2);
});

Deno.test("a write that fails keeps nothing of its own and touches no other of its group", async () => {
  await using scratch = await scratchDirectory();
  using store = new Store(`${scratch.path}/lamina.db`);
  const own = new LaminaError("CONFLICT", "refused");
  const results = await Promise.allSettled([
    store.write(put("a")),
    store.write((tx) => {
      put("b")(tx);
      put("a")(tx);
    }),
    store.write((tx) => {
      put("c")(tx);
      throw own;
    }),
    store.write((tx) => {
      put("d")(tx);
      tx.run("THIS IS NO SQL");
    }),
    store.write(put("e")),
  ]);
  assertEquals(results.map((result) => result.status), ["fulfilled", "rejected", "rejected", "rejected", "fulfilled"]);
  const reasons = results.map((result) => result.status === "rejected" ? result.reason : undefined);
  assertEquals([reasons[1].code, reasons[2], reasons[3].code], ["INTERNAL", own, "INTERNAL"]);
  assertStringIncludes(reasons[1].message, "UNIQUE");
  assertEquals(keys(store), ["a", "e"]);
});

Deno.test("a write asked for from within a write comes in the next commit", async () => {
  await using scratch = await scratchDirectory();
  using store = new Store(`${scratch.path}/lamina.db`);
  let inner: Promise<unknown> | undefined;
  await store.write((tx) => {
    put("outer")(tx);
    inner = store.write(put("inner"));
  });
  await inner;
  assertEquals(keys(store), ["inner", "outer"]);
});

Deno.test("rows that others need cannot be deleted", async () => {
  await using scratch = await scratchDirectory();
  using store = new Store(`${scratch.path}/lamina.db`);
  const insert = "INSERT INTO layers VALUES (?, 'd', ?, 0, 0, 0, 0, 0)";
  await store.write((tx) => {
    tx.run(insert, "base", null);
    tx.run(insert, "top", "base");
  });
  await assertRejects(() => store.write((tx) => tx.run("DELETE FROM layers WHERE chain_id = 'base'")), LaminaError);
  assertEquals(store.all("SELECT chain_id FROM layers").length, 2);
});

Deno.test("closing commits what was asked for; afterwards nothing is written", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/lamina.db`;
  const store = new Store(path);
  const last = store.write(put("last"));
  store[Symbol.dispose]();
  store[Symbol.dispose]();
  await last;
  assertEquals((await assertRejects(() => store.write(put("late")), LaminaError)).code, "UNAVAILABLE");
  using again = new Store(path);
  assertEquals(keys(again), ["last"]);
});

Deno.test("a database of a newer program is refused and left as it is", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/lamina.db`;
  new Store(path)[Symbol.dispose]();
  const raw = new DatabaseSync(path);
  raw.exec(`PRAGMA user_version=${SCHEMA_VERSION + 7}`);
  raw.close();
  const error = assertThrows(() => new Store(path), LaminaError);
  assertEquals(error.code, "UNSUPPORTED");
  assertEquals(error.details, { found: SCHEMA_VERSION + 7, supported: SCHEMA_VERSION });
  const after = new DatabaseSync(path);
  assertEquals({ ...after.prepare("PRAGMA user_version").get() }, { user_version: SCHEMA_VERSION + 7 });
  after.close();
});

Deno.test("a damaged database is data loss, when it is opened or when the damage is met", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/lamina.db`;
  await Deno.writeTextFile(path, "this is no database ".repeat(1000));
  assertEquals(assertThrows(() => new Store(path), LaminaError).code, "DATA_LOSS");
  await Deno.remove(path);
  {
    using store = new Store(path);
    await Promise.all(Array.from({ length: 500 }, (_, i) => store.write(put(`key${i}`, "v".repeat(500)))));
  }
  // Everything behind the schema's page becomes noise.
  const bytes = await Deno.readFile(path);
  for (let at = 4096; at < bytes.length; at += 61) bytes[at] = bytes[at]! ^ 0xff;
  await Deno.writeFile(path, bytes);
  const error = assertThrows(() => {
    using store = new Store(path);
    keys(store);
  }, LaminaError);
  assertEquals(error.code, "DATA_LOSS");
  assertStringIncludes(error.message, "damaged");
});

Deno.test("a missing directory, and a directory in the file's place, are clear errors", async () => {
  await using scratch = await scratchDirectory();
  await Deno.mkdir(`${scratch.path}/lamina.db`);
  for (const path of [`${scratch.path}/none/lamina.db`, `${scratch.path}/lamina.db`]) {
    const error = assertThrows(() => new Store(path), LaminaError);
    assertStringIncludes(error.message, path);
  }
});

rootTest("on a full disk a write fails and changes nothing, a deletion succeeds, then all goes on", async () => {
  await using scratch = await scratchDirectory();
  await runCommand("mount", ["-t", "tmpfs", "-o", "size=4m", "x", scratch.path]);
  using store = new Store(`${scratch.path}/lamina.db`);
  await store.write(put("first"));
  await runCommand("sh", ["-c", `cat /dev/zero > ${scratch.path}/filler`]);
  let failure: LaminaError | undefined;
  const written = ["first"];
  for (let i = 0; failure === undefined && i < 1000; i++) {
    try {
      await store.write(put(`k${i}`, "v".repeat(5000)));
      written.push(`k${i}`);
    } catch (error) {
      failure = error as LaminaError;
    }
  }
  assertEquals(failure?.code, "RESOURCE_EXHAUSTED");
  assertEquals(keys(store), written.sort());
  await store.write((tx) => tx.run("DELETE FROM settings WHERE key = 'first'"), { frees: true });
  assert(!keys(store).includes("first"));
  await Deno.remove(`${scratch.path}/filler`);
  await store.write(put("again"));
  assert(keys(store).includes("again"));
});

rootTest("a root on a read-only file system is unavailable", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/lamina.db`;
  await runCommand("mount", ["-t", "tmpfs", "x", scratch.path]);
  {
    using store = new Store(path);
    await store.write(put("a"));
  }
  await runCommand("mount", ["-o", "remount,ro", scratch.path]);
  assertEquals(assertThrows(() => new Store(path), LaminaError).code, "UNAVAILABLE");
});

Deno.test("what was acknowledged survives kill -9 at any moment", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/lamina.db`;
  const program = new URL("./support/acknowledging_writer.ts", import.meta.url).pathname;
  let acknowledged = -1;
  for (const after of [1, 7, 40]) {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", program, path, String(acknowledged + 1)],
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    let seen = 0, text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const lines = text.split("\n");
      text = lines.pop()!;
      for (const line of lines) acknowledged = Number(line);
      seen += lines.length;
      if (seen >= after) child.kill("SIGKILL");
    }
    assertEquals((await child.status).signal, "SIGKILL");
    using store = new Store(path);
    assertEquals(store.get("PRAGMA integrity_check"), { integrity_check: "ok" });
    const found = store.all<{ value: string }>("SELECT value FROM settings ORDER BY CAST(value AS INTEGER)");
    assert(found.length > acknowledged, `${acknowledged + 1} acknowledged, ${found.length} found`);
    assertEquals(found.map((row) => Number(row.value)), found.map((_, i) => i));
    acknowledged = found.length - 1;
  }
});
