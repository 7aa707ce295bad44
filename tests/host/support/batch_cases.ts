/** What every mounter does with batches, failures, busy targets and descriptors. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import { inUserNamespace } from "../../../runtime/host/host_facts.ts";
import { openInRoot } from "../../../runtime/host/rootfs_path.ts";
import { patience, type PlaceTest } from "./place.ts";

/** See the head of the file. */
export function batchCases(test: PlaceTest): void {
  test("a batch is mounted in order, each upon what came before", async (p) => {
    await p.directories("t", "s/sub");
    await p.write("s/sub/f", "x");
    await p.mount(p.tmpfs("t"));
    await p.directories("t/a");
    await p.mount(p.bind("s", "t/a"), p.bind("t/a/sub", "t/a", "ro"), p.tmpfs("s"));
    assertEquals(await p.read("t/a/f"), "x");
    await p.unmount("t/a", "t/a", "t", "s");
    assertEquals(p.mounts(), []);
  });

  test("the same mount asked for again is made again on top", async (p) => {
    await p.directories("s", "t");
    await p.mount(p.bind("s", "t"));
    await p.mount(p.bind("s", "t"), p.bind("s", "t"));
    assertEquals(p.mounts().length, 3);
    await p.unmount("t", "t", "t");
    assertEquals(p.mounts(), []);
  });

  test("when one of a batch fails, those before and after it are gone and older mounts stay", async (p) => {
    await p.directories("s", "old", "t1", "t2", "t3");
    await p.mount(p.bind("s", "old"));
    await p.fails(
      [p.bind("s", "t1", "ro"), p.tmpfs("t2"), p.bind("missing", "t3"), p.tmpfs("t3")],
      "NOT_FOUND",
      p.at("missing"),
    );
    assertEquals(p.mounts().map((entry) => entry.target), [p.at("old")]);
  });

  test("a failed call takes nothing from calls that run at the same time", async (p) => {
    const names = Array.from({ length: 20 }, (_, i) => `t${i}`);
    await p.directories("s", ...names);
    const results = await Promise.allSettled(
      names.map((name, i) =>
        i % 3 === 0 ? p.mount(p.bind("s", name), p.bind("missing", name)) : p.mount(p.bind("s", name, "ro"))
      ),
    );
    const wanted = names.filter((_, i) => i % 3 !== 0);
    assertEquals(results.map((r) => r.status), names.map((_, i) => i % 3 === 0 ? "rejected" : "fulfilled"));
    assertEquals(p.mounts().map((entry) => entry.target).sort(), wanted.map((name) => p.at(name)).sort());
    await p.unmount(...names);
  });

  test("50 overlays at once are mounted and taken away", async (p) => {
    const names = Array.from({ length: 50 }, (_, i) => `c${i}`);
    await p.directories("l1", "l2");
    for (const name of names) await p.directories(`${name}/u`, `${name}/w`, `${name}/t`);
    await Promise.all(
      names.map((n) =>
        p.mount(p.overlay(`${n}/t`, ["l1", "l2"], `upperdir=${p.at(`${n}/u`)}`, `workdir=${p.at(`${n}/w`)}`))
      ),
    );
    assertEquals(p.mounts().length, 50);
    await Promise.all(names.map((n) => p.unmount(`${n}/t`)));
    assertEquals(p.mounts(), []);
  });

  test("a missing source, a missing target and an unknown type are told apart", async (p) => {
    await p.directories("s", "t");
    await p.write("file", "x");
    await p.fails([p.bind("no-source", "t")], "NOT_FOUND", p.at("no-source"), p.at("t"));
    await p.fails([p.bind("s", "no-target")], "NOT_FOUND", p.at("no-target"));
    await p.fails([p.tmpfs("no-target")], "NOT_FOUND", p.at("no-target"));
    await p.fails([{ ...p.tmpfs("t"), type: "nosuchfs" }], "UNSUPPORTED", "nosuchfs");
    await p.fails([p.overlay("t", ["s", "no-lower"])], "NOT_FOUND", p.at("no-lower"));
    await p.fails([p.tmpfs("t", "size=everything")], "INVALID_ARGUMENT", p.at("t"));
    await p.fails([p.bind("s", "file")], "CONFLICT", p.at("file"));
    // A user namespace may not mount from devices at all.
    const code = inUserNamespace() ? "PERMISSION_DENIED" : "INVALID_ARGUMENT";
    await p.fails([{ ...p.tmpfs("t"), type: "ext4", source: p.at("file") }], code, p.at("file"));
    assertEquals(p.mounts(), []);
  });

  test("what makes no sense is refused before anything is done", async (p) => {
    await p.directories("s", "t");
    const nonsense: Mount[] = [
      { ...p.bind("s", "t"), target: "relative" },
      { ...p.bind("s", "t"), target: `${p.at("t")}\0` },
      p.bind("s", "t", "size=1m"),
      { ...p.tmpfs("t"), type: "" },
    ];
    for (const mount of nonsense) await p.fails([p.bind("s", "t"), mount], "INVALID_ARGUMENT");
    assertEquals(p.mounts(), []);
  });

  test("an error tells no option's value", async (p) => {
    await p.directories("t");
    const error = await p.fails([p.tmpfs("t", "password=hunter2")], "INVALID_ARGUMENT");
    assert(!JSON.stringify(error.toJSON()).includes("hunter2"));
  });

  test("a busy target is a conflict that names who uses it, and leaves lazily", async (p) => {
    await p.directories("s", "t", "other");
    await p.mount(p.tmpfs("t"), p.bind("s", "other"));
    await p.write("t/f", "x");
    using _file = await Deno.open(p.at("t/f"));
    const error = await assertRejects(() => p.unmount("t", "other"), LaminaError);
    assertEquals(error.code, "CONFLICT");
    assertStringIncludes(error.message, p.at("t"));
    assertStringIncludes(error.message, `process ${Deno.pid}`);
    assertEquals(p.mounts().map((entry) => entry.target), [p.at("t")], "the other target was to be unmounted");
    await p.mounter.unmount([p.at("t")], { ...patience, lazy: true });
    assertEquals(p.mounts(), []);
  });

  test("a mount below keeps a target busy and is named", async (p) => {
    await p.directories("t");
    await p.mount(p.tmpfs("t"));
    await p.directories("t/in");
    await p.mount(p.tmpfs("t/in"));
    const error = await assertRejects(() => p.unmount("t"), LaminaError);
    assertEquals(error.code, "CONFLICT");
    assertStringIncludes(error.message, p.at("t/in"));
    await p.unmount("t/in", "t");
    assertEquals(p.mounts(), []);
  });

  test("unmounting what is no mount point, or not there, is success", async (p) => {
    await p.directories("t", "s");
    await p.unmount("t", "missing", "missing/below");
    await p.mount(p.bind("s", "t"));
    await p.unmount("missing", "t", "t", "t");
    assertEquals(p.mounts(), []);
  });

  test("a target inside a root is mounted upon by its descriptor, whatever its path has become", async (p) => {
    await p.directories("s", "root/data", "outside");
    await p.write("s/f", "x");
    using opened = openInRoot(p.at("root"), "/data");
    await p.mount({ ...p.bind("s", "root/data", "ro"), target: opened.procPath });
    assertEquals(await p.read("root/data/f"), "x");
    p.has("root/data", "ro");
    await p.unmount("root/data");
    // A link put in the place of the target leads nowhere: the descriptor is still the directory.
    await Deno.rename(p.at("root/data"), p.at("root/moved"));
    await Deno.symlink(p.at("outside"), p.at("root/data"));
    await p.mount({ ...p.bind("s", "root/data"), target: opened.procPath });
    assertEquals(p.mounts().map((entry) => entry.target), [p.at("root/moved")]);
    await p.fails([{ ...p.bind("missing", "x"), target: opened.procPath }], "NOT_FOUND");
    assertEquals(p.mounts().length, 1);
  });

  test("a failed batch on descriptors is undone too", async (p) => {
    await p.directories("s", "root/a", "root/b");
    using a = openInRoot(p.at("root"), "/a");
    using b = openInRoot(p.at("root"), "/b");
    await p.fails(
      [{ ...p.bind("s", ""), target: a.procPath }, { ...p.bind("missing", ""), target: b.procPath }],
      "NOT_FOUND",
    );
    assertEquals(p.mounts(), []);
  });

  test("a caller that has given up gets nothing mounted", async (p) => {
    await p.directories("s", "t");
    const gone = AbortSignal.abort(new DOMException("gone", "AbortError"));
    const error = await assertRejects(() => p.mounter.mount([p.bind("s", "t")], { signal: gone }), LaminaError);
    assertEquals(error.code, "CANCELLED");
    const late = new AbortController();
    const call = p.mounter.mount([p.bind("s", "t")], { signal: late.signal });
    late.abort();
    await call.catch((error) => assertEquals(error.code, "CANCELLED"));
    await p.unmount("t");
    assertEquals(p.mounts(), []);
  });
}
