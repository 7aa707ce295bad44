import { assertEquals } from "@std/assert";
import { testOperation } from "../support/scratch.ts";
import {
  configOf,
  dockerArchive,
  layer,
  Layout,
  layoutOf,
  legacyArchive,
  sha256,
  stored,
  streamOfBytes,
  tarOf,
} from "./support/archives.ts";
import { imageRoot } from "./support/image_root.ts";

const base = layer("etc/base", "base");
const middle = layer("etc/middle", "middle");
const top = layer("etc/top", "top");
const id = sha256(configOf([base, middle, top]));

/** The ways in which one image can be given. */
const archives: Record<string, () => Uint8Array<ArrayBuffer>> = {
  "an OCI layout tar": () => layoutOf([base, middle, top], "web:1").tar(),
  "an OCI layout tar with zstd layers": () => layoutOf([base, middle, top], "web:1", "zstd").tar(),
  "an OCI layout tar with plain layers": () => layoutOf([base, middle, top], "web:1", "none").tar(),
  "an OCI layout tar with ./ before its names": () =>
    tarOf(
      Object.entries(layoutOf([base, middle, top], "web:1").all()).map(([name, data]) => [`./${name}`, data] as const),
    ),
  "a docker save archive": () => tarOf(dockerArchive([base, middle, top], ["web:1"]).files),
  "a docker save archive with compressed layers": () =>
    tarOf(dockerArchive([base, middle, top], ["web:1"], "gzip").files),
};

for (const [what, build] of Object.entries(archives)) {
  for (const as of ["none", "gzip", "zstd"] as const) {
    for (const way of ["file", "stream"] as const) {
      Deno.test(`import takes ${what}, compressed: ${as}, as a ${way}`, async () => {
        await using root = await imageRoot();
        const bytes = stored(build(), as);
        const path = `${root.work}/archive`;
        await Deno.writeFile(path, bytes);
        const source = way === "file" ? { path } : { stream: streamOfBytes(bytes) };
        const result = await root.images.import(source, {}, testOperation());
        assertEquals(result, {
          images: [{
            id,
            references: ["web:1"],
            layers_total: 3,
            layers_unpacked: 3,
            layers_shared: 0,
            already_present: false,
          }],
          warnings: [],
        });
        const left = await root.leftovers();
        assertEquals([left.staging, left.intents, left.layers.length, left.recipes.length], [[], 0, 3, 3]);
        assertEquals(
          root.images.inspect("web:1").layer_list.map((item) => item.diff_id),
          [base, middle, top].map(sha256),
        );
      });
    }
  }
}

Deno.test("import takes an OCI layout directory, links inside it included", async () => {
  await using root = await imageRoot();
  const directory = await layoutOf([base, middle, top], "web:1").write(`${root.work}/layout`);
  await Deno.rename(`${directory}/index.json`, `${directory}/real-index`);
  await Deno.symlink("real-index", `${directory}/index.json`);
  const { images } = await root.images.import({ path: directory }, {}, testOperation());
  assertEquals(images.map((image) => image.id), [id]);
});

Deno.test("import takes a docker save archive of the time before manifest.json", async () => {
  await using root = await imageRoot();
  const path = `${root.work}/old.tar`;
  await Deno.writeFile(path, tarOf(legacyArchive([base, middle, top], "old/web", "1")));
  const { images } = await root.images.import({ path }, {}, testOperation());
  assertEquals(images.map(({ references, layers_total }) => [references, layers_total]), [[["old/web:1"], 3]]);
  const image = root.images.inspect("old/web:1");
  assertEquals(image.layer_list.map((item) => item.diff_id), [base, middle, top].map(sha256));
  assertEquals(image.layer_list[2]?.created_by, "/bin/sh -c #(nop) step 2");
  assertEquals(image.config.config, { Cmd: ["/bin/sh"] });
  const again = await root.images.import({ path }, {}, testOperation());
  assertEquals(again.images.map((item) => item.already_present), [true]);
});

