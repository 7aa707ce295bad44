import { assert, assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { byteStringFromText } from "../../runtime/core/bytes.ts";
import { closeFd, openAt, readDirectory } from "../../runtime/host/fs_calls.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../../runtime/host/openat2.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { apply, stat, treeOf, unpacked } from "./support/apply.ts";
import { archive, concat, dir, entry, file, type HandEntry, hardlink, symlink } from "./support/tar_builder.ts";
import { describeTree, gnuUnpack, sh } from "./support/trees.ts";

const replacements: Array<[what: string, entries: HandEntry[], expected: Record<string, string>]> = [
  ["a later file", [file("a", "1"), file("a", "2")], { a: "file 2" }],
  ["a directory over a file", [file("a", "1"), dir("a"), file("a/b")], { a: "dir", "a/b": "file a/b" }],
  ["a file over a directory with content", [dir("a"), file("a/b"), dir("a/c"), file("a/c/d"), file("a", "x")], {
    a: "file x",
  }],
  ["a link over a directory", [dir("a"), file("a/b"), symlink("a", "t")], { a: "-> t" }],
  ["a directory over a link", [dir("t"), symlink("a", "t"), dir("a"), file("a/b")], {
    a: "dir",
    "a/b": "file a/b",
    t: "dir",
  }],
  ["a file over a link, whose target stays", [file("t", "old"), symlink("a", "t"), file("a", "new")], {
    a: "file new",
    t: "file old",
  }],
  ["a file over a hard link, whose other name stays", [file("t", "old"), hardlink("a", "t"), file("a", "new")], {
    a: "file new",
    t: "file old",
  }],
  ["a hard link over a file", [file("t", "old"), file("a", "x"), hardlink("a", "t")], { a: "file old", t: "file old" }],
  ["a FIFO over a file", [file("a"), { name: "a", type: "6" }], { a: "fifo" }],
  ["a device over a FIFO", [{ name: "a", type: "6" }, { name: "a", type: "3", major: 1, minor: 3 }], { a: "char 1:3" }],
  ["a file in the place of a file's parent", [file("a", "1"), file("a/b", "2")], { a: "dir", "a/b": "file 2" }],
  ["a hard link to itself", [file("a", "1"), hardlink("a", "./a")], { a: "file 1" }],
];
for (const [what, entries, expected] of replacements) {
  rootTest(`the last entry of a name wins: ${what}`, async () => {
    await unpacked(entries, (path) => Promise.resolve(assertEquals(treeOf(path), expected)), { lowers: [] });
    await unpacked(entries, (path) => Promise.resolve(assertEquals(treeOf(path), expected)), { form: "delete" });
  });
}

rootTest("a directory on a directory replaces attributes and keeps children", async () => {
  await unpacked([
    dir("d", { mode: 0o700, uid: 5, pax: { "SCHILY.xattr.user.old": "1", "SCHILY.xattr.user.both": "1" } }),
    file("d/child"),
    dir("d", { mode: 0o1777, gid: 6, mtime: 77, pax: { "SCHILY.xattr.user.both": "2" } }),
  ], async (path) => {
    assertEquals(await stat(path, "%a %u %g %Y", "d"), ["1777 0 6 77"]);
    assertEquals((await sh(path, "getfattr -d d | grep user")).trim(), 'user.both="2"');
    assertEquals(Object.keys(treeOf(path)), ["d", "d/child"]);
  });
});

rootTest("mode, owner, setuid, sticky and times are kept, nanoseconds and times before 1970 as well", async () => {
  await unpacked([
    file("suid", "", { mode: 0o4755, uid: 10, gid: 20, mtime: 5 }),
    file("sgid", "", { mode: 0o2711, uid: 10, gid: 20 }),
    file("ns", "", { pax: { mtime: "1234567890.123456789" } }),
    file("old", "", { pax: { mtime: "-1.5" } }),
    file("big", "", { uid: 0xfffffffe, gid: 3_000_000_000 }),
    file("secret", "", { mode: 0 }),
    dir("d", { mode: 0o1777, mtime: 5 }),
    file("d/later"),
    symlink("l", "suid", { uid: 3, gid: 4, mtime: 9 }),
    { name: "fifo", type: "6", mode: 0o622, uid: 1, gid: 2, mtime: 8 },
    { name: "null", type: "3", major: 1, minor: 3, mode: 0o666, uid: 1, gid: 2, mtime: 8 },
    { name: "disk", type: "4", major: 259, minor: 70_000, mode: 0o660, gid: 6 },
  ], async (path) => {
    assertEquals(await stat(path, "%a %u %g", "suid", "sgid", "secret"), ["4755 10 20", "2711 10 20", "0 0 0"]);
    assertEquals(await stat(path, "%.9Y", "ns", "old", "d"), ["1234567890.123456789", "-1.500000000", "5.000000000"]);
    assertEquals(await stat(path, "%u %g", "big"), ["4294967294 3000000000"]);
    assertEquals(await stat(path, "%F %u %g %Y", "l"), ["symbolic link 3 4 9"]);
    assertEquals(await stat(path, "%a %u %g %Y", "fifo", "null", "d"), ["622 1 2 8", "666 1 2 8", "1777 0 0 5"]);
    assertEquals(await stat(path, "%F %t:%T", "null", "disk"), [
      "character special file 1:3",
      "block special file 103:11170",
    ]);
  });
});

rootTest("missing parents are made 0755 for root, dated as the entry that needed them", async () => {
  const before = Deno.umask(0o077);
  try {
    await unpacked([file("a/b/c", "", { uid: 7, mtime: 50 })], async (path) => {
      assertEquals(await stat(path, "%a %u %g %Y", "a", "a/b"), ["755 0 0 50", "755 0 0 50"]);
      assertEquals(await stat(path, "%a", ".", "a/b/c"), ["755", "644"]);
    });
  } finally {
    Deno.umask(before);
  }
});

rootTest("directories have their own time although things were made in them, however many are open", async () => {
  const many = Array.from({ length: 300 }, (_, i) => `d${i % 100}/e${i}`);
  await unpacked([
    dir(".", { mtime: 1 }),
    ...Array.from({ length: 100 }, (_, i) => dir(`d${i}`, { mtime: 1000 + i })),
    ...many.map((name, i) => dir(name, { mtime: 5000 + i })),
    ...many.map((name) => file(`${name}/f`)),
    ...many.map((name) => file(`${name}/f`, "again")),
  ], async (path) => {
    assertEquals(await stat(path, "%Y", ".", "d0", "d99"), ["1", "1000", "1099"]);
    assertEquals(await stat(path, "%Y", ...many), many.map((_, i) => String(5000 + i)));
  });
});

rootTest(
  "capabilities, user and ACL attributes are kept; setuid and capabilities survive the change of owner",
  async () => {
    const capability = new Uint8Array([1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    await unpacked([
      file("f", "", {
        mode: 0o4711,
        uid: 12,
        pax: {
          "SCHILY.xattr.security.capability": capability,
          "SCHILY.xattr.user.bytes": new Uint8Array([0, 1, 255]),
          "SCHILY.xattr.trusted.mine": "t",
        },
      }),
      dir("d", { pax: { "SCHILY.xattr.user.d": "dir" } }),
      symlink("l", "f", { pax: { "SCHILY.xattr.trusted.l": "link" } }),
    ], async (path) => {
      assertEquals((await sh(path, "getfattr -h -d -m- -e hex f | grep =")).trim().split("\n"), [
        "security.capability=0x0100000200040000000000000000000000000000",
        "trusted.mine=0x74",
        "user.bytes=0x0001ff",
      ]);
      assertEquals(await stat(path, "%a %u", "f"), ["4711 12"]);
      assertEquals(
        await sh(path, "getfattr --only-values -n user.d d; getfattr -h --only-values -n trusted.l l"),
        "dirlink",
      );
    });
  },
);

rootTest("overlayfs's own attributes never take effect: they are stored one level deeper", async () => {
  const pax = {
    "SCHILY.xattr.trusted.overlay.opaque": "y",
    "SCHILY.xattr.user.overlay.opaque": "y",
    "SCHILY.xattr.trusted.overlay.redirect": "/etc",
  };
  for (const form of ["overlay", "overlay-user", "delete"] as const) {
    await unpacked([dir("d", { pax }), dir(".", { pax })], async (path) => {
      assertEquals(treeOf(path), { d: "dir" });
      for (const name of ["d", "."]) {
        assertEquals((await sh(path, `getfattr -d -m overlay ${name} | grep =`)).trim().split("\n"), [
          'trusted.overlay.overlay.opaque="y"',
          'trusted.overlay.overlay.redirect="/etc"',
          'user.overlay.overlay.opaque="y"',
        ]);
      }
    }, { form });
  }
});

rootTest(
  "a device with the number 0:0, sockets and volume labels are left out, with a warning for what is lost",
  async () => {
    await using scratch = await scratchDirectory();
    const result = await apply(
      archive([
        { name: "white", type: "3" },
        { name: "sock", type: "s" },
        { name: "My backup", type: "V", data: "x" },
        file("f"),
      ]),
      `${scratch.path}/layer`,
    );
    assertEquals(treeOf(`${scratch.path}/layer`), { f: "file f" });
    assertEquals(result.warnings.map((text) => text.slice(0, 21)), ['Skipped the device "w', 'Skipped the socket "s']);
  },
);

rootTest("an attribute that the file cannot have is skipped with a warning", async () => {
  await using scratch = await scratchDirectory();
  const pax = { "SCHILY.xattr.user.x": "1", "SCHILY.xattr.nosuch.x": "1" };
  const result = await apply(archive([symlink("l", "t", { pax })]), `${scratch.path}/layer`);
  assertEquals(result.warnings.length, 2);
  assert(result.warnings[0]!.includes("user.x") && result.warnings[1]!.includes("nosuch.x"));
});

rootTest("names are bytes: newlines, invalid UTF-8, quotes and 255 bytes", async () => {
  const names = ["a\nb", "\xff\xfe", "caf\xc3\xa9", 'quo"te\\', " blank ", "n".repeat(255), "-rf", "\x01\x7f"];
  const named = (name: string, data: string) => file("short", data, { pax: { path: name } });
  await unpacked(names.map((name) => named(`d/${name}`, name)), (path) => {
    const fd = openAt(AT_FDCWD, byteStringFromText(`${path}/d`), O_RDONLY | O_DIRECTORY);
    try {
      assertEquals(readDirectory(fd).sort() as string[], names.toSorted());
    } finally {
      closeFd(fd);
    }
    return Promise.resolve();
  });
});

rootTest("a name of 256 bytes is refused and named", async () => {
  await using scratch = await scratchDirectory();
  const pax = { path: "n".repeat(256) };
  const error = await assertRejects(
    () => apply(archive([file("n", "", { pax })]), `${scratch.path}/layer`),
    LaminaError,
    "name is too long",
  );
  assertEquals(error.code, "INVALID_ARGUMENT");
});

rootTest("deep paths up to the limit are written", async () => {
  const deep = Array.from({ length: 2000 }, () => "d").join("/");
  await unpacked([file("f", "x", { pax: { path: `${deep}/f` } })], async (path) => {
    assertEquals((await sh(path, "find . -type f -printf '%d'")).trim(), "2001");
  });
});

rootTest("sparse files in every notation are expanded with their holes", async () => {
  await using scratch = await scratchDirectory();
  await sh(
    scratch.path,
    `mkdir src; cd src; truncate -s 20M holes; truncate -s 5M all; for i in 0 3 7; do echo "piece $i" | dd of=holes bs=1M seek=$i conv=notrunc status=none; done
     for v in 0.0 0.1 1.0; do tar -cSf ../$v.tar --format=posix --sparse-version=$v .; done; tar -cSf ../old.tar --format=gnu .`,
  );
  const expected = (await sh(`${scratch.path}/src`, "sha256sum holes all; du -k holes all | cut -f1")).trim();
  for (const format of ["0.0", "0.1", "1.0", "old"]) {
    const target = `${scratch.path}/out-${format}`;
    const bytes = await Deno.readFile(`${scratch.path}/${format}.tar`);
    await apply(bytes, target, { chunk_bytes: 777 });
    assertEquals((await sh(target, "sha256sum holes all; du -k holes all | cut -f1")).trim(), expected, format);
  }
});

rootTest("archives of GNU tar in every format give the tree that GNU tar makes of them", async () => {
  await using scratch = await scratchDirectory();
  await sh(
    scratch.path,
    `mkdir src; cd src; mkdir -p a/b/c e; echo hi > a/b/f; printf '%0200d' 0 > "$(printf 'n%0150d' 0)"
     ln -s ../b a/l; ln a/b/f e/hard; mkfifo e/p; mknod e/null c 1 3; chmod 4750 a/b/f; chown 1000:2000 a/b/f a
     long="$(printf 'd%0120d' 0)"; mkdir -p "$long/$long"; echo deep > "$long/$long/file"; ln -s "$long/$long/file" link
     setfattr -n user.k -v v a/b/f; touch -d '2001-02-03 04:05:06.789' a/b/f; touch -d @9 a/b/c a/b a e . ; chmod 1777 e`,
  );
  for (const [format, ...options] of [["gnu"], ["posix", "--xattrs", "--xattrs-include=*"], ["ustar"], ["v7"]]) {
    const [mine, theirs] = [`${scratch.path}/mine-${format}`, `${scratch.path}/theirs-${format}`];
    const skip = format === "ustar" || format === "v7"
      ? "--exclude=./d0* --exclude=./link --exclude=./n0* --exclude=./e/null --exclude=./e/p"
      : "";
    await sh(
      scratch.path,
      `tar -C src -cf ${format}.tar --format=${format} ${options.map((option) => `'${option}'`).join(" ")} ${skip} .`,
    );
    const bytes = await Deno.readFile(`${scratch.path}/${format}.tar`);
    await gnuUnpack(bytes, theirs);
    await apply(bytes, mine, { chunk_bytes: 1000 });
    assertEquals(await describeTree(mine), await describeTree(theirs), format);
  }
});

rootTest("data that belongs to no file is passed over", async () => {
  const stray = concat([entry({ name: "label", type: "V", data: "volume data" }), entry(file("f", "x"))]);
  await unpacked([stray, { name: ".wh.gone", data: "content" }], (path) => {
    assertEquals(treeOf(path), { f: "file x", gone: "whiteout" });
    return Promise.resolve();
  });
});
