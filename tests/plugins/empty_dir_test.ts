import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { mountAtTarget, readMountTable } from "../../runtime/host/mount_table.ts";
import { tmpfsKnowsNoswap } from "../../runtime/host/tmpfs_options.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { modeOf, namesIn, PluginStage } from "./stage.ts";

rootTest("an emptyDir is a directory for everybody that keeps its content through set-ups and restarts", async () => {
  await using stage = await PluginStage.open();
  const spec = stage.spec("cache", { emptyDir: { medium: "" } });
  const path = await stage.setUp(spec);
  assertEquals(await modeOf(path), 0o777);
  await Deno.writeTextFile(join(path, "file"), "kept");
  await Deno.chmod(path, 0o700);
  await stage.restart();
  await stage.setUp(spec);
  assertEquals(await Deno.readTextFile(join(path, "file")), "kept");
  assertEquals(await modeOf(path), 0o700, "the pod's own change of the mode stays");
  assertEquals(await namesIn(stage.layout.staging), []);
});

rootTest("an emptyDir goes with all that is in it, and no link leads the deletion astray", async () => {
  await using stage = await PluginStage.open();
  const outside = join(stage.layout.root, "outside");
  await Deno.mkdir(outside);
  await Deno.writeTextFile(join(outside, "precious"), "");
  const spec = stage.spec("cache", { emptyDir: {} });
  const path = await stage.setUp(spec);
  await Deno.mkdir(join(path, "deep/er"), { recursive: true });
  await Deno.writeTextFile(join(path, "deep/er/file"), "");
  await Deno.symlink(outside, join(path, "link"));
  assertEquals(await stage.tearDown(spec), "nothing");
  await stage.plugins.settled();
  assertEquals(await namesIn(stage.layout.trash), []);
  assertEquals(await namesIn(outside), ["precious"]);
  assertEquals(await stage.tearDown(spec), "nothing", "again");
});

rootTest("an emptyDir with somebody else's mount in it is not deleted, and the mount is named", async () => {
  await using stage = await PluginStage.open();
  const spec = stage.spec("cache", { emptyDir: {} });
  const path = await stage.setUp(spec);
  const inside = join(path, "mnt");
  await Deno.mkdir(inside);
  await Deno.writeTextFile(join(path, "file"), "");
  await stage.mounter.mount([{ type: "tmpfs", source: "test", target: inside, options: [] }], stage.operation);
  const request = { name: "cache", workloadUid: "u", path };
  const error = await assertRejects(() => stage.plugin(spec).tearDown(request, stage.operation), LaminaError);
  assertEquals(error.code, "CONFLICT");
  assertStringIncludes(error.message, inside);
  assertEquals(await namesIn(path), ["file", "mnt"]);
  await stage.mounter.unmount([inside], stage.operation);
  assertEquals(await stage.tearDown(spec), "nothing");
});

rootTest(
  "an emptyDir in memory is a tmpfs of the limit's size that is never swapped out where the kernel can",
  async () => {
    await using stage = await PluginStage.open();
    const spec = stage.spec("cache", { emptyDir: { medium: "Memory", sizeLimit: "8Mi" } });
    const path = await stage.setUp(spec);
    await stage.setUp(spec);
    const mounted = mountAtTarget(readMountTable(), path)!;
    assertEquals([mounted.type, mounted.superOptions.includes("size=8192k")], ["tmpfs", true], mounted.superOptions);
    assertEquals(mounted.superOptions.includes("noswap"), tmpfsKnowsNoswap());
    assertEquals(await modeOf(path), 0o777);
    await Deno.writeFile(join(path, "some"), new Uint8Array(1 << 20));
    const usage = await stage.plugin(spec).usage!(path, stage.operation);
    assertEquals([usage.used_bytes, usage.capacity_bytes, usage.available_bytes], [1 << 20, 8 << 20, 7 << 20]);
    await assertRejects(() => Deno.writeFile(join(path, "much"), new Uint8Array(9 << 20)), Error, "No space left");
    assertEquals(await stage.tearDown(spec), "nothing");
  },
);

rootTest("memory of a pod is no larger than what its containers may use", async () => {
  await using stage = await PluginStage.open();
  const spec = stage.spec("cache", { emptyDir: { medium: "Memory", sizeLimit: "1Gi" } });
  const limited = (memory: string) => ({ name: memory.toLowerCase(), resources: { limits: { memory } } });
  stage.pod = { ...stage.pod, spec: { containers: [limited("4Mi"), limited("2Mi")] } };
  const path = await stage.setUp(spec);
  assertStringIncludes(mountAtTarget(readMountTable(), path)!.superOptions, "size=6144k");
  await stage.tearDown(spec);
});

