import { assert, assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { removeTree } from "../../drivers/storage/layer/remove_tree.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { makeDeepTree, makeRichTree, sh } from "./support/trees.ts";

rootTest("A tree with one of everything is removed, and nothing else", async () => {
  await using scratch = await scratchDirectory();
  await makeRichTree(`${scratch.path}/rich`);
  await sh(scratch.path, "mkdir keep; touch keep/x; ln -s ../keep rich/link; ln keep/x rich/hard");
  removeTree(`${scratch.path}/rich`);
  assertEquals(await sh(scratch.path, "find . -mindepth 1 | sort"), "./keep\n./keep/x\n");
});

rootTest("Absent is success; files, links and devices are removed themselves", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir target; touch target/x f; ln -s target l; mknod n c 0 0");
  for (const name of ["none", "none/below", "f/below", "f", "l", "n"]) removeTree(`${scratch.path}/${name}`);
  assertEquals(await sh(scratch.path, "find . -mindepth 1 | sort"), "./target\n./target/x\n");
  const error = assertThrows(() => removeTree("/"), LaminaError);
  assertEquals(error.code, "INVALID_ARGUMENT");
});

rootTest("What is mounted on or in the tree stops the removal and stays", async () => {
  await using scratch = await scratchDirectory();
  await sh(
    scratch.path,
    `mkdir -p t/a/mnt b/bound host file on; echo data > host/data; mount --bind host t/a/mnt; mount --bind host b/bound
     echo data > host.conf; touch file/conf; mount --bind host.conf file/conf; mount -t tmpfs x on; touch on/inside`,
  );
  for (const name of ["t", "b", "file", "on"]) {
    const error = assertThrows(() => removeTree(`${scratch.path}/${name}`), LaminaError);
    assertEquals(error.code, "CONFLICT");
    assert(/mounted on/.test(error.message) && error.message.includes("Unmount it first"), error.message);
  }
  assertEquals(await sh(scratch.path, "cat host/data host.conf; ls on"), "data\ndata\ninside\n");
  await sh(scratch.path, "umount t/a/mnt b/bound file/conf on");
  for (const name of ["t", "b", "file", "on"]) removeTree(`${scratch.path}/${name}`);
  assertEquals(await sh(scratch.path, "ls"), "host\nhost.conf\n");
});

rootTest("A tree of 3,000 levels with files on each is removed", async () => {
  await using scratch = await scratchDirectory();
  await Deno.mkdir(`${scratch.path}/t`);
  makeDeepTree(`${scratch.path}/t`, 3000, "d".repeat(100));
  await sh(`${scratch.path}/t`, "find . -type d -execdir touch a z \\;");
  removeTree(`${scratch.path}/t`);
  assertEquals(await sh(scratch.path, "ls -A"), "");
});

rootTest("Removal works on a full disk", async () => {
  await using scratch = await scratchDirectory();
  await sh(
    scratch.path,
    `truncate -s 16M image; mkfs.ext4 -q -F image; mkdir m; mount -o loop image m; mkdir -p m/t/a/b m/t/c
     touch m/t/a/b/f m/t/c/g; cat /dev/zero > m/t/fill 2>/dev/null || true
     test $(df --output=avail m | tail -1) = 0`,
  );
  removeTree(`${scratch.path}/m/t`);
  assertEquals(await sh(scratch.path, "ls m"), "lost+found\n");
});

rootTest("Immutable files do not keep a tree alive", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir -p t/d t/e; touch t/d/f t/e/g; chattr +i t/d/f t/e 2>/dev/null || true");
  removeTree(`${scratch.path}/t`);
  assertEquals(await sh(scratch.path, "ls -A"), "");
});

rootTest("A directory with many names is removed", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir t; cd t; seq 1 20000 | xargs touch; mkdir $(seq 30000 30100)");
  removeTree(`${scratch.path}/t`);
  assertEquals(await sh(scratch.path, "ls -A"), "");
});

rootTest("A read-only file system is named as the cause", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir m; mount -t tmpfs x m; mkdir m/t; touch m/t/f; mount -o remount,ro m");
  const error = assertThrows(() => removeTree(`${scratch.path}/m/t`), LaminaError);
  assertEquals(error.code, "UNAVAILABLE");
  assert(error.message.includes("read-only"), error.message);
});
