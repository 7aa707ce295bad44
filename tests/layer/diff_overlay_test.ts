import { assert, assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { OverlaySource } from "../../drivers/storage/layer/diff_overlay.ts";
import { overlayTar } from "../../drivers/storage/layer/diff_overlay_tar.ts";
import { removeTree } from "../../drivers/storage/layer/remove_tree.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { changeLines, overlayStack } from "./support/overlays.ts";
import { gnuList, gnuNames, joined, makeDeepTree, setAttribute, sh } from "./support/trees.ts";

function names(source: OverlaySource): Promise<string[]> {
  return gnuNames(joined(overlayTar(source)));
}

rootTest("An upper directory without changes has none, and its archive is empty", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, ["mkdir etc; echo x > etc/passwd", "cat etc/passwd; ls -l"]);
  assertEquals(changeLines(source), []);
  assertEquals(joined(overlayTar(source)), new Uint8Array(1024));
});

rootTest("Added, modified and deleted paths are listed as Docker does, parents included", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, [
    "mkdir -p etc/a/b usr/bin var/log; echo x > etc/a/b/file; echo y > etc/keep; echo z > usr/bin/tool; echo l > var/log/x",
    "echo more >> etc/a/b/file; mkdir -p new/dir; touch new/dir/file; rm usr/bin/tool; rm -r var/log; ln -s x link",
  ]);
  assertEquals(changeLines(source), [
    "C /etc",
    "C /etc/a",
    "C /etc/a/b",
    "C /etc/a/b/file",
    "A /link",
    "A /new",
    "A /new/dir",
    "A /new/dir/file",
    "C /usr",
    "C /usr/bin",
    "D /usr/bin/tool",
    "C /var",
    "D /var/log",
  ]);
  assertEquals(await names(source), [
    "./",
    "etc/",
    "etc/a/",
    "etc/a/b/",
    "etc/a/b/file",
    "link",
    "new/",
    "new/dir/",
    "new/dir/file",
    "usr/",
    "usr/bin/",
    "usr/bin/.wh.tool",
    "var/",
    "var/.wh.log",
  ]);
});

rootTest("A directory that was copied up but is as before is no change by itself", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, [
    "mkdir -p a/b; touch a/b/f; touch -d @5 a/b a",
    "chmod 700 a/b; chmod 755 a/b",
  ]);
  assertEquals(changeLines(source), []);
  await sh(source.upper, "chmod 711 a/b");
  assertEquals(changeLines(source), ["C /a", "C /a/b"]);
  await sh(source.upper, "chmod 755 a/b");
  setAttribute(source.upper, "a/b", "user.x", "1");
  assertEquals(changeLines(source), ["C /a", "C /a/b"]);
});

rootTest("A directory that was removed and made anew hides what was below it", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, [
    "mkdir -p d/sub/deep e; touch d/old d/both d/sub/x d/sub/deep/y e/1",
    "rm -r d; mkdir -p d/sub; echo new > d/both; touch d/added d/sub/z; rm -r e; echo file > e",
  ]);
  assertEquals(changeLines(source), [
    "C /d",
    "A /d/added",
    "C /d/both",
    "D /d/old",
    "C /d/sub",
    "D /d/sub/deep",
    "D /d/sub/x",
    "A /d/sub/z",
    "C /e",
  ]);
  assertEquals(await names(source), ["./", "d/", "d/.wh..wh..opq", "d/added", "d/both", "d/sub/", "d/sub/z", "e"]);
});

rootTest("Whiteouts and opaque marks that hide nothing are left out", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, ["mkdir d; touch d/x", "mkdir new; rm -r d; mkdir d"]);
  // The kernel marks every directory that is new in a merged one.
  await sh(source.upper, "mknod new/nothing c 0 0; mknod d/x c 0 0; mknod gone c 0 0");
  assertEquals(await names(source), ["./", "d/", "d/.wh..wh..opq", "new/"]);
  assertEquals(changeLines(source), ["C /d", "D /d/x", "A /new"]);
});

