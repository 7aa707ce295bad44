import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { ErrorCode } from "../../runtime/core/errors.ts";
import type { MountRequest } from "../../runtime/core/model/mount.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { currentMountTable, mountAtTarget } from "../../runtime/host/mount_table.ts";
import { openBeneath } from "../../runtime/host/rootfs_path.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

const sh = (script: string, ...args: string[]) => commandOutput("sh", ["-ec", script, ...args]);

async function refused(code: ErrorCode, says: string, body: () => Promise<unknown>): Promise<void> {
  const error = await assertRejects(body, LaminaError);
  assertEquals(error.code, code, error.message);
  assertStringIncludes(error.message, says);
}

async function canWrite(directory: string): Promise<boolean> {
  try {
    await Deno.writeTextFile(join(directory, "probe"), "");
    await Deno.remove(join(directory, "probe"));
    return true;
  } catch {
    return false;
  }
}

rootTest("a bind shows what is mounted below its source or not, read-only as far as is asked for", async () => {
  await using test = await TestRuntime.withImage();
  const host = test.hostDirectory("host");
  await Deno.mkdir(join(host, "below"));
  await sh(`mount -t tmpfs below "$0/below"`, host);
  try {
    const table: ReadonlyArray<readonly [Partial<MountRequest>, string, boolean, boolean]> = [
      [{}, "tmpfs", true, true],
      [{ read_only: true }, "tmpfs", false, false],
      [{ recursive: "disabled" }, "", true, true],
      [{ recursive: "disabled", read_only: true }, "", false, false],
      [{ recursive: "writable", read_only: true }, "tmpfs", false, true],
      [{ recursive: "readonly", read_only: true }, "tmpfs", false, false],
    ];
    for (const [more, below, top, inside] of table) {
      const mount = { type: "bind", source: host, target: "/host", ...more } as MountRequest;
      await test.create({ name: "c", mounts: [mount] });
      const { rootfs } = await test.mount("c");
      const at = join(rootfs, "host");
      const said = JSON.stringify(more);
      assertEquals(mountAtTarget(currentMountTable(), join(at, "below"))?.type ?? "", below, said);
      assertEquals([await canWrite(at), await canWrite(join(at, "below"))], [top, inside], said);
      assertEquals(await test.check(), [], said);
      await test.unmount("c");
      await test.remove("c");
      assert(await canWrite(join(host, "below")), "the host's own mount is as it was");
    }
  } finally {
    await sh(`umount "$0/below"`, host);
  }
  for (const recursive of ["writable", "readonly"] as const) {
    const mount = { type: "bind", source: host, target: "/host", recursive } as const;
    await refused("INVALID_ARGUMENT", "read_only", () => test.create({ mounts: [mount] }));
  }
});

rootTest(
  "mounts travel between host and container as far as is asked for, and unmounting takes nothing of the host",
  async () => {
    await using test = await TestRuntime.withImage();
    const shared = test.hostDirectory("shared");
    await sh(
      `mount --bind "$0" "$0" && mount --make-private "$0" && mount --make-shared "$0" && mkdir "$0/h" "$0/c"`,
      shared,
    );
    const isMount = (path: string) => mountAtTarget(currentMountTable(), path) !== undefined;
    try {
      const table = [["rprivate", false, false], ["rslave", true, false], ["rshared", true, true]] as const;
      for (const [propagation, down, up] of table) {
        await test.create({ name: "c", mounts: [{ type: "bind", source: shared, target: "/s", propagation }] });
        const { rootfs } = await test.mount("c");
        await sh(`mount -t tmpfs h "$0/h" && mount -t tmpfs c "$1/c"`, shared, join(rootfs, "s"));
        assertEquals(isMount(join(rootfs, "s/h")), down, `${propagation}: from the host`);
        assertEquals(isMount(join(shared, "c")), up, `${propagation}: to the host`);
        await sh(`umount "$0/c"`, join(rootfs, "s"));
        await test.unmount("c");
        assert(isMount(join(shared, "h")), `${propagation}: the host's mount went with the container`);
        await sh(`umount "$0/h"`, shared);
        await test.remove("c");
      }
    } finally {
      await sh(`umount -R "$0"`, shared);
    }
    const plain = test.hostDirectory("plain");
    await sh(`mount --bind "$0" "$0" && mount --make-private "$0"`, plain);
    try {
      await test.create({ name: "d", mounts: [{ type: "bind", source: plain, target: "/s", propagation: "rshared" }] });
      await refused("CONFLICT", "not shared", () => test.mount("d"));
      assertEquals(await test.check(), []);
    } finally {
      await sh(`umount "$0"`, plain);
    }
  },
);

