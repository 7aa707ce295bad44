import { assertEquals, assertThrows } from "@std/assert";
import { damageOf, deviceContent, formatCommand } from "../../runtime/host/format_device.ts";

const answer = (code: number, stdout = "", stderr = "") => ({ code, stdout, stderr });

Deno.test("what blkid says decides whether a device may be formatted", () => {
  const table: Array<[ReturnType<typeof answer>, unknown]> = [
    [answer(2), { kind: "nothing" }],
    [answer(0, "DEVNAME=/dev/x\nUUID=1\nTYPE=ext4\nUSAGE=filesystem\n"), { kind: "file system", type: "ext4" }],
    [answer(0, "DEVNAME=/dev/x\nPTTYPE=dos\n"), { kind: "other", type: "a partition table (dos)" }],
    [answer(0, "TYPE=crypto_LUKS\nUSAGE=crypto\n"), { kind: "other", type: "crypto (crypto_LUKS)" }],
    [answer(0, "TYPE=LVM2_member\nUSAGE=raid\n"), { kind: "other", type: "raid (LVM2_member)" }],
    // A file system whose first sector looks like a partition table, as vfat's does.
    [answer(0, "PTTYPE=dos\nTYPE=vfat\nUSAGE=filesystem\n"), { kind: "file system", type: "vfat" }],
  ];
  for (const [result, expected] of table) assertEquals(deviceContent("/dev/x", result), expected);
});

Deno.test("where blkid knows no single answer nothing is formatted", () => {
  assertThrows(() => deviceContent("/dev/x", answer(8)), Error, "the marks of several file systems");
  assertThrows(
    () => deviceContent("/dev/x", answer(4, "", "blkid: wrong")),
    Error,
    "blkid: wrong. It is left as it is",
  );
  assertThrows(() => deviceContent("/dev/x", answer(0, "")), Error, "does not say what");
});

Deno.test("file systems are made by their own programs, which never ask", () => {
  assertEquals(formatCommand("ext4", "/dev/x"), {
    program: "mkfs.ext4",
    args: ["-q", "-F", "-m", "0", "/dev/x"],
    package: "e2fsprogs",
  });
  assertEquals(formatCommand("xfs", "/dev/x").args, ["-q", "/dev/x"]);
  assertThrows(() => formatCommand("constructor", "/dev/x"), Error, "There are: ext2, ext3, ext4, xfs");
});

Deno.test("repaired damage may be mounted, what is left is not", () => {
  const outcomes = [0, 1, 2, 3, 4, 5, 8, 12, 16].map((code) => damageOf(answer(code, "", `code ${code}`)));
  assertEquals(outcomes, [
    undefined,
    undefined,
    undefined,
    undefined,
    "code 4",
    "code 5",
    undefined,
    "code 12",
    undefined,
  ]);
});
