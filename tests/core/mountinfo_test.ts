import { assertEquals } from "@std/assert";
import { mountsBelow, parseMountInfo, unescapeMountField } from "../../runtime/core/mountinfo.ts";

/** Lines as seen on real machines. */
const ugly = String.raw`
22 27 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:14 - proc proc rw
36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
41 27 0:38 / /run/user/1000 rw shared:2 master:3 propagate_from:2 unbindable - tmpfs tmpfs rw,size=2467,mode=700
50 27 0:40 /a\040b/c\011d /mnt/with\040space\012newline\134back rw - overlay over\040lay rw,lowerdir=/l\0541:/l2,upperdir=/u
51 27 0:41 /sub//deleted /mnt/gone//deleted rw - ext4 /dev/vda1 rw
52 27 0:42 / /mnt/no-source rw - tmpfs  rw
53 27 0:43 mnt:[4026532281] /run/ns rw - nsfs nsfs rw
54 27 0:44 / /mnt/dash-in-name rw - fuse.my-fs - rw
55 27 0:45 / /mnt/é\303\251\1x rw - tmpfs caf\303\251 rw
56 27 0:46 / /mnt/#\043hash rw,relatime shared:9 - cifs //server/share\040name rw,username=u
nonsense
57 27 0:47 / /mnt/cut
58 27 0:48 / /mnt/cut2 rw -
`;

Deno.test("ugly lines of the mount table are read as the kernel means them", () => {
  const entries = parseMountInfo(ugly);
  assertEquals(
    entries.map(({ id, target, type, source, propagation }) => ({ id, target, type, source, propagation })),
    [
      { id: 22, target: "/proc", type: "proc", source: "proc", propagation: ["shared:14"] },
      { id: 36, target: "/mnt2", type: "ext3", source: "/dev/root", propagation: ["master:1"] },
      {
        id: 41,
        target: "/run/user/1000",
        type: "tmpfs",
        source: "tmpfs",
        propagation: ["shared:2", "master:3", "propagate_from:2", "unbindable"],
      },
      { id: 50, target: "/mnt/with space\nnewline\\back", type: "overlay", source: "over lay", propagation: [] },
      { id: 51, target: "/mnt/gone", type: "ext4", source: "/dev/vda1", propagation: [] },
      { id: 52, target: "/mnt/no-source", type: "tmpfs", source: "", propagation: [] },
      { id: 53, target: "/run/ns", type: "nsfs", source: "nsfs", propagation: [] },
      { id: 54, target: "/mnt/dash-in-name", type: "fuse.my-fs", source: "-", propagation: [] },
      { id: 55, target: "/mnt/éé\\1x", type: "tmpfs", source: "café", propagation: [] },
      { id: 56, target: "/mnt/##hash", type: "cifs", source: "//server/share name", propagation: ["shared:9"] },
    ],
  );
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  assertEquals([byId.get(50)!.root, byId.get(51)!.deleted, byId.get(22)!.deleted], ["/a b/c\td", true, false]);
  assertEquals(byId.get(36)!.options, ["rw", "noatime"]);
  assertEquals(byId.get(41)!.superOptions, "rw,size=2467,mode=700");
  assertEquals([byId.get(36)!.device, byId.get(36)!.parentId, byId.get(36)!.root], ["98:0", 35, "/mnt1"]);
});

Deno.test("an empty table is empty, and a last line without its end is read", () => {
  assertEquals(parseMountInfo(""), []);
  assertEquals(parseMountInfo("22 27 0:21 / /proc rw - proc proc rw").length, 1);
});

Deno.test("octal escapes are bytes, in runs that may form one character", () => {
  assertEquals(unescapeMountField(String.raw`a\040b`), "a b");
  assertEquals(unescapeMountField(String.raw`\360\237\230\200`), "\u{1f600}");
  assertEquals(unescapeMountField(String.raw`\134040`), "\\040");
  assertEquals(unescapeMountField("plain"), "plain");
});

Deno.test("mounts below a directory are those at it or under it, by whole names", () => {
  const entries = parseMountInfo(
    ["/", "/a", "/a/b", "/ab", "/a/b/c", "/a"].map((target, i) => `${i} 0 0:1 / ${target} rw - tmpfs x rw`).join("\n"),
  );
  assertEquals(mountsBelow(entries, "/a").map((entry) => entry.id), [1, 2, 4, 5]);
  assertEquals(mountsBelow(entries, "/").length, 6);
  assertEquals(mountsBelow(entries, "/none"), []);
});
