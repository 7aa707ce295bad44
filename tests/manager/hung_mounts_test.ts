/** Servers and programs behind mounts that do not answer: their own users wait, nobody else does. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { unmountNetwork } from "../../drivers/volume/network/unmount.ts";
import type { VolumePlugin } from "../../drivers/volume/port.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { withDeadline } from "../../runtime/core/operation.ts";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { CommandMounter } from "../../runtime/host/command_mounter.ts";
import { fuseServers } from "../../runtime/host/fuse_servers.ts";
import { mountAtTarget, mountIdentityIfThere, readMountTable } from "../../runtime/host/mount_table.ts";
import type { Mounter } from "../../runtime/host/mounter.ts";
import { rootTest, testOperation } from "../support/scratch.ts";
import { pluginContract } from "./plugin_contract.ts";
import { bindPlugin, eventually, pod, RealManager, volume } from "./support/real_manager.ts";

/** `{ fuse: DIRECTORY }`: shown by a program of its own. */
function fusePlugin(mounter: Mounter = new CommandMounter()): VolumePlugin {
  return {
    name: "test/fuse",
    capabilities: { mountOptions: false, block: false, fsGroup: false, accessModes: ["ReadWriteMany"] },
    supports: ({ source }) => "fuse" in source,
    volumeId: ({ source }) => String(source.fuse),
    deviceMounter: {
      async mountDevice({ spec, path }) {
        if (mountIdentityIfThere(path)?.isRoot) return;
        await runCommand("unionfs-fuse", [String(spec.source.fuse), path]);
      },
      unmountDevice: ({ path, force }, operation) =>
        unmountNetwork(path, mounter, operation, { force, patience_ms: 500 }),
    },
    async setUp({ deviceMountPath }, { signal }) {
      // What the kernel remembers would not ask the program.
      await commandOutput("ls", [deviceMountPath!], { signal });
      return [{ type: "bind", source: deviceMountPath!, target: "", options: ["bind", "private"] }];
    },
    tearDown: () => Promise.resolve(),
  };
}

pluginContract("a volume behind a program", (directory) => {
  const source = join(directory, "source");
  Deno.mkdirSync(source, { recursive: true });
  return { plugin: fusePlugin(), spec: volume("v", { fuse: source }, { access_modes: ["ReadWriteMany"] }).spec };
});

const shared = (name: string, fuse: string) => volume(name, { fuse }, { access_modes: ["ReadWriteMany"] });

rootTest("a program that hangs keeps nobody waiting but those who come for its volume", async () => {
  await using test = await RealManager.open(() => [bindPlugin, fusePlugin()]);
  test.manager.desiredIsComplete();
  const source = test.hostDirectory("shown"), other = test.hostDirectory("other");
  const path = (await test.up("one", [shared("v", source)])).get("v")!;
  assertEquals(Deno.readTextFileSync(join(path, "file")), "shown\n");
  const { pid } = fuseServers("unionfs-fuse").find(({ args }) => args[0] === source)!;
  Deno.kill(pid, "SIGSTOP");
  try {
    test.manager.desire({ workload: pod("late"), volumes: [shared("v", source)] });
    await eventually("it is being set up", () => test.manager.operations().some(({ state }) => state === "running"));
    for (const uid of ["two", "three"]) {
      await test.up(uid, [volume("v", { bind: other })]);
      await test.down(uid);
    }
    const [operation] = test.manager.operations();
    assertEquals([operation?.name, operation?.key, operation?.state], ["volume_mount", "late/v", "running"]);
  } finally {
    Deno.kill(pid, "SIGCONT");
  }
  await test.manager.ready("late", withDeadline(testOperation(), 60_000));
  await test.down("late");
  // Down is possible without its program.
  Deno.kill(pid, "SIGSTOP");
  try {
    await test.down("one");
  } finally {
    Deno.kill(pid, "SIGCONT");
  }
  await eventually("its program ends", () => fuseServers("unionfs-fuse").every(({ args }) => args[0] !== source));
});

rootTest(
  "what does not even answer to an unmount by force is told with what to do, and goes with its owner's word",
  async () => {
    const tried: string[] = [];
    const real = new CommandMounter();
    /** As an NFS server that has gone: only out of sight is possible. */
    const mounter: Mounter = {
      name: "command",
      mount: (mounts, options) => real.mount(mounts, options),
      async unmount(targets, options) {
        tried.push(["unmount", ...options.force ? ["force"] : [], ...options.lazy ? ["lazy"] : []].join(" "));
        if (options.lazy) return await real.unmount(targets, options);
        const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeout_ms!)]);
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        throw new LaminaError("DEADLINE_EXCEEDED", "umount did not end");
      },
    };
    await using test = await RealManager.open(() => [bindPlugin, fusePlugin(mounter)]);
    test.manager.desiredIsComplete();
    const source = test.hostDirectory("shown"), other = test.hostDirectory("other");
    await test.up("one", [shared("v", source)]);
    const device = readMountTable().find(({ target }) => target.startsWith(test.layout.plugins))!.target;
    test.manager.release("one");
    const gone = withDeadline(testOperation(), 60_000);
    const error = await assertRejects(() => test.manager.gone("one", gone, { failFast: true }), LaminaError);
    assertEquals(error.code, "UNAVAILABLE");
    assertStringIncludes(error.message, `"umount -l ${device}"`);
    const [operation] = test.manager.operations();
    assertEquals([operation?.name, operation?.plugin], ["unmount_device", "test/fuse"]);
    assertStringIncludes(operation?.last_error ?? "", "Bring its server back");
    assert(
      test.events.some(({ reason, message }) => reason === "FailedUnmountDevice" && message.includes("umount -l")),
    );
    await test.up("two", [volume("v", { bind: other })]);
    await test.down("two");
    assert(!tried.some((way) => way.includes("lazy")), tried.join(", "));
    assert(mountAtTarget(readMountTable(), device) !== undefined);
    test.manager.release("one", { force: true });
    await test.manager.gone("one", withDeadline(testOperation(), 60_000));
    assertEquals(mountAtTarget(readMountTable(), device), undefined);
    assertEquals(tried.at(-1), "unmount force lazy");
    assertEquals(test.manager.operations(), []);
    await eventually("its program ends", () => fuseServers("unionfs-fuse").every(({ args }) => args[0] !== source));
  },
);
