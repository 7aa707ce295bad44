import { assertEquals } from "@std/assert";
import { parseMountInfo } from "../../runtime/core/mountinfo.ts";
import { directoryName, idOfDirectory, snapshotMounts } from "../../drivers/storage/snapshot_mounts.ts";

const layers = "/var/lib/lamina/drivers/overlay/l";

Deno.test("directory names are short and read back", () => {
  for (const id of [1, 35, 36, 46_655, 46_656, 1_679_616]) assertEquals(idOfDirectory(directoryName(id)), id);
  assertEquals(directoryName(46_655), "zzz");
  for (const name of ["", "0", "01", "Photos", "notes.txt", "..", "a b", "zzzzzzzzzzzz"]) {
    assertEquals(idOfDirectory(name), undefined, name);
  }
});

Deno.test("overlay mounts are known by their source, bind mounts by what they show", () => {
  const table = parseMountInfo([
    "20 1 8:1 / / rw - ext4 /dev/sda1 rw",
    "21 20 8:2 / /var rw - ext4 /dev/sda2 rw",
    `30 20 0:40 / /mnt/a rw - overlay ${layers}/1f rw,lowerdir=2/fs:1/fs`,
    "31 20 8:2 /lib/lamina/drivers/overlay/l/3/fs /mnt/b ro - ext4 /dev/sda2 rw",
    "32 20 8:2 /lib/lamina/drivers/overlay/l/3/fs/etc /mnt/c rw - ext4 /dev/sda2 rw",
    // Another root, another device, another program's overlay, and the driver's directory itself.
    "33 20 0:41 / /mnt/d rw - overlay /srv/drivers/overlay/l/1f rw",
    "34 20 8:1 /lib/lamina/drivers/overlay/l/3/fs /mnt/e rw - ext4 /dev/sda1 rw",
    "35 20 0:42 / /mnt/f rw - overlay overlay rw",
    "36 20 8:2 /lib/lamina/drivers/overlay/l /mnt/g rw - ext4 /dev/sda2 rw",
  ].join("\n"));
  assertEquals(snapshotMounts(table, layers), [
    { id: 51, target: "/mnt/a", readOnly: false },
    { id: 3, target: "/mnt/b", readOnly: true },
    { id: 3, target: "/mnt/c", readOnly: false },
  ]);
});

Deno.test("a root on a mounted subdirectory of a file system is found by its path there", () => {
  const table = parseMountInfo([
    "20 1 8:1 / / rw - ext4 /dev/sda1 rw",
    "21 20 0:30 /@lamina /var/lib/lamina rw - btrfs /dev/sdb rw",
    "22 20 0:30 /@lamina/drivers/overlay/l/a/fs /mnt/a rw - btrfs /dev/sdb rw",
    "23 20 0:30 /drivers/overlay/l/a/fs /mnt/b rw - btrfs /dev/sdb rw",
  ].join("\n"));
  assertEquals(snapshotMounts(table, layers), [{ id: 10, target: "/mnt/a", readOnly: false }]);
});

Deno.test("of two mounts at one place the later one counts", () => {
  const table = parseMountInfo([
    "20 1 8:1 / / rw - ext4 /dev/sda1 rw",
    "21 20 8:2 / /var/lib/lamina rw - ext4 /dev/sda2 rw",
    "22 21 8:3 / /var/lib/lamina rw - ext4 /dev/sda3 rw",
    "23 20 8:3 /drivers/overlay/l/1/fs /mnt/a rw - ext4 /dev/sda3 rw",
    "24 20 8:2 /drivers/overlay/l/1/fs /mnt/b rw - ext4 /dev/sda2 rw",
  ].join("\n"));
  assertEquals(snapshotMounts(table, layers).map(({ target }) => target), ["/mnt/a"]);
});
