import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { ImportResult } from "../../runtime/core/specs/image.ts";
import { formatPlatform, machinePlatform } from "../../runtime/image/platform.ts";
import { testOperation } from "../support/scratch.ts";
import { configOf, type Descriptor, dockerArchive, json, layer, Layout, sha256, tarOf } from "./support/archives.ts";
import { imageRoot } from "./support/image_root.ts";

const here = formatPlatform(machinePlatform());
const foreign = machinePlatform().architecture === "amd64" ? "arm64" : "amd64";

const layers = {
  amd64: layer("etc/amd64", "x"),
  arm64: layer("etc/arm64", "x"),
  v6: layer("etc/v6", "x"),
  v7: layer("etc/v7", "x"),
  s390x: layer("etc/s390x", "x"),
};

function manifestFor(layout: Layout, architecture: string, variant?: string, told = true): Descriptor {
  const tar = layers[(variant ?? architecture) as keyof typeof layers];
  const platform = { os: "linux", architecture, ...(variant && { variant }) };
  const descriptor = layout.manifest([tar], { config: configOf([tar], platform) });
  return told ? { ...descriptor, platform } : descriptor;
}

function everyPlatform(told = true): { layout: Layout; manifests: Descriptor[] } {
  const layout = new Layout();
  const manifests = [
    manifestFor(layout, "s390x", undefined, told),
    manifestFor(layout, "amd64", undefined, told),
    manifestFor(layout, "arm64", undefined, told),
    manifestFor(layout, "arm", "v6", told),
    manifestFor(layout, "arm", "v7", told),
  ];
  return { layout, manifests };
}

async function importOf(layout: Layout, platform?: string): Promise<ImportResult & { platforms: string[] }> {
  await using root = await imageRoot();
  await Deno.writeFile(`${root.work}/archive.tar`, layout.tar());
  const result = await root.images.import({ path: `${root.work}/archive.tar` }, { platform }, testOperation());
  return { ...result, platforms: result.images.map(({ id }) => root.images.inspect(id).platform) };
}

const wishes: [string | undefined, string][] = [
  [undefined, here],
  ["linux/amd64", "linux/amd64"],
  ["linux/arm64/v8", "linux/arm64"],
  ["linux/arm/v7", "linux/arm/v7"],
  ["linux/arm/v6", "linux/arm/v6"],
  ["linux/s390x", "linux/s390x"],
];

Deno.test("of an index one image is taken: the one for the platform", async () => {
  for (const told of [true, false]) {
    for (const [platform, expected] of wishes) {
      const { layout, manifests } = everyPlatform(told);
      layout.add(layout.index(manifests), "web:1");
      const { platforms, images, warnings } = await importOf(layout, platform);
      assertEquals([platforms, images[0]?.references, warnings], [[expected], ["web:1"], []]);
    }
  }
});

Deno.test("indexes in indexes and an index.json that lists the platforms itself are understood", async () => {
  for (const [platform, expected] of wishes) {
    const nested = everyPlatform();
    nested.layout.add(nested.layout.index([nested.layout.index(nested.manifests)]), "web:1");
    assertEquals((await importOf(nested.layout, platform)).platforms, [expected]);
    const flat = everyPlatform();
    for (const manifest of flat.manifests) flat.layout.add(manifest, "web:1");
    assertEquals((await importOf(flat.layout, platform)).platforms, [expected]);
    const unnamed = everyPlatform();
    for (const manifest of unnamed.manifests) unnamed.layout.add(manifest);
    assertEquals((await importOf(unnamed.layout, platform)).platforms, [expected]);
  }
});

Deno.test("the blobs of other platforms may be missing", async () => {
  const { layout, manifests } = everyPlatform();
  layout.add(layout.index(manifests), "web:1");
  const wanted = manifests.find(({ platform }) => platform?.architecture === machinePlatform().architecture)!;
  for (const { digest } of manifests) {
    if (digest !== wanted.digest) delete layout.files[`blobs/${digest.replace(":", "/")}`];
  }
  assertEquals((await importOf(layout)).platforms, [here]);
});

Deno.test("a platform that is not there is an error that lists those that are", async () => {
  const { layout, manifests } = everyPlatform();
  layout.add(layout.index(manifests), "web:1");
  for (const platform of ["linux/riscv64", "windows/amd64", "linux/arm/v5"]) {
    const error = await assertRejects(() => importOf(layout, platform), LaminaError);
    assertEquals(error.code, "NOT_FOUND");
    assertStringIncludes(error.message, "linux/amd64, linux/arm/v6, linux/arm/v7, linux/arm64, linux/s390x");
  }
});

Deno.test("the only image of an archive is taken with a warning when it is for another machine, unless one asks", async () => {
  for (const told of [true, false]) {
    const layout = new Layout();
    layout.add(manifestFor(layout, foreign, undefined, told), "web:1");
    const { platforms, warnings } = await importOf(layout);
    assertEquals([platforms, warnings.length], [[`linux/${foreign}`], 1]);
    await assertRejects(() => importOf(layout, here), LaminaError, `linux/${foreign}`);
  }
});

Deno.test("a Docker archive gives its images for the platform that is asked for", async () => {
  await using root = await imageRoot();
  const tar = layers.amd64;
  await Deno.writeFile(`${root.work}/a.tar`, tarOf(dockerArchive([tar], ["web:1"]).files));
  const importing = (platform: string) =>
    root.images.import({ path: `${root.work}/a.tar` }, { platform }, testOperation());
  const error = await assertRejects(() => importing("linux/s390x"), LaminaError, here);
  assertEquals(error.code, "NOT_FOUND");
  assertEquals((await importing(here)).images.length, 1);
});

Deno.test("attestations and artifacts beside an image are left out, unknown descriptors are no error", async () => {
  const layout = new Layout();
  const image = manifestFor(layout, machinePlatform().architecture);
  const attestation = {
    ...layout.manifest([layer("in-toto", "x")]),
    platform: { os: "unknown", architecture: "unknown" },
    annotations: { "vnd.docker.reference.type": "attestation-manifest" },
  };
  const chart = layout.manifest([layer("chart", "x")], {
    config: json({ name: "chart" }),
    configType: "application/vnd.cncf.helm.config.v1+json",
  });
  layout.add(layout.index([image, attestation]), "web:1").add(chart);
  layout.manifests.push({ mediaType: "application/vnd.example.thing", digest: sha256(json(1)), size: 5 });
  const { images, warnings } = await importOf(layout);
  assertEquals([images.map(({ references }) => references), warnings.length], [[["web:1"]], 2]);
});

Deno.test("a config of an unknown media type is taken when it reads like an image's, and a layer may be nondistributable", async () => {
  const layout = new Layout();
  const tar = layers.amd64;
  const descriptor = layout.manifest([tar], {
    configType: "application/vnd.example.config+json",
    layerType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
  });
  const { images } = await importOf(layout.add(descriptor, "web:1"));
  assertEquals(images[0]!.layers_unpacked, 1);
});

Deno.test("manifests without media types, as early tools wrote them, are told apart by what is in them", async () => {
  const layout = new Layout();
  const manifest = { ...manifestFor(layout, machinePlatform().architecture, undefined, false), mediaType: undefined };
  const index = { ...layout.index([manifest]), mediaType: undefined };
  assertEquals((await importOf(layout.add(index, "web:1"))).platforms, [here]);
});