rootTest("a subpath of a volume or a host directory is shown, and none leads out of it", async () => {
  await using test = await TestRuntime.withImage();
  const outside = test.hostDirectory("outside");
  await Deno.writeTextFile(join(outside, "secret"), "secret\n");
  const { mountpoint } = await test.runtime.volumes.create({ name: "data" }, test.operation);
  await sh(
    `cd "$0" && mkdir -p a/b && echo in > a/b/file && echo file > a/file && ln -s a/b inside && ln -s "$1" absolute &&
     ln -s ../../../../../../.. climbing && ln -s loop loop && ln -s .. a/up`,
    mountpoint,
    outside,
  );
  const shown = async (mount: MountRequest, path: string) => {
    await test.create({ name: "c", mounts: [mount] });
    try {
      const { rootfs } = await test.mount("c");
      assertEquals(await test.check(), []);
      await test.mount("c");
      return await Deno.readTextFile(join(rootfs, path));
    } finally {
      await test.remove("c", { force: true });
    }
  };
  const volume = (subpath: string): MountRequest => ({ type: "volume", source: "data", target: "/s", subpath });
  assertEquals(await shown(volume("a/b"), "s/file"), "in\n");
  assertEquals(await shown(volume("a/file"), "s"), "file\n");
  assertEquals(await shown(volume("inside"), "s/file"), "in\n");
  assertEquals(await shown(volume("a/up/a"), "s/file"), "file\n");
  assertEquals(await shown({ type: "bind", source: mountpoint, target: "/s", subpath: "a" }, "s/file"), "file\n");
  for (const subpath of ["absolute", "absolute/secret", "climbing", "climbing/etc"]) {
    await refused("INVALID_ARGUMENT", "leads out", () => shown(volume(subpath), "s"));
  }
  await refused("INVALID_ARGUMENT", "symbolic links", () => shown(volume("loop"), "s"));
  await refused("NOT_FOUND", "must exist", () => shown(volume("absent"), "s"));
  await refused("CONFLICT", "no directory", () => shown(volume("a/file/x"), "s"));
  for (const subpath of ["../x", "a/../../x", "/etc", "", "a\0b", "x".repeat(10_000)]) {
    await refused("INVALID_ARGUMENT", "subpath", () => test.create({ mounts: [volume(subpath)] }));
  }
  await refused(
    "INVALID_ARGUMENT",
    "named volume",
    () => test.create({ mounts: [{ type: "volume", target: "/s", subpath: "a" }] }),
  );
  // Exchanged for a link after the container was made.
  await test.create({ name: "later", mounts: [volume("a/b")] });
  await sh(`cd "$0" && rm -r a/b && ln -s "$1" a/b`, mountpoint, outside);
  await refused("INVALID_ARGUMENT", "leads out", () => test.mount("later"));
  assertEquals(await test.check(), []);
  using opened = openBeneath(mountpoint, "a/file");
  assertEquals(opened.type, "file");
});