rootTest("What lower layers already hide is neither deleted nor modified again", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, [
    "mkdir -p d o; touch d/a d/b o/x f",
    "rm d/a f; rm -r o; mkdir o; touch o/y",
    "touch d/a o/x f; rm d/b",
  ]);
  assertEquals(changeLines(source), ["C /d", "A /d/a", "D /d/b", "A /f", "C /o", "A /o/x"]);
});

rootTest("Whiteouts by attribute count as whiteouts", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, ["touch a b; mkdir d; touch d/x", "touch c"]);
  await sh(source.upper, ": > a; mkdir d; : > d/x; : > b");
  setAttribute(source.upper, "a", "trusted.overlay.whiteout", "y");
  setAttribute(source.upper, "d/x", "trusted.overlay.whiteout", "y");
  setAttribute(source.upper, "d", "trusted.overlay.opaque", "x");
  setAttribute(source.upper, ".", "trusted.overlay.opaque", "x");
  assertEquals(changeLines(source), ["D /a", "C /b", "A /c", "C /d", "D /d/x"]);
  assertEquals(await names(source), ["./", ".wh.a", "b", "c", "d/", "d/.wh.x"]);
});

rootTest("An opaque root hides everything below", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, ["mkdir -p a b; touch a/x", "true"]);
  await sh(source.upper, "mkdir a");
  setAttribute(source.upper, ".", "trusted.overlay.opaque", "y");
  assertEquals(changeLines(source), ["C /a", "D /a/x", "D /b"]);
  assertEquals(await names(source), ["./", ".wh..wh..opq", "a/"]);
});

rootTest("Control attributes stay here, escaped ones go out unescaped", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, ["mkdir d; touch d/f", "touch d/f d/g; mkdir n"]);
  // As the kernel does for an overlay within the overlay, seen through the mount.
  setAttribute(source.upper, "n", "trusted.overlay.overlay.opaque", "y");
  setAttribute(source.upper, "d/g", "trusted.overlay.origin", "x");
  setAttribute(source.upper, "d/g", "user.overlay.opaque", "plain here");
  setAttribute(source.upper, "d/g", "user.overlay.overlay.x", "from an archive");
  setAttribute(source.upper, "d/g", "user.mine", "1");
  const list = await gnuList(joined(overlayTar(source)));
  assertEquals(list.match(/x: +\d+ \S+/g), [
    "x: 1 user.mine",
    "x: 10 user.overlay.opaque",
    "x: 15 user.overlay.x",
    "x: 1 trusted.overlay.opaque",
  ]);
  const user = await gnuList(joined(overlayTar({ ...source, form: "overlay-user" })));
  assertEquals(user.match(/user\.overlay\.\w+/g), ["user.overlay.x"]);
});

rootTest("The form of user namespaces is read by its own attributes", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir -p low/d low/e up/d up/e; touch low/d/x low/e/y up/d/n; mknod up/e/y c 0 0");
  setAttribute(scratch.path, "up/d", "user.overlay.opaque", "y");
  setAttribute(scratch.path, "up/e", "user.overlay.overlay.opaque", "y");
  const source = {
    kind: "overlay",
    upper: `${scratch.path}/up`,
    lowers: [`${scratch.path}/low`],
    form: "overlay-user",
  } as const;
  assertEquals(changeLines(source), ["C /d", "A /d/n", "D /d/x", "C /e", "D /e/y"]);
  assertEquals(await names(source), ["./", "d/", "d/.wh..wh..opq", "d/n", "e/", "e/.wh.y"]);
  assertEquals((await gnuList(joined(overlayTar(source)))).match(/x: .*/g), ["x: 1 user.overlay.opaque"]);
});

