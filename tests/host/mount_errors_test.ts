import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Mount } from "../../runtime/core/mount.ts";
import { hostError } from "../../runtime/host/errno_errors.ts";
import { errnoOfMessage, mountError, unmountError } from "../../runtime/host/mount_errors.ts";
import { libcTest } from "../support/scratch.ts";

/** Messages of util-linux 2.36 to 2.41, as seen. */
const messages: Array<[string, string]> = [
  ["special device /x does not exist.", "ENOENT"],
  ["mount point does not exist.", "ENOENT"],
  ["mount point is not a directory.", "ENOTDIR"],
  ["special device /x does not exist (a path prefix is not a directory).", "ENOENT"],
  ["unknown filesystem type 'nosuchfs'.", "ENODEV"],
  ["wrong fs type, bad option, bad superblock on /x, missing codepage or helper program, or other error.", "EINVAL"],
  ["fsconfig() failed: tmpfs: Unknown parameter 'x'.", ""],
  ["/x already mounted or mount point busy.", "EBUSY"],
  ["/x already mounted on /t.", "EBUSY"],
  ["target is busy.", "EBUSY"],
  ["not mounted.", "not mounted"],
  ["no mount point specified.", "not mounted"],
  ["must be superuser to use mount.", "EPERM"],
  ["permission denied.", "EPERM"],
  ["mount(2) system call failed: No space left on device.", "ENOSPC"],
  ["mount(2) system call failed: Structure needs cleaning.", "EIO"],
  ["can't read superblock on /dev/x.", "EIO"],
  ["/x is not a block device.", "ENOTBLK"],
  ['/x is not a block device; try "-o loop".', "ENOTBLK"],
  ["mount(2) system call failed: Stale file handle.", "ESTALE"],
  ["mount(2) system call failed: Too many levels of symbolic links.", "ELOOP"],
  ["Transport endpoint is not connected", "ENOTCONN"],
];

Deno.test("messages of mount(8) and umount(8) are understood", () => {
  for (const [text, errno] of messages) assertEquals(errnoOfMessage(text) ?? "", errno, text);
});

const mount: Mount = { type: "tmpfs", source: "x", target: "/proc", options: ["secret=hunter2"] };

libcTest("each cause has its code, and source and target are named", () => {
  const cases: Array<[string, string]> = [
    ["EINVAL", "INVALID_ARGUMENT"],
    ["ENODEV", "UNSUPPORTED"],
    ["EBUSY", "CONFLICT"],
    ["EPERM", "PERMISSION_DENIED"],
    ["ENOSPC", "RESOURCE_EXHAUSTED"],
    ["EROFS", "UNAVAILABLE"],
    ["EIO", "DATA_LOSS"],
    ["ENOTCONN", "UNAVAILABLE"],
    ["errno 200", "INTERNAL"],
  ];
  for (const [errno, code] of cases) {
    const error = mountError(mount, { errno, text: "what it said" });
    assertEquals(error.code, code);
    for (const part of ["tmpfs", '"x"', "/proc", "what it said"]) assertStringIncludes(error.message, part);
    assert(!JSON.stringify(error.toJSON()).includes("hunter2"));
    assertEquals(error.details.target, "/proc");
  }
});

Deno.test("a failed unmount names who uses the target", () => {
  const error = unmountError("/t", { text: "target is busy." }, ["process 7 (sh)"]);
  assertEquals([error.code, error.details.users], ["CONFLICT", ["process 7 (sh)"]]);
  assertStringIncludes(error.message, "process 7 (sh)");
  assertEquals(unmountError("/t", { text: "must be superuser to unmount." }).code, "PERMISSION_DENIED");
  assertEquals(unmountError("/t", { text: "gibberish" }).code, "INTERNAL");
});

Deno.test("whatever the host throws becomes an error of the closed set", () => {
  const deadline = new DOMException("late", "TimeoutError");
  assertEquals(hostError(deadline, "Cannot x").code, "DEADLINE_EXCEEDED");
  assertEquals(hostError(new DOMException("gone", "AbortError"), "Cannot x").code, "CANCELLED");
  assertEquals(hostError(new Error("odd"), "Cannot x").message, "Cannot x: odd");
  assertEquals(hostError("text", "Cannot x").code, "INTERNAL");
  const own = mountError(mount, { errno: "EPERM" });
  assertEquals(hostError(own, "Cannot x"), own);
  try {
    Deno.writeTextFileSync("/dev/full", "x");
  } catch (error) {
    const full = hostError(error, "Cannot x", { path: "/dev/full" });
    assertEquals([full.code, full.details], ["RESOURCE_EXHAUSTED", { path: "/dev/full", errno: "ENOSPC" }]);
  }
});