rootTest("a tmpfs has the options, the size, the mode and the owner that are asked for", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({
    name: "c",
    mounts: [
      {
        type: "tmpfs",
        target: "/a",
        size_bytes: 1 << 20,
        mode: 0o750,
        options: ["exec", "uid=12", "gid=34", "nr_inodes=64"],
      },
      { type: "tmpfs", target: "/b", read_only: true },
    ],
  });
  const { rootfs } = await test.mount("c");
  const a = mountAtTarget(currentMountTable(), join(rootfs, "a"))!;
  assert(
    !a.options.includes("noexec") && a.options.includes("nosuid") && a.options.includes("nodev"),
    a.options.join(),
  );
  const { mode, uid, gid } = await Deno.stat(join(rootfs, "a"));
  assertEquals([mode! & 0o7777, uid, gid], [0o750, 12, 34]);
  await assertRejects(() => Deno.writeFile(join(rootfs, "a/big"), new Uint8Array(2 << 20)));
  assertEquals(await canWrite(join(rootfs, "b")), false);
  for (const options of [["context=x"], ["uid=root"], ["size=1m"], ["bogus"]]) {
    await refused(
      "INVALID_ARGUMENT",
      "tmpfs option",
      () => test.create({ mounts: [{ type: "tmpfs", target: "/x", options }] }),
    );
  }
  const both: MountRequest = { type: "tmpfs", target: "/x", options: ["exec", "noexec"] };
  await refused("INVALID_ARGUMENT", "exclude", () => test.create({ mounts: [both] }));
});

rootTest(
  "host paths that are missing, files, sockets or loops of links are bound or refused as what they are",
  async () => {
    await using test = await TestRuntime.withImage();
    const host = test.hostDirectory("host");
    await sh(
      `cd "$0" && echo text > file && mkfifo pipe && ln -s loop-b loop-a && ln -s loop-a loop-b && ln -s absent dangling && ln -s file link`,
      host,
    );
    using _listener = Deno.listen({ transport: "unix", path: join(host, "socket") });
    const bind = (name: string, more: Partial<MountRequest> = {}) =>
      ({ type: "bind", source: join(host, name), target: `/t/${name}`, ...more }) as MountRequest;
    await test.create({ name: "c", mounts: ["file", "socket", "pipe", "link"].map((name) => bind(name)) });
    const { rootfs } = await test.mount("c");
    assertEquals(await Deno.readTextFile(join(rootfs, "t/file")), "text\n");
    assertEquals(await Deno.readTextFile(join(rootfs, "t/link")), "text\n");
    assertEquals((await Deno.stat(join(rootfs, "t/socket"))).isSocket, true);
    await refused("NOT_FOUND", "Make it first", () => test.create({ mounts: [bind("absent")] }));
    await refused("NOT_FOUND", "Make it first", () => test.create({ mounts: [bind("dangling")] }));
    await refused("INVALID_ARGUMENT", "symbolic links", () => test.create({ mounts: [bind("loop-a")] }));
    await refused(
      "INVALID_ARGUMENT",
      "symbolic links",
      () => test.create({ mounts: [bind("loop-a", { create_source: true })] }),
    );
    await refused(
      "CONFLICT",
      "no directory",
      () => test.create({ mounts: [bind("file/below", { create_source: true })] }),
    );
    await refused("INVALID_ARGUMENT", "source", () => test.create({ mounts: [bind("x".repeat(10_000))] }));
    await refused("INVALID_ARGUMENT", "name is too long", () => test.create({ mounts: [bind("x".repeat(300))] }));
    await refused("INVALID_ARGUMENT", "absolute path", () => test.create({ mounts: [bind("a\0b")] }));
    for (const source of ["a/b", "a\0b", "x".repeat(10_000), "-a", "..", "a"]) {
      await refused(
        "INVALID_ARGUMENT",
        "mounts",
        () => test.create({ mounts: [{ type: "volume", source, target: "/v" }] }),
      );
    }
    const { made } = { made: bind("made/deep", { create_source: true }) };
    await test.create({ name: "d", mounts: [made] });
    await test.mount("d");
    assertEquals((await Deno.stat(join(host, "made/deep"))).mode! & 0o7777, 0o755);
    await test.remove("d", { force: true, volumes: true });
    assert((await Deno.stat(join(host, "made/deep"))).isDirectory);
    assertEquals(await test.check(), []);
  },
);