rootTest("huge pages are refused, and a file at the volume's place, too", async () => {
  await using stage = await PluginStage.open();
  const huge = stage.spec("cache", { emptyDir: { medium: "HugePages-2Mi" } });
  await assertRejects(() => stage.setUp(huge), LaminaError, "the medium HugePages-2Mi (huge pages) is not supported");
  const spec = stage.spec("cache", { emptyDir: {} });
  await Deno.writeTextFile(stage.path(spec), "");
  const error = await assertRejects(() => stage.setUp(spec), LaminaError);
  assertEquals(error.code, "CONFLICT");
  assertEquals(await namesIn(stage.layout.staging), []);
});

rootTest("a limit that nothing here enforces is told, and the use is", async () => {
  await using stage = await PluginStage.open();
  const spec = stage.spec("cache", { emptyDir: { sizeLimit: "1Mi" } });
  const path = await stage.setUp(spec);
  assertEquals(stage.warnings.length, 1);
  assertStringIncludes(stage.warnings[0]!, "its sizeLimit of 1Mi is not enforced: ");
  await Deno.writeFile(join(path, "much"), new Uint8Array(3 << 20));
  const usage = await stage.plugin(spec).usage!(path, stage.operation);
  assertEquals([usage.used_bytes >= 3 << 20, usage.capacity_bytes, usage.inodes_used], [true, undefined, 2]);
  await stage.tearDown(spec);
});

rootTest("on btrfs with quotas a limit is enforced, reported, and leaves with the volume", async () => {
  await using scratch = await scratchDirectory();
  const image = join(scratch.path, "image"), mnt = join(scratch.path, "mnt");
  await Deno.mkdir(mnt);
  await commandOutput("truncate", ["-s", "256M", image]);
  await commandOutput("mkfs.btrfs", ["-q", image]);
  await commandOutput("mount", ["-o", "loop", image, mnt]);
  await commandOutput("btrfs", ["quota", "enable", mnt]);
  {
    await using stage = await PluginStage.open(mnt);
    const spec = stage.spec("cache", { emptyDir: { sizeLimit: "16Mi" } });
    const path = await stage.setUp(spec);
    assertEquals([stage.warnings, await modeOf(path)], [[], 0o777]);
    await Deno.writeFile(join(path, "some"), crypto.getRandomValues(new Uint8Array(65536)));
    const { code, stderr } = await runCommand("dd", ["if=/dev/urandom", `of=${path}/much`, "bs=1M", "count=32"]);
    assertEquals([code, stderr.includes("Disk quota exceeded")], [1, true], stderr);
    const usage = await stage.plugin(spec).usage!(path, stage.operation);
    assertEquals(usage.capacity_bytes, 16 << 20);
    await stage.restart();
    assertEquals(await stage.tearDown(spec), "nothing");
    await stage.plugins.settled();
    assertEquals(await namesIn(stage.layout.trash), []);
  }
  await commandOutput("umount", [mnt]);
});

rootTest("on a full disk a volume is refused, and nothing is left of it", async () => {
  await using scratch = await scratchDirectory();
  // Hardly an inode, no space: directories are the last thing that fits.
  await commandOutput("mount", ["-t", "tmpfs", "-o", "size=1m,nr_inodes=12", "test", scratch.path]);
  await using stage = await PluginStage.open(scratch.path);
  const spec = stage.spec("cache", { emptyDir: {} });
  await Deno.mkdir(dirname(stage.path(spec)), { recursive: true });
  for (let i = 0;; i++) {
    const made = await Deno.mkdir(join(scratch.path, `fill${i}`)).then(() => true, () => false);
    if (!made) break;
  }
  const error = await assertRejects(() => stage.setUp(spec), LaminaError);
  assertEquals([error.code, await namesIn(stage.layout.staging)], ["RESOURCE_EXHAUSTED", []]);
  await assertRejects(() => Deno.lstat(stage.path(spec)), Deno.errors.NotFound);
  await Deno.remove(join(scratch.path, "fill0"));
  await stage.setUp(spec);
  assertEquals(await stage.tearDown(spec), "nothing");
  await stage.plugins.settled();
});

rootTest(
  "a tree of many files is gone for its pod at once, and from the disk soon after, or at the next start",
  async () => {
    await using stage = await PluginStage.open();
    const spec = stage.spec("cache", { emptyDir: {} });
    const path = await stage.setUp(spec);
    await commandOutput("sh", [
      "-c",
      'cd "$0" && for d in $(seq 50); do mkdir $d; (cd $d; seq 200 | xargs touch); done',
      path,
    ]);
    assertEquals(await stage.tearDown(spec), "nothing");
    const going = await namesIn(stage.layout.trash);
    assertEquals([going.length, ...going.map((name) => stage.plugins.isRemoving(join(stage.layout.trash, name)))], [
      1,
      true,
    ]);
    // What runs is given up with the process.
    await stage.restart();
    const left = await namesIn(stage.layout.trash);
    assertEquals(left.length <= 1, true);
    for (const name of left) assertEquals(stage.plugins.isRemoving(join(stage.layout.trash, name)), false);
    for (const name of left) await stage.engine.removeTree(join(stage.layout.trash, name), stage.operation);
    assertEquals(await namesIn(stage.layout.trash), []);
  },
);
