import { assert, assertEquals, assertThrows } from "@std/assert";
import { type ByteString, byteStringFromText } from "../../runtime/core/bytes.ts";
import { runCommand } from "../../runtime/host/command.ts";
import {
  closeFd,
  openAt,
  openDirectoryAt,
  openToReadAt,
  readDirectory,
  readDirectoryPart,
  readlinkAt,
  rewindDirectory,
  statxAt,
  statxAtIfPresent,
} from "../../runtime/host/fs_calls.ts";
import { makeDevice, mknodAt, S_IF, setTimesAt, symlinkAt, unlinkAt } from "../../runtime/host/fs_change_calls.ts";
import { ErrnoError } from "../../runtime/host/libc.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../../runtime/host/openat2.ts";
import { getXattrAt, readXattrs, readXattrsAt, removeXattrAt, setXattrAt } from "../../runtime/host/xattr_calls.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";

const bytes = (text: string) => text as ByteString;

async function inScratch(work: (fd: number, path: string) => void | Promise<void>): Promise<void> {
  await using scratch = await scratchDirectory();
  const fd = openAt(AT_FDCWD, byteStringFromText(scratch.path), O_RDONLY | O_DIRECTORY);
  try {
    await work(fd, scratch.path);
  } finally {
    closeFd(fd);
  }
}

rootTest("statxAt says what stat(1) says, of the link and not of its target", () =>
  inScratch(async (fd, path) => {
    await Deno.writeTextFile(`${path}/file`, "x".repeat(5000));
    await runCommand("sh", ["-c", "chmod 4751 file; chown 70000:3000000000 file; ln file other; ln -s file link"], {
      cwd: path,
    });
    mknodAt(fd, bytes("device"), S_IF.BLK, 0o640, 3001, 300_001);
    setTimesAt(fd, bytes("link"), { s: -3, ns: 250_000_000 });
    for (const name of ["file", "link", "device", "."]) {
      const status = statxAt(fd, bytes(name));
      const format = "%a %u %g %h %s %b %i %t:%T %Hd:%Ld";
      const { stdout } = await runCommand("stat", ["-c", format, name], { cwd: path });
      const device = `${status.rdevMajor.toString(16)}:${status.rdevMinor.toString(16)}`;
      assertEquals(
        `${
          status.mode.toString(8)
        } ${status.uid} ${status.gid} ${status.nlink} ${status.size_bytes} ${status.blocks} ` +
          `${status.ino} ${device} ${status.devMajor}:${status.devMinor}`,
        stdout.trim(),
      );
    }
    const link = statxAt(fd, bytes("link"));
    assertEquals([link.type, link.mtime_s, link.mtime_ns], ["symlink", -3, 250_000_000]);
    assertEquals(statxAtIfPresent(fd, bytes("none")), undefined);
    assertThrows(() => statxAt(fd, bytes("none")), ErrnoError, "ENOENT");
  }));

rootTest("A listing gives every name byte for byte, also while names are deleted", () =>
  inScratch((fd) => {
    const names = Array.from({ length: 5000 }, (_, i) => bytes(`\xff${String(i).padStart(40, "0")}`));
    for (const name of names) mknodAt(fd, name, S_IF.REG, 0o600);
    assertEquals(readDirectory(fd).sort(), names);
    rewindDirectory(fd);
    let parts = 0;
    for (let part = readDirectoryPart(fd); part !== undefined; part = readDirectoryPart(fd)) {
      parts++;
      for (const { name, type } of part) {
        assertEquals(type, "file");
        unlinkAt(fd, name);
      }
    }
    assert(parts > 1);
    assertEquals(readDirectory(fd), []);
  }));

rootTest("Opening never follows a final link and never waits for a FIFO", () =>
  inScratch((fd) => {
    symlinkAt(bytes("/etc"), fd, bytes("directory"));
    symlinkAt(bytes("/etc/passwd"), fd, bytes("file"));
    mknodAt(fd, bytes("fifo"), S_IF.FIFO, 0o600);
    assertThrows(() => openDirectoryAt(fd, bytes("directory")), ErrnoError, "ENOTDIR");
    assertThrows(() => openToReadAt(fd, bytes("file")), ErrnoError, "ELOOP");
    closeFd(openToReadAt(fd, bytes("fifo")));
    assertEquals(readlinkAt(fd, bytes("file")), "/etc/passwd");
  }));

rootTest("Extended attributes of links and odd names are those of the name itself", () =>
  inScratch((fd) => {
    const name = bytes("odd\n\xff");
    mknodAt(fd, name, S_IF.REG, 0o600);
    symlinkAt(name, fd, bytes("link"));
    setXattrAt(fd, name, bytes("user.b"), new Uint8Array([0, 255]));
    setXattrAt(fd, name, bytes("trusted.a"), new Uint8Array());
    setXattrAt(fd, bytes("link"), bytes("trusted.link"), new Uint8Array([1]));
    const wanted = [["trusted.a", new Uint8Array()], ["user.b", new Uint8Array([0, 255])]];
    assertEquals(readXattrsAt(fd, name) as unknown, wanted);
    const file = openToReadAt(fd, name);
    assertEquals(readXattrs(file) as unknown, wanted);
    closeFd(file);
    assertEquals(readXattrsAt(fd, bytes("link")).map(([key]) => key), [bytes("trusted.link")]);
    removeXattrAt(fd, name, bytes("user.b"));
    removeXattrAt(fd, name, bytes("user.b"));
    assertEquals(getXattrAt(fd, name, bytes("user.b")), undefined);
  }));

Deno.test("makeDevice packs numbers as glibc does", () => {
  assertEquals(makeDevice(0, 0), 0n);
  assertEquals(makeDevice(8, 1), 0x801n);
  assertEquals(makeDevice(259, 300_000), 0x49310_3e0n);
});
