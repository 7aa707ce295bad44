import { assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path/posix";
import { setGroup } from "../../drivers/storage/layer/set_group.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";

const request = { gid: 4711, read_only: false, onMismatch: true };

function look(path: string): string {
  const { mode, gid } = Deno.lstatSync(path);
  return `${(mode! & 0o7777).toString(8)} ${gid}`;
}

rootTest("every file and directory of a volume gets the group and its rights, links only the group", async () => {
  await using scratch = await scratchDirectory();
  const path = join(scratch.path, "volume");
  const outside = join(scratch.path, "outside");
  Deno.mkdirSync(join(path, "d"), { recursive: true, mode: 0o700 });
  Deno.writeTextFileSync(outside, "", { mode: 0o600 });
  Deno.writeTextFileSync(join(path, "d/private"), "", { mode: 0o600 });
  Deno.writeTextFileSync(join(path, "program"), "", { mode: 0o755 });
  Deno.chmodSync(join(path, "program"), 0o4755);
  Deno.symlinkSync(outside, join(path, "link"));
  assertEquals(setGroup({ path, ...request }), { changed: 5, inodes: 5 });
  assertEquals(look(path), "2770 4711");
  assertEquals(look(join(path, "d")), "2770 4711");
  assertEquals(look(join(path, "d/private")), "660 4711");
  assertEquals(look(join(path, "program")), "4775 4711");
  assertEquals(Deno.lstatSync(join(path, "link")).gid, 4711);
  assertEquals(look(outside), "600 0");
});

rootTest("a read-only group may read and enter, not write", async () => {
  await using scratch = await scratchDirectory();
  const path = join(scratch.path, "volume");
  Deno.mkdirSync(path, { mode: 0o700 });
  Deno.writeTextFileSync(join(path, "file"), "", { mode: 0o600 });
  setGroup({ path, ...request, read_only: true });
  assertEquals([look(path), look(join(path, "file"))], ["2750 4711", "640 4711"]);
});

rootTest("with the top done all is done, and with Always it is all looked at again", async () => {
  await using scratch = await scratchDirectory();
  const path = join(scratch.path, "volume");
  Deno.mkdirSync(path);
  setGroup({ path, ...request });
  Deno.writeTextFileSync(join(path, "late"), "", { mode: 0o600 });
  assertEquals(setGroup({ path, ...request }), { changed: 0, inodes: 0 });
  assertEquals(setGroup({ path, ...request, onMismatch: false }), { changed: 1, inodes: 2 });
  assertEquals(look(join(path, "late")), "660 4711");
});

rootTest("interrupted before the top, the work is not taken for done", async () => {
  await using scratch = await scratchDirectory();
  const path = join(scratch.path, "volume");
  Deno.mkdirSync(path);
  for (let i = 0; i < 5; i++) Deno.writeTextFileSync(join(path, String(i)), "");
  let steps = 0;
  assertThrows(() =>
    setGroup({ path, ...request }, {
      check: () => {
        if (++steps > 3) throw new LaminaError("CANCELLED", "enough");
      },
    }), LaminaError);
  assertEquals(Deno.statSync(path).gid, 0);
  assertEquals(setGroup({ path, ...request }).inodes, 6);
});

rootTest("a volume that is not there is named", async () => {
  await using scratch = await scratchDirectory();
  const error = assertThrows(() => setGroup({ path: join(scratch.path, "none"), ...request }), LaminaError);
  assertEquals(error.code, "NOT_FOUND");
});
