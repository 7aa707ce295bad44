import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { testOperation } from "../support/scratch.ts";
import { layer, layoutOf, sha256 } from "./support/archives.ts";
import { type ImageRoot, imageRoot, NOTHING } from "./support/image_root.ts";

const base = layer("etc/base", "base");
const one = layer("etc/one", "one");
const two = layer("etc/two", "two more bytes");

async function add(root: ImageRoot, layers: Uint8Array[], name?: string): Promise<string> {
  const path = `${root.work}/${crypto.randomUUID()}`;
  await Deno.writeFile(path, layoutOf(layers, name).tar());
  const { images } = await root.images.import({ path }, {}, testOperation());
  return images[0]!.id;
}

async function use(root: ImageRoot, image: string, container: string): Promise<void> {
  await root.store.write((tx) =>
    tx.run(
      "INSERT INTO containers (id, name, image_id, spec, state, created_at_ms) VALUES (?, ?, ?, '{}', 'ready', 0)",
      container,
      container,
      image,
    )
  );
}

Deno.test("list and inspect count who shares what", async () => {
  await using root = await imageRoot();
  const first = await add(root, [base, one], "one:1");
  const second = await add(root, [base, two], "two:1");
  await use(root, second, "shop");
  const images = new Map(root.images.list().map((image) => [image.id, image]));
  assertEquals([images.get(first)?.size_bytes, images.get(first)?.unique_bytes], [
    base.length + one.length,
    one.length,
  ]);
  assertEquals([images.get(first)?.containers, images.get(second)?.containers], [0, 1]);
  const image = root.images.inspect("two:1");
  assertEquals(image.layer_list.map(({ shared_by, created_by }) => [shared_by, created_by]), [[2, "step 0"], [
    1,
    "step 1",
  ]]);
  assertEquals(image.created_at, "2024-05-06T07:08:09.123Z");
  assertEquals((image.config.config as { Cmd: string[] }).Cmd, ["/bin/sh"]);
  assertEquals(image.references, ["two:1"]);
});

Deno.test("an image is found by reference, id and unique prefix", async () => {
  await using root = await imageRoot();
  const id = await add(root, [base], "team/web");
  for (
    const name of ["team/web", "team/web:latest", `team/web@${id}`, id, id.slice(7), id.slice(7, 11), id.slice(0, 20)]
  ) {
    assertEquals(root.images.inspect(name).id, id, name);
  }
  for (const name of ["web", "team/web:2", "abc", `sha256:${"0".repeat(64)}`, `other@${id}`]) {
    const error = assertThrows(() => root.images.inspect(name), LaminaError);
    assertEquals(error.code, "NOT_FOUND", name);
  }
  for (const name of ["", "Team/web", "../x", "a b"]) {
    const error = assertThrows(() => root.images.inspect(name), LaminaError);
    assertEquals(error.code, "INVALID_ARGUMENT", name);
  }
});

Deno.test("a prefix that fits two images is refused", async () => {
  await using root = await imageRoot();
  await root.store.write((tx) => {
    for (const end of ["0", "1"]) {
      tx.run("INSERT INTO images VALUES (?, X'7b7d', NULL, 'linux/amd64', 0)", `sha256:${"ab".repeat(31)}0${end}`);
    }
  });
  assertThrows(() => root.images.inspect("abab"), LaminaError, "fits several");
});

Deno.test("tag moves a name and refuses bad ones", async () => {
  await using root = await imageRoot();
  const first = await add(root, [base], "web:1");
  const second = await add(root, [one], "web:2");
  await root.images.tag("web:1", "web:2", testOperation());
  assertEquals(root.images.inspect("web:2").id, first);
  assertEquals(root.images.inspect(second).references, []);
  await root.images.tag("web:1", "web:2", testOperation());
  assertEquals(root.events.filter(({ action, name }) => action === "tag" && name === "web:2").length, 2);
  for (const [image, name, code] of [["web:1", "Web", "INVALID_ARGUMENT"], ["absent", "x", "NOT_FOUND"]] as const) {
    const error = await assertRejects(() => root.images.tag(image, name, testOperation()), LaminaError);
    assertEquals(error.code, code);
  }
});

Deno.test("remove takes a name away first, and with the last one the image and the layers that nothing needs", async () => {
  await using root = await imageRoot();
  const first = await add(root, [base, one], "one:1");
  await add(root, [base, two], "two:1");
  await root.images.tag("one:1", "one:also", testOperation());
  const options = { force: false };
  assertEquals(await root.images.remove("one:also", options, testOperation()), {
    untagged: ["one:also"],
    deleted: [],
    reclaimed_bytes: 0,
  });
  const top = root.images.inspect("one:1").layer_list[1]!.chain_id;
  assertEquals(await root.images.remove("one:1", options, testOperation()), {
    untagged: ["one:1"],
    deleted: [first, top],
    reclaimed_bytes: one.length,
  });
  const left = await root.leftovers();
  assertEquals([left.layers.length, left.snapshots.length, left.recipes.length, left.intents], [2, 2, 2, 0]);
  await root.images.remove("two:1", options, testOperation());
  assertEquals(await root.leftovers(), NOTHING);
});

