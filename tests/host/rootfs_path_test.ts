import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type ByteString, byteStringFromText } from "../../runtime/core/bytes.ts";
import { closeFd, openAt, readDirectory } from "../../runtime/host/fs_calls.ts";
import { symlinkAt } from "../../runtime/host/fs_change_calls.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../../runtime/host/openat2.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { openInRoot, type OpenInRootOptions } from "../../runtime/host/rootfs_path.ts";
import { libcTest, scratchDirectory } from "../support/scratch.ts";

/** A root with the links that an image may hold, and an "outside" that nothing may reach. */
async function rootWithLinks(path: string): Promise<string> {
  const root = `${path}/root`;
  for (const directory of ["usr/lib", "var", "deep/er"]) await Deno.mkdir(`${root}/${directory}`, { recursive: true });
  await Deno.mkdir(`${path}/outside`);
  await Deno.writeTextFile(`${path}/secret`, "host");
  await Deno.writeTextFile(`${root}/etc-file`, "in root");
  const links: Record<string, string> = {
    lib: "usr/lib",
    abs: "/usr/lib",
    up: "../../../../../../usr",
    host: path,
    hostfile: `${path}/secret`,
    climb: `../outside`,
    a: "b",
    b: "a",
    self: "self",
    dangling: "/made/by/link",
    danglingfile: "var/file",
    tofile: "etc-file",
    slashed: "usr/",
    top: "/",
    "deep/er/back": "../../var",
    chain0: "chain1",
    chain1: "/deep/chain2",
    "deep/chain2": "../usr/../usr/lib",
  };
  for (const [name, target] of Object.entries(links)) await Deno.symlink(target, `${root}/${name}`);
  return root;
}

const directory: OpenInRootOptions = { create: "directory" };
const file: OpenInRootOptions = { create: "file" };
const opens: Array<[path: string, options: OpenInRootOptions, leadsTo: string]> = [
  ["/", {}, ""],
  ["", {}, ""],
  ["/", directory, ""],
  ["/../../..", directory, ""],
  ["usr/lib", {}, "/usr/lib"],
  ["/lib", {}, "/usr/lib"],
  ["/lib/new", directory, "/usr/lib/new"],
  ["/abs", directory, "/usr/lib"],
  ["/abs/../x", directory, "/usr/x"],
  ["/up/lib", {}, "/usr/lib"],
  ["/up/y/z", directory, "/usr/y/z"],
  ["/climb", directory, "/outside"],
  ["/climb/in", directory, "/outside/in"],
  ["/dangling/more", directory, "/made/by/link/more"],
  ["/danglingfile", file, "/var/file"],
  ["/tofile", file, "/etc-file"],
  ["/tofile", {}, "/etc-file"],
  ["/slashed", directory, "/usr"],
  ["/top/var", directory, "/var"],
  ["/top", directory, ""],
  ["/deep/er/back/q", file, "/var/q"],
  ["/chain0/here", directory, "/usr/lib/here"],
  ["//usr///lib//.", directory, "/usr/lib"],
  ["/missing/../usr", directory, "/usr"],
  ["/a b\n\\c/,:é", directory, "/a b\n\\c/,:é"],
  ["/n/e/w.conf", file, "/n/e/w.conf"],
  ["/a", { noFollow: true }, "/a"],
];

libcTest("a path inside a root is opened where a process with that root would find it", async (t) => {
  for (const [path, options, leadsTo] of opens) {
    await t.step(`${JSON.stringify(path)} ${JSON.stringify(options)}`, async () => {
      await using scratch = await scratchDirectory();
      const root = await rootWithLinks(scratch.path);
      using opened = openInRoot(root, path, options);
      assertEquals(opened.realPath, root + leadsTo);
      assertEquals((await Deno.lstat(opened.realPath)).ino, (await Deno.stat(opened.procPath)).ino);
      if (options.create !== undefined) assertEquals(opened.type, options.create);
      assertEquals([...Deno.readDirSync(`${scratch.path}/outside`)], [], "something was made outside");
    });
  }
});

