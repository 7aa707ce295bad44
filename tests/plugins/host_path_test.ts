import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { mountAtTarget, readMountTable } from "../../runtime/host/mount_table.ts";
import { rootTest } from "../support/scratch.ts";
import { modeOf, namesIn, PluginStage } from "./stage.ts";

/** One of each kind in `ROOT/host`. */
async function hostFiles(stage: PluginStage): Promise<string> {
  const host = join(stage.layout.root, "host");
  await Deno.mkdir(join(host, "directory"), { recursive: true });
  await Deno.writeTextFile(join(host, "directory/inside"), "text");
  await Deno.writeTextFile(join(host, "file"), "text");
  await commandOutput("mknod", [join(host, "null"), "c", "1", "3"]);
  await commandOutput("mknod", [join(host, "disk"), "b", "7", "200"]);
  return host;
}

const FITS: Record<string, readonly string[]> = {
  "": ["directory", "file", "socket", "null", "disk"],
  Directory: ["directory"],
  DirectoryOrCreate: ["directory"],
  File: ["file"],
  FileOrCreate: ["file"],
  Socket: ["socket"],
  CharDevice: ["null"],
  BlockDevice: ["disk"],
};

rootTest("each type of a hostPath shows what it wants, and refuses everything else by name", async () => {
  await using stage = await PluginStage.open();
  const host = await hostFiles(stage);
  using _socket = Deno.listen({ transport: "unix", path: join(host, "socket") });
  const before = await namesIn(host);
  for (const [type, fitting] of Object.entries(FITS)) {
    for (const name of FITS[""]!) {
      const path = join(host, name);
      const spec = stage.spec("host", { hostPath: { path, type } });
      if (fitting.includes(name)) {
        const shown = await stage.setUp(spec);
        const [there, here] = [await Deno.stat(path), await Deno.stat(shown)];
        assertEquals([here.ino, here.mode, here.rdev], [there.ino, there.mode, there.rdev], `${type} ${name}`);
        assertEquals(await stage.tearDown(spec), "empty");
      } else {
        const error = await assertRejects(() => stage.setUp(spec), LaminaError, `its type ${type} wants `);
        assertEquals(error.code, "CONFLICT");
        assertStringIncludes(error.message, `Cannot set up the volume "host" of pod shop/web: ${path} is a`);
      }
    }
  }
  assertEquals(await namesIn(host), before);
  assertEquals(await Deno.readTextFile(join(host, "directory/inside")), "text");
});

rootTest("what is missing is made where the type says so, and stays when the pod goes", async () => {
  await using stage = await PluginStage.open();
  const host = await hostFiles(stage);
  const made: Array<[type: string, path: string, mode: number]> = [
    ["DirectoryOrCreate", "new/directory", 0o755],
    ["", "untyped", 0o755],
    ["FileOrCreate", "new/file", 0o644],
  ];
  for (const [type, name, mode] of made) {
    const path = join(host, name);
    const spec = stage.spec("host", { hostPath: { path, type } });
    await stage.setUp(spec);
    assertEquals(await modeOf(path), mode);
    assertEquals(await stage.tearDown(spec), "empty");
    assertEquals(await modeOf(path), mode, "it is the host's now");
  }
  for (const type of ["Directory", "File", "Socket", "CharDevice", "BlockDevice"]) {
    const spec = stage.spec("host", { hostPath: { path: join(host, "missing"), type } });
    const error = await assertRejects(() => stage.setUp(spec), LaminaError, "does not exist on this host");
    assertEquals(error.code, "NOT_FOUND");
  }
  const spec = stage.spec("host", { hostPath: { path: join(host, "missing/file"), type: "FileOrCreate" } });
  await assertRejects(() => stage.setUp(spec), LaminaError, "its directory does not exist");
});

rootTest("a hostPath with .. or without a slash in front is refused", async () => {
  await using stage = await PluginStage.open();
  for (const path of ["/etc/../etc", "etc", "/..", ""]) {
    const spec = stage.spec("host", { hostPath: { path, type: "" } });
    const error = await assertRejects(() => stage.setUp(spec), LaminaError, "path: ");
    assertEquals(error.code, "INVALID_ARGUMENT");
  }
});

rootTest("a hostPath through a link shows what the link leads to", async () => {
  await using stage = await PluginStage.open();
  const host = await hostFiles(stage);
  await Deno.symlink("directory", join(host, "link"));
  const spec = stage.spec("host", { hostPath: { path: join(host, "link"), type: "Directory" } });
  const path = await stage.setUp(spec);
  assertEquals(await namesIn(path), ["inside"]);
  await stage.tearDown(spec);
});

rootTest(
  "mounts below a hostPath come along, later ones too, and unmounting the volume leaves the host's",
  async () => {
    await using stage = await PluginStage.open();
    const host = await hostFiles(stage);
    const shared = join(stage.layout.root, "host");
    await stage.mounter.mount(
      [{ type: "bind", source: shared, target: shared, options: ["bind", "shared"] }],
      stage.operation,
    );
    const tmpfs = (name: string) => ({ type: "tmpfs", source: "test", target: join(host, name), options: [] });
    await Deno.mkdir(join(host, "later"));
    await stage.mounter.mount([tmpfs("directory")], stage.operation);
    await Deno.writeTextFile(join(host, "directory/mounted"), "");
    for (const mountPropagation of ["HostToContainer", "Bidirectional"]) {
      stage.pod = {
        ...stage.pod,
        spec: { containers: [{ name: "app", volumeMounts: [{ name: "host", mountPath: "/h", mountPropagation }] }] },
      };
      const spec = stage.spec("host", { hostPath: { path: host, type: "" } });
      const path = await stage.setUp(spec);
      assertEquals(await namesIn(join(path, "directory")), ["mounted"]);
      await stage.mounter.mount([tmpfs("later")], stage.operation);
      assertEquals(mountAtTarget(readMountTable(), join(path, "later"))?.type, "tmpfs");
      await stage.mounter.unmount([join(host, "later")], stage.operation);
      await stage.mounter.mount([{ ...tmpfs("later"), target: join(path, "later") }], stage.operation);
      const reached = mountAtTarget(readMountTable(), join(host, "later")) !== undefined;
      assertEquals(reached, mountPropagation === "Bidirectional");
      await stage.tearDown(spec);
      assertEquals(await namesIn(join(host, "directory")), ["mounted"], "the host's own mount");
      if (reached) await stage.mounter.unmount([join(host, "later")], stage.operation);
    }
    await stage.mounter.unmount([join(host, "directory"), host], stage.operation);
  },
);

rootTest("a read-only hostPath cannot be written to", async () => {
  await using stage = await PluginStage.open();
  const host = await hostFiles(stage);
  const spec = stage.spec("host", { hostPath: { path: host, type: "" } }, { read_only: true });
  const path = await stage.setUp(spec);
  await assertRejects(() => Deno.writeTextFile(join(path, "new"), ""), Error, "Read-only file system");
  await stage.tearDown(spec);
});
