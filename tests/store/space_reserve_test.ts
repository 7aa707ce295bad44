import { assertEquals } from "@std/assert";
import { runCommand } from "../../runtime/host/command.ts";
import { RESERVE_BYTES, SpaceReserve } from "../../runtime/store/space_reserve.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";

Deno.test("a reserve is kept, given up once, and kept again", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/reserve`;
  const reserve = new SpaceReserve(path);
  assertEquals(reserve.release(), false);
  reserve.restore();
  const status = await Deno.stat(path);
  assertEquals([status.size, status.mode! & 0o777], [RESERVE_BYTES, 0o600]);
  assertEquals(status.blocks! * 512 >= RESERVE_BYTES, true);
  reserve.restore();
  assertEquals((await Deno.stat(path)).ino, status.ino);
  assertEquals([reserve.release(), reserve.release()], [true, false]);
});

Deno.test("a reserve of another size is made anew", async () => {
  await using scratch = await scratchDirectory();
  const path = `${scratch.path}/reserve`;
  await Deno.writeTextFile(path, "short");
  new SpaceReserve(path).restore();
  assertEquals((await Deno.stat(path)).size, RESERVE_BYTES);
});

rootTest("on a full disk half a reserve is none", async () => {
  await using scratch = await scratchDirectory();
  await runCommand("mount", ["-t", "tmpfs", "-o", "size=512k", "x", scratch.path]);
  new SpaceReserve(`${scratch.path}/reserve`).restore();
  assertEquals([...Deno.readDirSync(scratch.path)], []);
});