Deno.test("import follows a layer.tar that is a link to another layer's, as old versions of Docker wrote it", async () => {
  await using root = await imageRoot();
  const files = legacyArchive([base, base], "old", "1");
  const [first, second] = Object.keys(files).filter((name) => name.endsWith("/layer.tar"));
  files[second!] = { symlink: `../${first}` };
  const path = `${root.work}/old.tar`;
  await Deno.writeFile(path, tarOf(files));
  await root.images.import({ path }, {}, testOperation());
  assertEquals(root.images.inspect("old:1").layer_list.map((item) => item.diff_id), [base, base].map(sha256));
});

Deno.test("import takes an archive that was saved by id, without names", async () => {
  await using root = await imageRoot();
  const { repositories: _, ...files } = legacyArchive([base, top], "old", "1");
  await Deno.writeFile(`${root.work}/old.tar`, tarOf(files));
  const { images } = await root.images.import({ path: `${root.work}/old.tar` }, {}, testOperation());
  assertEquals(images.map(({ references, layers_total }) => [references, layers_total]), [[[], 2]]);
});

Deno.test("import prefers the names of manifest.json in an archive that is an OCI layout as well", async () => {
  await using root = await imageRoot();
  const layout = layoutOf([base], undefined, "none");
  layout.manifests[0]!.annotations = {
    "io.containerd.image.name": "docker.io/library/web:1",
    "org.opencontainers.image.ref.name": "1",
  };
  const config = sha256(configOf([base]));
  const files = {
    ...layout.all(),
    "manifest.json": JSON.stringify([{
      Config: `blobs/${config.replace(":", "/")}`,
      RepoTags: ["web:1"],
      Layers: [`blobs/${sha256(base).replace(":", "/")}`],
      LayerSources: { [sha256(base)]: { mediaType: "x", size: base.length, digest: sha256(base) } },
    }]),
  };
  await Deno.writeFile(`${root.work}/hybrid.tar`, tarOf(files));
  const { images } = await root.images.import({ path: `${root.work}/hybrid.tar` }, {}, testOperation());
  assertEquals(images[0]?.references, ["web:1"]);
});

Deno.test("import takes every image of an archive and unpacks what they share once", async () => {
  await using root = await imageRoot();
  const layout = new Layout();
  layout.add(layout.manifest([base, middle]), "one:1").add(layout.manifest([base, top]), "two:1");
  layout.add(layout.manifest([base, middle]), "also-one:1");
  await Deno.writeFile(`${root.work}/two.tar`, layout.tar());
  const { images } = await root.images.import({ path: `${root.work}/two.tar` }, {}, testOperation());
  assertEquals(images.map((image) => image.references), [["one:1", "also-one:1"], ["two:1"]]);
  assertEquals(root.driver.applied.length, 3);
  assertEquals(root.images.inspect("one:1").layer_list.map((item) => item.shared_by), [2, 1]);
});

Deno.test("import takes a rootfs tar under the name that it is given, in every compression, and knows it again", async () => {
  const rootfs = tarOf({ "./": "", "./etc/": "", "./etc/passwd": "root:x:0:0::/:/bin/sh\n" });
  for (const as of ["none", "gzip", "zstd"] as const) {
    for (const way of ["file", "stream"] as const) {
      await using root = await imageRoot();
      const bytes = stored(rootfs, as);
      await Deno.writeFile(`${root.work}/rootfs`, bytes);
      const source = () => way === "file" ? { path: `${root.work}/rootfs` } : { stream: streamOfBytes(bytes) };
      const options = { reference: "base" };
      const first = await root.images.import(source(), options, testOperation());
      assertEquals(first.images[0]?.layers_unpacked, 1);
      assertEquals(first.images[0]?.references, ["base:latest"]);
      assertEquals(root.images.inspect("base").layer_list[0]?.diff_id, sha256(rootfs));
      const second = await root.images.import(source(), options, testOperation());
      assertEquals(second.images, [{
        ...first.images[0]!,
        layers_unpacked: 0,
        layers_shared: 1,
        already_present: true,
      }]);
      // A file of the same size is read but not unpacked.
      assertEquals(root.driver.applied.length, way === "file" ? 1 : 2);
      const left = await root.leftovers();
      assertEquals([left.layers.length, left.snapshots.length, left.recipes.length], [1, 1, 1]);
      assertEquals([left.staging, left.intents], [[], 0]);
    }
  }
});

