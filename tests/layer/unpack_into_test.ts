import { assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { backgroundOperation } from "../../runtime/core/operation.ts";
import { createLayerEngine } from "../../drivers/storage/layer/layer_engine.ts";
import type { TarStream } from "../../drivers/storage/layer/types.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { treeOf } from "./support/apply.ts";
import { archive, dir, file, type HandEntry, hardlink, opaque, symlink, whiteout } from "./support/tar_builder.ts";
import { sh } from "./support/trees.ts";

/** Unpacks into `path` of a root made by a script; `look` sees the root. Something beside the root must stay as it is. */
async function into(
  script: string,
  path: string,
  entries: readonly HandEntry[],
  look: (root: string) => Promise<void> | void = () => {},
): Promise<void> {
  await using scratch = await scratchDirectory();
  await using engine = createLayerEngine();
  const root = `${scratch.path}/root`;
  await sh(scratch.path, `mkdir root outside; echo secret > outside/file; cd root; ${script}`);
  const stream = ReadableStream.from([archive(entries)]) as TarStream;
  try {
    await engine.unpackInto({ stream, root, path }, backgroundOperation());
    await look(root);
  } finally {
    await sh(scratch.path, "! mountpoint -q root/p/m || test -s root/p/m/f; umount -l root/mnt 2>/dev/null || true");
    assertEquals(
      await sh(scratch.path, "cat outside/file; ls -A . outside"),
      "secret\n.:\noutside\nroot\n\noutside:\nfile\n",
    );
  }
}

rootTest("an archive from outside lands below a directory of the root", async () => {
  await into("mkdir -p srv/data", "/srv/data", [file("f"), dir("d"), file("d/g", "g", { uid: 7 })], async (root) => {
    assertEquals(treeOf(root), {
      srv: "dir",
      "srv/data": "dir",
      "srv/data/d": "dir",
      "srv/data/d/g": "file g",
      "srv/data/f": "file f",
    });
    assertEquals((await sh(root, "stat -c %u srv/data/d/g")).trim(), "7");
  });
});

rootTest("the directory is found inside the root, whatever links lead there", async () => {
  await into("mkdir -p a/real; ln -s /a/real abs; ln -s ../../../abs up", "/up", [file("f")], (root) => {
    assertEquals(treeOf(root)["a/real/f"], "file f");
  });
  await into("ln -s ../outside out; mkdir outside", "/out", [file("f")], (root) => {
    assertEquals(treeOf(root)["outside/f"], "file f");
  });
});

rootTest("links inside the root are followed inside the root only", async () => {
  await into(
    "mkdir d etc; ln -s /etc d/abs; ln -s ../../outside d/up",
    "/d",
    [file("abs/f"), file("up/file", "new")],
    (root) => {
      assertEquals([treeOf(root)["etc/f"], treeOf(root)["outside/file"]], ["file abs/f", "file new"]);
    },
  );
});

rootTest("names that look like whiteouts are ordinary names", async () => {
  const entries = [file("keep"), whiteout("keep"), opaque(""), file(".wh."), { name: ".wh..", data: "x" }];
  await into("echo old > old", "/", entries, (root) => {
    assertEquals(Object.keys(treeOf(root)), [".wh.", ".wh..", ".wh..wh..opq", ".wh.keep", "keep", "old"]);
  });
});

rootTest(
  "existing directories take the archive's attributes, their children and unnamed directories stay",
  async () => {
    const entries = [
      dir("named", { mode: 0o700, mtime: 5 }),
      file("named/new"),
      file("other/new"),
      dir("made", { mtime: 6 }),
      file("made/f"),
    ];
    await into(
      "mkdir named other; touch named/old; chmod 750 other; touch -d @3 named other",
      "/",
      entries,
      async (root) => {
        assertEquals(Object.keys(treeOf(root)), [
          "made",
          "made/f",
          "named",
          "named/new",
          "named/old",
          "other",
          "other/new",
        ]);
        assertEquals((await sh(root, "stat -c '%a %Y' named made")).trim().split("\n"), ["700 5", "755 6"]);
        const [mode, time] = (await sh(root, "stat -c '%a %Y' other")).trim().split(" ");
        assertEquals([mode, time === "3"], ["750", false]); // somebody put a file into it
      },
    );
  },
);

rootTest("the entry of the top replaces the attributes of the directory itself", async () => {
  await into("mkdir d", "/d", [dir(".", { mode: 0o711, uid: 9, mtime: 4 }), file("f")], async (root) => {
    assertEquals((await sh(root, "stat -c '%a %u %Y' d")).trim(), "711 9 4");
  });
});

rootTest("attributes of overlayfs are kept as they are: a volume may hold a container store", async () => {
  const pax = { "SCHILY.xattr.trusted.overlay.opaque": "y" };
  await into("mkdir d", "/d", [dir("lower", { pax })], async (root) => {
    assertEquals(await sh(root, "getfattr --only-values -n trusted.overlay.opaque d/lower"), "y");
  });
});

rootTest("mounts inside the root are entered, and never replaced or emptied", async () => {
  const mount = "mkdir mnt; mount -t tmpfs none mnt; mkdir mnt/d; echo volume > mnt/d/f";
  await into(mount, "/", [file("mnt/new")], async (root) => {
    assertEquals(await sh(root, "cat mnt/new mnt/d/f"), "mnt/newvolume\n");
  });
  for (const entry of [file("mnt", "x"), symlink("mnt", "/etc")]) {
    const error = await assertRejects(() => into(mount, "/", [entry]), LaminaError, "mounted there");
    assertEquals(error.code, "CONFLICT");
  }
  const below = "mkdir -p p/m; mount -t tmpfs none p/m; echo volume > p/m/f";
  await assertRejects(() => into(below, "/", [file("p", "x")]), LaminaError, "mounted there");
});

const refused: Array<[what: string, script: string, path: string, entries: HandEntry[], code: LaminaError["code"]]> = [
  ["a directory that is missing", ":", "/nowhere", [file("f")], "NOT_FOUND"],
  ["a file as the directory", "touch f", "/f", [file("f")], "CONFLICT"],
  ["a path that is not absolute", "mkdir d", "d", [file("f")], "INVALID_ARGUMENT"],
  ["a name with ..", "mkdir d", "/d", [file("../f")], "INVALID_ARGUMENT"],
  ["a hard link out of the directory", "mkdir d; touch f", "/d", [hardlink("h", "../f")], "INVALID_ARGUMENT"],
  ["a file in the place of the directory", "mkdir d", "/d", [file(".", "x")], "INVALID_ARGUMENT"],
];
for (const [what, script, path, entries, code] of refused) {
  rootTest(`unpacking into a tree refuses ${what}`, async () => {
    const error = await assertRejects(() => into(script, path, entries), LaminaError);
    assertEquals(error.code, code);
  });
}
