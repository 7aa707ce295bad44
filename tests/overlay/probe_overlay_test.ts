import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { mountsBelow, readMountTable } from "../../runtime/host/mount_table.ts";
import { probeOverlay } from "../../overlay/probe_overlay.ts";
import { rootTest, scratchDirectory, testOperation } from "../support/scratch.ts";

rootTest("a probe tells what the kernel can do and leaves neither mounts nor files", async () => {
  await using scratch = await scratchDirectory();
  const probe = await probeOverlay(scratch.path, testOperation());
  assert(probe.supported);
  assertEquals([probe.facts.dType, probe.facts.userNamespace], [true, false]);
  assert(probe.facts.known.has("redirect_dir=nofollow"));
  assertEquals(await Array.fromAsync(Deno.readDir(scratch.path)), []);
  assertEquals(mountsBelow(readMountTable(), scratch.path), []);
});

rootTest("a root on an overlay is told apart, with what to do", async () => {
  await using scratch = await scratchDirectory();
  const at = (name: string) => join(scratch.path, name);
  for (const name of ["lower", "upper", "work", "merged"]) await Deno.mkdir(at(name));
  const options = `lowerdir=${at("lower")},upperdir=${at("upper")},workdir=${at("work")}`;
  await commandOutput("mount", ["-t", "overlay", "-o", options, "overlay", at("merged")]);
  const probe = await probeOverlay(at("merged"), testOperation());
  assert(!probe.supported);
  assertMatch(probe.reason, /lies on an overlay.*Put the root on a volume or disk/);
  assertEquals(await Array.fromAsync(Deno.readDir(at("merged"))), []);
});

rootTest("a file system whose listings tell no types is refused by that name", async () => {
  await using scratch = await scratchDirectory();
  const image = join(scratch.path, "image"), target = join(scratch.path, "fs");
  await Deno.mkdir(target);
  await commandOutput("truncate", ["-s", "32M", image]);
  await commandOutput("mkfs.ext4", ["-q", "-F", "-O", "^filetype", image]);
  await commandOutput("mount", ["-o", "loop", image, target]);
  try {
    const probe = await probeOverlay(target, testOperation());
    assert(!probe.supported);
    assertMatch(probe.reason, /does not work on ext4 here: .*listings/);
  } finally {
    await commandOutput("umount", [target]);
  }
});

rootTest("what a killed probe left is taken away by the next", async () => {
  await using scratch = await scratchDirectory();
  const left = join(scratch.path, "probe-killed");
  for (const name of ["lower", "merged"]) await Deno.mkdir(join(left, name), { recursive: true });
  await commandOutput("mount", ["--bind", join(left, "lower"), join(left, "merged")]);
  assert((await probeOverlay(scratch.path, testOperation())).supported);
  assertEquals(await Array.fromAsync(Deno.readDir(scratch.path)), []);
});
