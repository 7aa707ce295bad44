import { assert, assertEquals, assertRejects } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { ExportOptions } from "../../runtime/services.ts";
import { testOperation } from "../support/scratch.ts";
import { layer, Layout, layoutOf, readStream, sha256, skopeo } from "./support/archives.ts";
import { type ImageRoot, imageRoot } from "./support/image_root.ts";

const base = layer("etc/base", "base".repeat(5000));
const one = layer("etc/one", "one");
const two = layer("etc/two", "two");

async function rootWithImages(): Promise<ImageRoot> {
  const root = await imageRoot();
  const layout = new Layout();
  layout.add(layout.manifest([base, one]), "team/one:1").add(layout.manifest([base, two, base]), "two:1");
  await Deno.writeFile(`${root.work}/images.tar`, layout.tar());
  await root.images.import({ path: `${root.work}/images.tar` }, {}, testOperation());
  return root;
}

async function exportTo(root: ImageRoot, images: string[], options: ExportOptions): Promise<string> {
  const path = `${root.work}/${options.format}-${options.compression}-${images.length}.tar`;
  await Deno.writeFile(path, await root.images.export(images, options, testOperation()));
  return path;
}

for (const format of ["oci", "docker"] as const) {
  for (const compression of ["none", "gzip", "zstd"] as const) {
    Deno.test(`export writes a ${format} archive (${compression}) that skopeo reads and that gives the same images again`, async () => {
      await using root = await rootWithImages();
      const path = await exportTo(root, ["team/one:1"], { format, compression });
      const source = format === "oci" ? `oci-archive:${path}` : `docker-archive:${path}`;
      const { Layers, Architecture } = JSON.parse(await skopeo("inspect", source));
      assertEquals(Layers.length, 2);
      assert(Architecture !== "");
      // Into the same format, because skopeo rewrites a config that changes its format.
      const target = format === "oci" ? `oci:${root.work}/copy:one` : `docker-archive:${root.work}/copy:one:1`;
      await skopeo("copy", "-q", source, target);
      const image = root.images.inspect("team/one:1");
      await using other = await imageRoot();
      const again = await other.images.import({ path }, {}, testOperation());
      assertEquals(again.images.map(({ id, references }) => [id, references]), [[image.id, ["team/one:1"]]]);
      const copied = await other.images.import({ path: `${root.work}/copy` }, {}, testOperation());
      assertEquals(copied.images[0]!.id, image.id);
      assertEquals(
        other.images.inspect(image.id).layer_list.map(({ diff_id }) => diff_id),
        image.layer_list.map(({ diff_id }) => diff_id),
      );
      assertEquals((await root.leftovers()).staging, []);
    });
  }

  Deno.test(`export writes several images into one ${format} archive, what they share once, always the same bytes`, async () => {
    await using root = await rootWithImages();
    for (const compression of ["none", "gzip"] as const) {
      const names = ["team/one:1", "two:1", "team/one"].slice(0, 2);
      const bytes = await readStream(await root.images.export(names, { format, compression }, testOperation()));
      const same = await readStream(await root.images.export(names, { format, compression }, testOperation()));
      assertEquals(sha256(bytes), sha256(same));
      await using other = await imageRoot();
      await Deno.writeFile(`${other.work}/a.tar`, bytes);
      const { images } = await other.images.import({ path: `${other.work}/a.tar` }, {}, testOperation());
      assertEquals(images.map(({ references }) => references), [["team/one:1"], ["two:1"]]);
      assertEquals(
        other.images.inspect("two:1").layer_list.map(({ diff_id }) => diff_id),
        [base, two, base].map(sha256),
      );
    }
  });
}

Deno.test("export by id gives no names, by several names all of them", async () => {
  await using root = await rootWithImages();
  await root.images.tag("two:1", "two:2", testOperation());
  const { id } = root.images.inspect("two:1");
  const options = { format: "oci", compression: "none" } as const;
  for (const [names, expected] of [[[id], []], [["two:1", "two:2"], ["two:1", "two:2"]]] as const) {
    await using other = await imageRoot();
    await Deno.writeFile(`${other.work}/a.tar`, await root.images.export(names, options, testOperation()));
    const { images } = await other.images.import({ path: `${other.work}/a.tar` }, {}, testOperation());
    assertEquals(images.map(({ references }) => references), [[...expected]]);
  }
});

Deno.test("export of what does not exist is refused before a byte is sent", async () => {
  await using root = await rootWithImages();
  const options = { format: "oci", compression: "none" } as const;
  for (const [names, code] of [[["absent"], "NOT_FOUND"], [[], "INVALID_ARGUMENT"]] as const) {
    const error = await assertRejects(() => root.images.export(names, options, testOperation()), LaminaError);
    assertEquals(error.code, code);
  }
});

Deno.test("an export that finds a layer changed fails, it does not end", async () => {
  await using root = await rootWithImages();
  const { chain_id } = root.images.inspect("team/one:1").layer_list[1]!;
  for (const tar of [one.slice(0, 600), new Uint8Array([...one, ...one])]) {
    root.driver.snapshots.set(chain_id, { tar });
    const stream = await root.images.export(["team/one:1"], { format: "oci", compression: "none" }, testOperation());
    const error = await assertRejects(() => readStream(stream), LaminaError);
    assertEquals(error.code, "DATA_LOSS");
  }
});

Deno.test("an export that is cancelled or aborted lets the layers go, and keeps them until then", async () => {
  for (const kind of ["cancelled", "aborted"]) {
    for (const compression of ["none", "gzip"] as const) {
      await using root = await rootWithImages();
      const abort = new AbortController();
      const operation = { ...testOperation(), signal: abort.signal };
      const stream = await root.images.export(["team/one:1"], { format: "docker", compression }, operation);
      const reader = stream.getReader();
      await reader.read();
      await root.images.remove("team/one:1", { force: false }, testOperation());
      await root.images.remove("two:1", { force: false }, testOperation());
      assertEquals((await root.leftovers()).layers.length, 2);
      if (kind === "cancelled") await reader.cancel();
      else {
        abort.abort();
        await assertRejects(() => reader.read());
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
      const left = await root.leftovers();
      assertEquals([left.layers, left.staging], [[], []]);
    }
  }
});

Deno.test("an image without layers survives export and import", async () => {
  await using root = await imageRoot();
  await Deno.writeFile(`${root.work}/a.tar`, layoutOf([], "empty:1").tar());
  await root.images.import({ path: `${root.work}/a.tar` }, {}, testOperation());
  for (const format of ["oci", "docker"] as const) {
    const path = await exportTo(root, ["empty:1"], { format, compression: "none" });
    const { images } = await root.images.import({ path }, {}, testOperation());
    assertEquals(images[0]?.already_present, true);
  }
});
