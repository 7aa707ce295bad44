import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { lockOf, pruneCache, staleNames } from "./prune_cache.ts";

const current = { kernelVersion: "6.1.0-56-cloud-amd64", keys: ["0".repeat(16), "1".repeat(16)] };
const [plain, zfs, old] = ["0", "1", "2"].map((digit) => `guest-${digit.repeat(16)}`) as [string, string, string];
const modules = "zfs-6.1.0-56-cloud-amd64.tar.zst", oldModules = "zfs-6.1.0-40-cloud-amd64.tar.zst";

Deno.test("images of other recipes, other kernels' modules and what was left half made are stale, and nothing else", () => {
  const names = [plain, zfs, modules, "deno-dir", `${old}.lock`, "guest-notes", "zfs.txt", "guest-123"];
  assertEquals(staleNames(names, current), []);
  const stale: Array<[string, string]> = [
    [old, old],
    [`${old}.77.building`, old],
    [`${plain}.78.building`, plain],
    [oldModules, oldModules],
    [`${modules}.new`, modules],
    ["zfs-build-1a2b", modules],
  ];
  assertEquals(staleNames(stale.map(([name]) => name), current).map(({ name, of }) => [name, of]), stale);
});

Deno.test("what is stale is deleted, but not while somebody uses it", async () => {
  const cache = await Deno.makeTempDir();
  try {
    const busy = "guest-3333333333333333";
    for (const name of [plain, old, busy, "keep"]) {
      await Deno.mkdir(join(cache, name));
      await Deno.writeTextFile(join(cache, name, "root.ext4"), "x");
    }
    await Deno.writeTextFile(join(cache, oldModules), "x");
    const names = () => [...Deno.readDirSync(cache)].map(({ name }) => name).filter((name) => !name.endsWith(".lock"));
    {
      using lock = await Deno.open(lockOf(join(cache, busy)), { create: true, write: true });
      await lock.lock(false);
      await pruneCache(cache, current);
      assertEquals(names().sort(), [plain, busy, "keep"].sort());
    }
    await pruneCache(cache, current);
    assertEquals(names().sort(), [plain, "keep"].sort());
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
});