const refuses: Array<[path: string, options: OpenInRootOptions, code: string, names: string]> = [
  ["/nothing", {}, "NOT_FOUND", "/nothing"],
  ["/hostfile", {}, "NOT_FOUND", "/hostfile"],
  ["/climb", {}, "NOT_FOUND", "/climb"],
  ["/a", directory, "INVALID_ARGUMENT", "symbolic links"],
  ["/self/x", directory, "INVALID_ARGUMENT", "symbolic links"],
  ["/a", {}, "INVALID_ARGUMENT", "links"],
  ["/etc-file", directory, "CONFLICT", "/etc-file is a file, a directory is needed"],
  ["/tofile/below", directory, "CONFLICT", "/etc-file is a file"],
  ["/usr/lib", file, "CONFLICT", "/usr/lib is a directory, a file is needed"],
  ["/", file, "CONFLICT", "/ is a directory"],
  ["/usr/..", file, "CONFLICT", "/ is a directory"],
  [`/${"n".repeat(256)}`, directory, "INVALID_ARGUMENT", "too long"],
  ["/a\0b", directory, "INVALID_ARGUMENT", "NUL"],
];

Deno.test("a path that cannot be opened inside a root is refused by the component at fault", async (t) => {
  for (const [path, options, code, names] of refuses) {
    await t.step(`${JSON.stringify(path.slice(0, 30))} ${JSON.stringify(options)}`, async () => {
      await using scratch = await scratchDirectory();
      const root = await rootWithLinks(scratch.path);
      const error = assertThrows(() => openInRoot(root, path, options), LaminaError);
      assertEquals(error.code, code);
      assertStringIncludes(error.message, names);
      assertEquals([...Deno.readDirSync(`${scratch.path}/outside`)], []);
    });
  }
});

Deno.test("what is made inside a root has the asked mode whatever the umask, and is reported", async () => {
  await using scratch = await scratchDirectory();
  const before = Deno.umask(0o077);
  try {
    using made = openInRoot(scratch.path, "/one/two", { create: "directory", mode: 0o1777 });
    assertEquals(made.made, ["/one", "/one/two"]);
    assertEquals((await Deno.stat(`${scratch.path}/one`)).mode! & 0o7777, 0o755);
    assertEquals((await Deno.stat(`${scratch.path}/one/two`)).mode! & 0o7777, 0o1777);
    using file = openInRoot(scratch.path, "/one/f", { create: "file" });
    assertEquals(file.made, ["/one/f"]);
    assertEquals((await Deno.stat(`${scratch.path}/one/f`)).mode! & 0o7777, 0o644);
  } finally {
    Deno.umask(before);
  }
});

Deno.test("an opened path is closed once, and many are opened without a leak", async () => {
  await using scratch = await scratchDirectory();
  const open = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const before = open();
  for (let i = 0; i < 50; i++) {
    const opened = openInRoot(scratch.path, `/d${i}/e`, { create: "directory" });
    opened[Symbol.dispose]();
    opened[Symbol.dispose]();
    assertThrows(() => openInRoot(scratch.path, `/d${i}/e`, { create: "file" }), LaminaError);
    assertThrows(() => openInRoot(scratch.path, `/no${i}`), LaminaError);
  }
  assertEquals(open(), before);
});

libcTest(
  "a link to a name that is no valid UTF-8 is followed to its very bytes, and refused where text is needed",
  async () => {
    await using scratch = await scratchDirectory();
    const root = openAt(AT_FDCWD, byteStringFromText(scratch.path), O_RDONLY | O_DIRECTORY);
    try {
      symlinkAt("dir-\xff\xfe" as ByteString, root, "link" as ByteString);
      const error = assertThrows(() => openInRoot(scratch.path, "/link/below", { create: "directory" }), LaminaError);
      assertEquals(error.code, "INVALID_ARGUMENT");
      assertEquals(readDirectory(root).sort(), ["dir-\xff\xfe", "link"] as ByteString[]);
    } finally {
      closeFd(root);
    }
  },
);