Deno.test("import takes a rootfs tar whose names say nothing, even from a compressed stream", async () => {
  await using root = await imageRoot();
  const rootfs = tarOf({ "hello": "a program" });
  const stream = streamOfBytes(stored(rootfs, "gzip"));
  const { images } = await root.images.import({ stream }, { reference: "hello:1" }, testOperation());
  assertEquals(images[0]?.layers_unpacked, 1);
  assertEquals((await root.leftovers()).staging, []);
});

Deno.test("import of the same archive again changes nothing, says so and reads no layer", async () => {
  await using root = await imageRoot();
  const path = `${root.work}/archive.tar`;
  await Deno.writeFile(path, layoutOf([base, middle, top], "web:1").tar());
  const first = await root.images.import({ path }, {}, testOperation());
  root.events.length = 0;
  const second = await root.images.import({ path }, {}, testOperation());
  assertEquals(second.images, [{
    ...first.images[0]!,
    layers_unpacked: 0,
    layers_shared: 3,
    already_present: true,
  }]);
  assertEquals(root.driver.applied.length, 3);
  assertEquals(root.events, []);
});

Deno.test("import of a known image does not even need the layers in the archive", async () => {
  await using root = await imageRoot();
  const layout = layoutOf([base, middle], "web:1");
  await Deno.writeFile(`${root.work}/whole.tar`, layout.tar());
  await root.images.import({ path: `${root.work}/whole.tar` }, {}, testOperation());
  const files = Object.fromEntries(Object.entries(layout.all()).filter(([, bytes]) => bytes[0] !== 0x1f));
  await Deno.writeFile(`${root.work}/hollow.tar`, tarOf(files));
  const { images } = await root.images.import(
    { path: `${root.work}/hollow.tar` },
    { reference: "new" },
    testOperation(),
  );
  assertEquals(images[0]?.already_present, false);
  assertEquals(root.images.inspect("new").references, ["new:latest", "web:1"]);
});

Deno.test("import moves a reference from the image that had it", async () => {
  await using root = await imageRoot();
  await Deno.writeFile(`${root.work}/a.tar`, layoutOf([base], "web:1").tar());
  await Deno.writeFile(`${root.work}/b.tar`, layoutOf([top], "web:1").tar());
  const [old] = (await root.images.import({ path: `${root.work}/a.tar` }, {}, testOperation())).images;
  await root.images.import({ path: `${root.work}/b.tar` }, {}, testOperation());
  assertEquals(root.images.inspect("web:1").layer_list[0]?.diff_id, sha256(top));
  assertEquals(root.images.inspect(old!.id).references, []);
});

Deno.test("import tells its progress by layer and emits its events after the fact", async () => {
  await using root = await imageRoot();
  await Deno.writeFile(`${root.work}/a.tar`, layoutOf([base, top], "web:1").tar());
  const ends = new Map<string, number>();
  await root.images.import({ path: `${root.work}/a.tar` }, {}, {
    ...testOperation(),
    progress: ({ phase, id, current, total }) => {
      if (phase === "unpack" && current === total) ends.set(id, current);
    },
  });
  assertEquals([...ends.keys()].sort(), [base, top].map((tar) => sha256(tar).slice(7, 19)).sort());
  assertEquals(root.events.map(({ action, name }) => [action, name]), [["import", "web:1"], ["tag", "web:1"]]);
});
