import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { fuseServers } from "../../runtime/host/fuse_servers.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

/** Ends the programs behind the mounts of a root, as the OOM killer or a stopped service would. */
function killPrograms(root: string): number {
  const ours = fuseServers("fuse-overlayfs").filter(({ args }) => args[0]?.startsWith(root));
  for (const { pid } of ours) Deno.kill(pid, "SIGKILL");
  return ours.length;
}

rootTest("a root whose fuse-overlayfs was killed is mounted again, with what was written", async () => {
  await using test = await TestRuntime.withImage({ storageDriver: "aufs" });
  const { id } = await test.create({ name: "web" });
  const { rootfs } = await test.mount("web");
  await Deno.writeTextFile(join(rootfs!, "written"), "yes");
  await Deno.remove(join(rootfs!, "etc/motd"));
  assertEquals(killPrograms(test.root), 1);
  await test.restart();
  assertEquals(await Deno.readTextFile(join(rootfs!, "written")), "yes");
  assertEquals(Array.from(Deno.readDirSync(join(rootfs!, "etc")), ({ name }) => name), ["second"]);
  assertEquals(await test.check(), []);
  assertEquals(killPrograms(test.root), 1);
  await test.mount("web");
  assertEquals(await Deno.readTextFile(join(rootfs!, "written")), "yes");
  assertEquals(killPrograms(test.root), 1);
  await test.unmount(id);
  await test.remove("web");
  assertEquals(await test.check(), []);
});

rootTest("containers, diff and commit work on the aufs driver", async () => {
  await using test = await TestRuntime.withImage({ storageDriver: "aufs" });
  await test.create({ name: "web" });
  const { rootfs } = await test.mount("web");
  await Deno.writeTextFile(join(rootfs!, "written"), "yes");
  await Deno.remove(join(rootfs!, "etc/motd"));
  const changes = await test.runtime.containers.diff("web", test.operation);
  assertEquals(changes.map(({ kind, path }) => `${kind} ${path}`), ["C /etc", "D /etc/motd", "A /written"]);
  await test.runtime.containers.commit("web", { reference: "web:2" }, test.operation);
  await test.create({ name: "copy", image: "web:2" });
  const copy = await test.mount("copy");
  assertEquals(await Deno.readTextFile(join(copy.rootfs!, "written")), "yes");
  await test.unmount("copy");
  await test.unmount("web");
  assertEquals(await test.check({ deep: true }), []);
});
