import { assert, assertEquals, assertThrows } from "@std/assert";
import { type ByteString, byteStringFromText } from "../../runtime/core/bytes.ts";
import { closeFd, openAt, readFd, readlinkAt } from "../../runtime/host/fs_calls.ts";
import { ERRNO, ErrnoError } from "../../runtime/host/libc.ts";
import {
  AT_FDCWD,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
  openat2,
  RESOLVE_BENEATH,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  tryOpenat2,
} from "../../runtime/host/openat2.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";

const b = byteStringFromText;

/** A root with links of all kinds; what is outside must never be reached. */
async function withRoot(work: (rootFd: number, path: string) => void): Promise<void> {
  await using scratch = await scratchDirectory();
  const root = `${scratch.path}/root`;
  await Deno.mkdir(`${root}/a/b`, { recursive: true });
  await Deno.mkdir(`${root}/etc`);
  await Deno.writeTextFile(`${root}/a/file`, "inside");
  await Deno.writeTextFile(`${root}/etc/passwd`, "the root's own");
  await Deno.writeTextFile(`${scratch.path}/secret`, "outside");
  for (
    const [name, target] of [["up", "../.."], ["abs", "/etc/passwd"], ["deep", "a/b/../file"], ["loop", "loop"]]
  ) await Deno.symlink(target!, `${root}/${name}`);
  const fd = openAt(AT_FDCWD, b(root), O_RDONLY | O_DIRECTORY);
  try {
    work(fd, scratch.path);
  } finally {
    closeFd(fd);
  }
}

function contentOf(fd: number): string {
  const buffer = new Uint8Array(100);
  const text = new TextDecoder().decode(buffer.subarray(0, readFd(fd, buffer)));
  closeFd(fd);
  return text;
}

const cases: Array<[path: string, resolve: number, expected: string | keyof typeof ERRNO]> = [
  ["a/file", RESOLVE_BENEATH, "inside"],
  ["a/../a/file", RESOLVE_BENEATH, "inside"],
  ["deep", RESOLVE_BENEATH, "inside"],
  ["../secret", RESOLVE_BENEATH, "EXDEV"],
  ["up/secret", RESOLVE_BENEATH, "EXDEV"],
  ["abs", RESOLVE_BENEATH, "EXDEV"],
  ["/etc/passwd", RESOLVE_BENEATH, "EXDEV"],
  ["abs", RESOLVE_IN_ROOT, "the root's own"],
  ["/etc/passwd", RESOLVE_IN_ROOT, "the root's own"],
  ["../../etc/passwd", RESOLVE_IN_ROOT, "the root's own"],
  ["up/etc/passwd", RESOLVE_IN_ROOT, "the root's own"],
  ["../secret", RESOLVE_IN_ROOT, "ENOENT"],
  ["deep", RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, "ELOOP"],
  ["up/etc", RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS, "ELOOP"],
  ["loop", RESOLVE_IN_ROOT, "ELOOP"],
  ["a/nothing", RESOLVE_BENEATH, "ENOENT"],
  ["a/file/x", RESOLVE_BENEATH, "ENOTDIR"],
];
for (const [path, resolve, expected] of cases) {
  rootTest(`openat2 of "${path}" with resolve ${resolve} gives ${expected}`, async () => {
    await withRoot((rootFd) => {
      const fd = tryOpenat2(rootFd, b(path), { flags: O_RDONLY, resolve });
      if (expected in ERRNO) assertEquals(fd, -ERRNO[expected]!);
      else assertEquals(contentOf(fd), expected);
    });
  });
}

rootTest("openat2 throws what the kernel says, with the path", async () => {
  await withRoot((rootFd) => {
    const error = assertThrows(
      () => openat2(rootFd, b("../secret"), { flags: O_RDONLY, resolve: RESOLVE_BENEATH }),
      ErrnoError,
      "../secret",
    );
    assertEquals([error.errno, error.call], ["EXDEV", "openat2"]);
  });
});

rootTest(
  "openat2 creates with the mode, opens links themselves, and refuses magic links and other mounts",
  async () => {
    await withRoot((rootFd, path) => {
      const made = openat2(rootFd, b("new"), {
        flags: O_WRONLY | O_CREAT | O_EXCL,
        mode: 0o600,
        resolve: RESOLVE_BENEATH,
      });
      closeFd(made);
      assertEquals(Deno.statSync(`${path}/root/new`).mode! & 0o777, 0o600);
      const flags = O_PATH | O_NOFOLLOW;
      const link = openat2(rootFd, b("abs"), { flags, resolve: RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS });
      assertEquals(readlinkAt(link, "" as ByteString), b("/etc/passwd"));
      closeFd(link);
      const proc = b(`/proc/self/fd/${rootFd}/a/file`);
      assertEquals(contentOf(openat2(AT_FDCWD, proc, { flags: O_RDONLY })), "inside");
      assertEquals(tryOpenat2(AT_FDCWD, proc, { flags: O_RDONLY, resolve: RESOLVE_NO_MAGICLINKS }), -ERRNO.ELOOP!);
      assertEquals(tryOpenat2(AT_FDCWD, b("/proc/self"), { flags: O_PATH, resolve: RESOLVE_NO_XDEV }), -ERRNO.EXDEV!);
    });
  },
);

Deno.test("openat2 passes bytes that are no UTF-8", () => {
  assertEquals(tryOpenat2(AT_FDCWD, "/\xff\xfe" as ByteString, { flags: O_RDONLY }), -ERRNO.ENOENT!);
  const fd = tryOpenat2(AT_FDCWD, b("/"), { flags: O_PATH });
  assert(fd >= 0);
  closeFd(fd);
});
