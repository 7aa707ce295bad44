import { assertEquals } from "@std/assert";
import { parseMountInfo } from "../../runtime/core/mountinfo.ts";
import { matchMounts, placeInTable } from "../../runtime/container/mount_match.ts";
import { planMounts } from "../../runtime/container/mount_plan.ts";
import { containerMounts, places } from "./support/container_mounts.ts";

const table = parseMountInfo(`\
1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 8:2 /sub /srv rw - ext4 /dev/sdb1 rw
3 1 8:3 / /srv/disk rw - xfs /dev/sdc rw
4 1 8:4 / /srv/disk rw - xfs /dev/sdd rw
10 1 0:50 / /r/containers/x/rootfs rw - overlay overlay rw
11 10 8:1 /r/volumes/data/_data /r/containers/x/rootfs/elsewhere rw - ext4 /dev/sda1 rw
12 10 8:2 /sub/host /r/containers/x/rootfs/h rw - ext4 /dev/sdb1 rw
13 12 0:60 / /r/containers/x/rootfs/h/inner rw - tmpfs none rw
14 10 0:61 / /r/containers/x/rootfs/tmp rw - tmpfs tmpfs rw
15 10 8:4 / /r/containers/x/rootfs/mnt rw - xfs /dev/sdd rw
16 10 8:1 /etc /r/containers/x/rootfs/stranger rw - ext4 /dev/sda1 rw
`);

Deno.test("a path's place in the table is the topmost mount that holds it, and the rest", () => {
  const cases: Array<[string, string, string]> = [
    ["/etc/x", "8:1", "/etc/x"],
    ["/srv", "8:2", "/sub"],
    ["/srv/a", "8:2", "/sub/a"],
    ["/srv/disk", "8:4", "/"],
    ["/srv/disk/a b", "8:4", "/a b"],
    ["/srvx", "8:1", "/srvx"],
  ];
  for (const [path, device, root] of cases) assertEquals(placeInTable(table, path), { device, root }, path);
});

Deno.test("mounts are told by what they show: a moved target is still ours, a stranger is foreign, a bind's own mounts are not", () => {
  const specs = containerMounts([
    { type: "volume", source: "data", target: "/link", read_only: false },
    { type: "bind", source: "/srv/host", target: "/h", read_only: false, create_source: false },
    { type: "bind", source: "/srv/disk", target: "/mnt", read_only: false, create_source: false },
    { type: "tmpfs", target: "/tmp", mode: 0o1777, read_only: false },
    { type: "volume", source: "gone", target: "/gone", read_only: false },
  ]);
  const planned = planMounts(specs, places);
  const sources = planned.map(({ mount }) => mount.type === "tmpfs" ? undefined : placeInTable(table, mount.source));
  const { present, foreign } = matchMounts("/r/containers/x/rootfs", table.slice(4), planned, sources);
  assertEquals(planned.filter((_, i) => !present.has(i)).map(({ target }) => target), ["/gone"]);
  assertEquals(foreign.map(({ target }) => target), ["/r/containers/x/rootfs/stranger"]);
});

Deno.test("one volume at two targets needs two mounts", () => {
  const specs = containerMounts([
    { type: "volume", source: "data", target: "/one", read_only: false },
    { type: "volume", source: "data", target: "/elsewhere", read_only: true },
  ]);
  const planned = planMounts(specs, places);
  const sources = planned.map(({ mount }) => placeInTable(table, mount.source));
  const { present } = matchMounts("/r/containers/x/rootfs", table.slice(4, 6), planned, sources);
  assertEquals([...present].map((i) => planned[i]!.target), ["/elsewhere"]);
});
