import { assert, assertEquals } from "@std/assert";
import type { MountRequest } from "../../runtime/core/model/mount.ts";
import { planMounts } from "../../runtime/container/mount_plan.ts";
import { runtimeSpecParts } from "../../runtime/container/runtime_spec.ts";
import { containerMounts, places } from "./support/container_mounts.ts";

const parts = (mounts: MountRequest[], image = {}) =>
  runtimeSpecParts("/r/c/rootfs", false, planMounts(containerMounts(mounts), places), image);

Deno.test("the runtime spec has the kernel's file systems in an order that works, and no volumes", () => {
  const { mounts, root } = parts([{ type: "tmpfs", target: "/data", mode: 0o1777, read_only: false }]);
  assertEquals(mounts.map(({ destination }) => destination), [
    "/proc",
    "/dev",
    "/dev/pts",
    "/dev/shm",
    "/dev/mqueue",
    "/sys",
  ]);
  assertEquals(root, { path: "/r/c/rootfs", readonly: false });
});

Deno.test("a volume that the runtime's own mounts would cover is listed once more, from its source", () => {
  const { mounts } = parts([
    { type: "bind", source: "/host/shm", target: "/dev/shm", read_only: false, create_source: false },
    { type: "bind", source: "/host/x", target: "/dev/x/y", read_only: true, create_source: false },
  ]);
  assertEquals(mounts.filter(({ destination }) => destination === "/dev/shm").length, 1);
  assertEquals(mounts.slice(-2).map(({ destination, type, source }) => ({ destination, type, source })), [
    { destination: "/dev/shm", type: "bind", source: "/host/shm" },
    { destination: "/dev/x/y", type: "bind", source: "/host/x" },
  ]);
  assert(mounts.at(-1)!.options.includes("ro"));
});

Deno.test("the process comes from the image: entrypoint before command, a PATH where it has none", () => {
  const image = { Entrypoint: ["/init"], Cmd: ["serve", "-v"], Env: ["A=1"], WorkingDir: "/srv", User: "1000:100" };
  assertEquals(parts([], image).process, {
    args: ["/init", "serve", "-v"],
    env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "A=1"],
    cwd: "/srv",
    user: "1000:100",
  });
  assertEquals(parts([], { Env: ["PATH=/x"], Entrypoint: null, Cmd: null }).process, {
    args: [],
    env: ["PATH=/x"],
    cwd: "/",
    user: "",
  });
});