Deno.test("remove by id takes all names and the image", async () => {
  await using root = await imageRoot();
  const id = await add(root, [base, one], "one:1");
  await root.images.tag("one:1", "one:2", testOperation());
  const { untagged, deleted } = await root.images.remove(id.slice(7, 19), { force: false }, testOperation());
  assertEquals([untagged, deleted.length], [["one:1", "one:2"], 3]);
  assertEquals(await root.leftovers(), NOTHING);
});

Deno.test("remove of an image in use is refused and names the containers; force takes its names only", async () => {
  await using root = await imageRoot();
  const id = await add(root, [base], "web:1");
  await use(root, id, "shop");
  await use(root, id, "bar");
  for (const name of ["web:1", id]) {
    const error = await assertRejects(() => root.images.remove(name, { force: false }, testOperation()), LaminaError);
    assertEquals([error.code, error.details.containers], ["CONFLICT", ["bar", "shop"]]);
    assertStringIncludes(error.message, '"bar", "shop"');
  }
  assertEquals(await root.images.remove("web:1", { force: true }, testOperation()), {
    untagged: ["web:1"],
    deleted: [],
    reclaimed_bytes: 0,
  });
  const error = await assertRejects(() => root.images.remove(id, { force: true }, testOperation()), LaminaError);
  assertEquals(error.code, "CONFLICT");
  assertEquals((await root.leftovers()).layers.length, 1);
});

Deno.test("remove of a name that others share does not ask who uses the image", async () => {
  await using root = await imageRoot();
  const id = await add(root, [base], "web:1");
  await root.images.tag(id, "web:2", testOperation());
  await use(root, id, "shop");
  assertEquals((await root.images.remove("web:1", { force: false }, testOperation())).untagged, ["web:1"]);
});

Deno.test("prune takes untagged images, with all also unused ones, and frees exactly their layers", async () => {
  await using root = await imageRoot();
  const untagged = await add(root, [base, one]);
  const used = await add(root, [base, two]);
  await use(root, used, "shop");
  const named = await add(root, [base, two, one], "named:1");
  const first = await root.images.prune({ all: false }, testOperation());
  assertEquals([first.deleted[0], first.deleted.length, first.reclaimed_bytes], [untagged, 2, one.length]);
  assertEquals(root.images.list().map(({ id }) => id).sort(), [used, named].sort());
  const second = await root.images.prune({ all: true }, testOperation());
  assertEquals([second.deleted[0], second.deleted.length, second.untagged], [named, 2, ["named:1"]]);
  assertEquals(root.images.list().map(({ id }) => id), [used]);
  assertEquals((await root.leftovers()).layers.length, 2);
  assertEquals(await root.images.prune({ all: true }, testOperation()), {
    untagged: [],
    deleted: [],
    reclaimed_bytes: 0,
  });
});

Deno.test("one of two images with a common lower part takes only its own layers with it, whichever goes first", async () => {
  for (const first of ["a:1", "b:1"]) {
    await using root = await imageRoot();
    await add(root, [base, one], "a:1");
    await add(root, [base, one, two], "b:1");
    await root.images.remove(first, { force: false }, testOperation());
    const rest = root.images.list()[0]!;
    assertEquals((await root.leftovers()).layers.length, rest.layers);
    await root.images.remove(rest.id, { force: false }, testOperation());
    assertEquals(await root.leftovers(), NOTHING);
  }
});

Deno.test("collectGarbage removes layers without image, strays of the driver and their recipes, and nothing else", async () => {
  await using root = await imageRoot();
  await add(root, [base, one], "web:1");
  const doomed = await add(root, [base, two, one], "doomed:1");
  const before = root.images.inspect("web:1").layer_list.map(({ chain_id }) => chain_id).sort();
  await root.store.write((tx) => tx.run("DELETE FROM images WHERE id = ?", doomed));
  const stray = sha256(new TextEncoder().encode("stray"));
  const above = sha256(new TextEncoder().encode("above"));
  root.driver.snapshots.set(stray, { tar: base });
  root.driver.snapshots.set(above, { tar: base, parent: stray as never });
  root.driver.snapshots.set("container/x", { tar: base, parent: before[0] as never });
  await Deno.writeTextFile(root.layout.recipe(stray), "x");
  const { deleted, reclaimed_bytes } = await root.images.collectGarbage(testOperation());
  assertEquals([deleted.length, deleted.slice(2), reclaimed_bytes], [4, [above, stray], two.length + one.length]);
  const left = await root.leftovers();
  assertEquals([left.layers.sort(), left.recipes.length], [before, 2]);
  assertEquals(left.snapshots, ["container/x", ...before].sort());
});