rootTest("An AUFS branch is read by its whiteout files", async () => {
  await using scratch = await scratchDirectory();
  await sh(
    scratch.path,
    `mkdir -p base/d base/o base/keep mid/d up/d up/o up/.wh..wh.plnk up/.wh..wh.orph
     touch base/d/a base/d/b base/d/c base/o/x base/z mid/.wh.z mid/d/.wh.c
     touch up/d/.wh.a up/d/b up/d/.wh.c up/o/.wh..wh..opq up/o/n up/.wh.keep up/.wh.z up/.wh..wh.aufs up/.wh..wh.plnk/1.2`,
  );
  const source = {
    kind: "overlay",
    upper: `${scratch.path}/up`,
    lowers: [`${scratch.path}/mid`, `${scratch.path}/base`],
    form: "fuse-overlayfs",
  } as const;
  assertEquals(changeLines(source), ["C /d", "D /d/a", "C /d/b", "D /keep", "C /o", "A /o/n", "D /o/x"]);
  assertEquals(await names(source), ["./", "d/", "d/.wh.a", "d/b", ".wh.keep", "o/", "o/.wh..wh..opq", "o/n"]);
});

rootTest("Without lower layers everything is added and the root comes first", async () => {
  await using scratch = await scratchDirectory();
  await sh(scratch.path, "mkdir -p up/a; touch up/a/f; chmod 700 up");
  const source = { kind: "overlay", upper: `${scratch.path}/up`, lowers: [], form: "overlay" } as const;
  assertEquals(changeLines(source), ["A /a", "A /a/f"]);
  assertEquals(await names(source), ["./", "a/", "a/f"]);
});

rootTest("A root of another mode is in the archive even when nothing else is", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, ["touch a", "chmod 700 ."]);
  assertEquals(await names(source), ["./"]);
  assertEquals(changeLines(source), []);
});

rootTest("A file that is only half in the upper directory is refused", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, ["touch f; mkdir d", "touch f; mkdir e"]);
  setAttribute(source.upper, "f", "trusted.overlay.metacopy", "");
  for (const work of [() => changeLines(source), () => joined(overlayTar(source))]) {
    const error = assertThrows(work, LaminaError);
    assertEquals(error.code, "UNSUPPORTED");
    assert(error.message.includes('"/f"') && error.message.includes("metacopy=off"));
  }
});

rootTest("A file that is named like a whiteout is refused in a layer", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, ["mkdir d", "touch d/.wh.evil"]);
  const error = assertThrows(() => joined(overlayTar(source)), LaminaError);
  assertEquals(error.code, "INVALID_ARGUMENT");
  assertEquals(changeLines(source), ["C /d", "A /d/.wh.evil"]);
});

rootTest("Changes 3,000 levels deep are found in every layer", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, ["mkdir a", "mkdir b"]);
  makeDeepTree(source.lowers[0]!, 3000, "d");
  makeDeepTree(source.upper, 3000, "d");
  const lines = changeLines(source);
  assertEquals(lines.length, 3002);
  assertEquals([lines[0], lines.at(-1)], ["A /b", `C /${"d/".repeat(3000)}bottom`]);
  for (const layer of [source.upper, source.lowers[0]!]) removeTree(`${layer}/d`);
});

rootTest("A symbolic link of a lower layer is never followed", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, [
    `mkdir real; touch real/x; ln -s real link; ln -s /etc host`,
    "rm link host; mkdir link host; touch link/x host/passwd",
  ]);
  assertEquals(changeLines(source), ["C /host", "A /host/passwd", "C /link", "A /link/x"]);
});

rootTest("Hard links within the upper directory are links in the archive", async () => {
  await using scratch = await scratchDirectory();
  const source = await overlayStack(scratch.path, ["echo x > a; ln a b", "echo y > n; ln n m; echo z >> a"]);
  const list = await gnuList(joined(overlayTar(source)));
  assert(/n link to m/.test(list));
  assertEquals(changeLines(source), ["C /a", "A /m", "A /n"]);
});
