/** What every mounter does with one mount. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Place, type PlaceTest } from "./place.ts";
import { escapeOverlayDirectory } from "../../../runtime/host/overlay_options.ts";

/** Single mounts: each kind and each option. `recursiveReadOnly`: whether the kernel can do that. */
export function singleMountCases(test: PlaceTest, recursiveReadOnly: boolean): void {
  test("a bind shows its source and shares it", async (p) => {
    await p.directories("s", "t");
    await p.mount(p.bind("s", "t"));
    await p.write("t/f", "x");
    assertEquals(await p.read("s/f"), "x");
    await p.unmount("t");
    assertEquals(p.mounts(), []);
  });

  test("a file is bound onto a file", async (p) => {
    await p.write("s", "source");
    await p.write("t", "target");
    await p.mount(p.bind("s", "t", "ro"));
    assertEquals(await p.read("t"), "source");
    await assertRejects(() => p.write("t", "no"));
    await p.unmount("t");
    assertEquals(await p.read("t"), "target");
  });

  test("a read-only bind refuses writes, its source does not", async (p) => {
    await p.directories("s", "t");
    await p.mount(p.bind("s", "t", "ro", "nosuid", "nodev", "noexec", "noatime"));
    p.has("t", "ro", "nosuid", "nodev", "noexec", "noatime");
    await assertRejects(() => p.write("t/f", "no"));
    await p.write("s/f", "yes");
    assertEquals(await p.read("t/f"), "yes");
  });

  test("a bind with options keeps those that its source has", async (p) => {
    await p.directories("s", "t", "u", "w");
    await p.mount(p.tmpfs("s", "nosuid", "nodev", "noexec", "noatime"));
    await p.mount(p.bind("s", "t", "ro"));
    p.has("t", "ro", "nosuid", "nodev", "noexec", "noatime");
    await p.mount(p.bind("s", "u", "relatime", "nosuid"));
    p.has("u", "rw", "nosuid", "nodev", "noexec", "relatime");
    p.lacks("u", "noatime");
    await p.mount(p.bind("t", "w", "rw", "suid"));
    p.has("w", "ro", "nosuid");
  });

  test("of contradicting options the last one wins", async (p) => {
    await p.directories("s", "t", "u");
    await p.mount(p.bind("s", "t", "ro", "rw"), p.bind("s", "u", "rw", "ro"));
    p.has("t", "rw");
    p.has("u", "ro");
  });

  test("a remount changes a bind's own options and nothing else", async (p) => {
    await p.directories("s", "t");
    await p.mount(p.bind("s", "t", "nosuid"));
    await p.mount({ ...p.bind("s", "t", "remount", "bind", "ro") });
    p.has("t", "ro", "nosuid");
    await p.mount({ ...p.bind("s", "t", "remount", "bind", "rw") });
    p.has("t", "rw", "nosuid");
    await p.write("t/f", "x");
    assertEquals(p.mounts().length, 1);
  });

  test("a remount changes a file system's own options", async (p) => {
    await p.directories("t");
    await p.mount(p.tmpfs("t", "size=1m", "nosuid"));
    await p.mount(p.tmpfs("t", "remount", "size=2m"));
    p.has("t", "nosuid");
    assertStringIncludes(p.entry("t").superOptions, "size=2048k");
  });

  test("rbind takes the mounts below along, read-only all the way down", async (p) => {
    await p.directories("s", "t", "u", "w");
    await p.mount(p.tmpfs("s"));
    await p.directories("s/in");
    await p.mount(p.tmpfs("s/in"));
    await p.mount(p.bind("s", "t"), { ...p.bind("s", "u"), options: ["rbind"] });
    assertEquals(p.mounts().filter((m) => m.target.startsWith(p.at("t"))).length, 1);
    assertEquals(p.mounts().filter((m) => m.target.startsWith(p.at("u"))).length, 2);
    await p.mount({ ...p.bind("s", "w"), options: ["rbind", "ro"] });
    p.has("w", "ro");
    if (!recursiveReadOnly) return;
    p.has("w/in", "ro");
    await assertRejects(() => p.write("w/in/f", "no"));
    await p.write("s/in/f", "yes");
  });

  test("propagation is set as asked, on a new mount and on one that stands", async (p) => {
    await p.directories("s", "t", "u");
    await p.mount(p.bind("s", "t", "shared"), p.bind("s", "u", "rprivate"));
    assert(p.entry("t").propagation.some((tag) => tag.startsWith("shared:")));
    assertEquals(p.entry("u").propagation, []);
    await p.mount({ type: "", source: "", target: p.at("t"), options: ["rslave"] });
    await p.mount({ type: "none", source: "none", target: p.at("u"), options: ["unbindable"] });
    assertEquals(p.entry("u").propagation, ["unbindable"]);
    assertEquals(p.entry("t").propagation, []);
  });

  test("a tmpfs gets its size and mode", async (p) => {
    await p.directories("t");
    await p.mount(p.tmpfs("t", "size=64k", "mode=1770", "noexec", "x-lamina.note=1", "nofail"));
    p.has("t", "noexec");
    assertEquals((await Deno.stat(p.at("t"))).mode! & 0o7777, 0o1770);
    await assertRejects(() => p.write("t/f", "x".repeat(100_000)), Error, "No space");
  });

  test("an overlay merges its layers and writes to the upper one", async (p) => {
    await p.directories("l1", "l2", "u", "w", "t");
    await p.write("l1/a", "1");
    await p.write("l2/a", "2");
    await p.write("l2/b", "2");
    await p.mount(p.overlay("t", ["l1", "l2"], `upperdir=${p.at("u")}`, `workdir=${p.at("w")}`));
    assertEquals([await p.read("t/a"), await p.read("t/b")], ["1", "2"]);
    await p.write("t/b", "new");
    assertEquals([await p.read("u/b"), await p.read("l2/b")], ["new", "2"]);
  });

  test("an overlay of 128 layers with long paths is mounted", async (p) => {
    await manyLayers(p, 128, "a-name-that-is-a-good-deal-longer-than-it-would-have-to-be-for-one-layer/fs");
  });

  test("an overlay of 500 layers with long paths in different directories is mounted", async (p) => {
    await manyLayers(p, 500, `${"deep/".repeat(20)}${"long".repeat(20)}/fs`);
  });

  test("501 layers are refused with the kernel's limit", async (p) => {
    await p.directories("t", "l");
    const error = await p.fails([p.overlay("t", Array(501).fill("l"))], "INVALID_ARGUMENT", "501", "500");
    assertEquals(error.details.limit, 500);
  });

  for (
    const ugly of [
      "co,mma",
      "co:lon",
      "back\\slash",
      "sp ace",
      "new\nline",
      'quo"te',
      "tab\t",
      "#hash",
      "é\u{1f600}",
      " x ",
      "\\040",
    ]
  ) {
    test(`names like ${JSON.stringify(ugly)} work everywhere`, async (p) => {
      const [s, t, l, u, w, o] = ["s", "t", "l", "u", "w", "o"].map((name) => `${ugly}/${name}${ugly}`);
      await p.directories(s!, t!, l!, `${l}2`, u!, w!, o!);
      await p.write(`${l}/f`, "lower");
      await p.mount(
        p.bind(s!, t!, "ro"),
        p.overlay(
          o!,
          [l!, `${l}2`],
          `upperdir=${escapeOverlayDirectory(p.at(u!))}`,
          `workdir=${escapeOverlayDirectory(p.at(w!))}`,
        ),
      );
      p.has(t!, "ro");
      assertEquals(await p.read(`${o}/f`), "lower");
      await p.write(`${o}/g`, "upper");
      assertEquals(await p.read(`${u}/g`), "upper");
      await p.unmount(o!, t!);
      assertEquals(p.mounts(), []);
    });
  }
}

async function manyLayers(p: Place, count: number, name: string): Promise<void> {
  const layers = Array.from({ length: count }, (_, i) => `layers/${i}/${name}`);
  await p.directories("u", "w", "t", ...layers);
  for (const [i, layer] of layers.entries()) {
    await p.write(`${layer}/all`, String(i));
    await p.write(`${layer}/only${i}`, String(i));
  }
  await p.mount(p.overlay("t", layers, `upperdir=${p.at("u")}`, `workdir=${p.at("w")}`));
  assertEquals(await p.read("t/all"), "0");
  assertEquals(await p.read(`t/only${count - 1}`), String(count - 1));
  assertEquals([...Deno.readDirSync(p.at("t"))].length, count + 1);
  await p.write("t/all", "new");
  assertEquals(await p.read("u/all"), "new");
  await p.unmount("t");
  assertEquals(p.mounts(), []);
}
