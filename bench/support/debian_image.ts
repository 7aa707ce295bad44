/**
 * A real Debian image of six layers, made with mmdebstrap and kept in `.cache/bench/debian`: as OCI layouts with gzip,
 * zstd and plain layers, and the same layers as files for tar.
 */
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { project } from "../../tests/architecture/sources.ts";
import { say } from "../../tests/support/say.ts";
import { aptSources } from "../../tests/vm/guest_recipe.ts";
import { isThere } from "../../runtime/host/is_there.ts";

/** How the layers are stored. */
export type LayerCompression = "gzip" | "zstd" | "plain";

/** Where everything is. */
export interface DebianImage {
  /** OCI layout directory. */
  layout(compression: LayerCompression): string;
  /** The layers, bottom first. */
  layers(compression: LayerCompression): string[];
}

/** Beyond minbase, so that the image has the size of those that people run. */
const packages = "ca-certificates,curl,git,openssh-client,python3,python3-pip,vim,less,procps,gnupg";

/** Which paths make which layer; what no earlier line takes is the base's. */
const layerPaths: ReadonlyArray<readonly string[]> = [
  [],
  ["./usr/share"],
  ["./usr/lib/python3", "./usr/lib/python3.11", "./usr/include"],
  ["./usr/bin", "./usr/sbin"],
  ["./usr/lib/git-core", "./usr/lib/gcc", "./usr/lib/apt"],
  ["./var", "./etc"],
];
const extensions = { gzip: "tar.gz", zstd: "tar.zst", plain: "tar" } as const;
const mediaTypes = { gzip: "tar+gzip", zstd: "tar+zstd", plain: "tar" } as const;

/** Builds it once; later calls find it. */
export async function debianImage(): Promise<DebianImage> {
  const directory = join(project, ".cache/bench/debian");
  if (!await isThere(join(directory, "complete"))) await build(directory);
  return {
    layout: (compression) => join(directory, compression),
    layers: (compression) => layerPaths.map((_, index) => join(directory, `${index}.${extensions[compression]}`)),
  };
}

async function build(directory: string): Promise<void> {
  say("Building a Debian image with mmdebstrap (once; kept in .cache/bench) …");
  await commandOutput("rm", ["-rf", "--one-file-system", "--", directory]);
  const root = join(directory, "root");
  await Deno.mkdir(directory, { recursive: true });
  const sources = join(directory, "sources.list");
  await Deno.writeTextFile(sources, await aptSources());
  const suite = (await commandOutput("sh", ["-c", ". /etc/os-release; echo $VERSION_CODENAME"])).trim();
  const options = ["--quiet", "--mode=root", "--variant=minbase", `--include=${packages}`];
  await commandOutput("mmdebstrap", [...options, suite, root, sources], { timeout_ms: 1_200_000 });
  for (const [index, paths] of layerPaths.entries()) {
    const tar = join(directory, `${index}.tar`);
    const others = index === 0 ? layerPaths.flat().map((path) => `--exclude=${path}/*`) : [];
    const what = index === 0 ? ["."] : await existing(root, paths);
    const common = ["--sort=name", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--one-file-system"];
    await commandOutput("tar", [...common, ...others, "-cf", tar, "-C", root, ...what], { timeout_ms: 600_000 });
    await commandOutput("sh", ["-c", 'gzip -k -6 "$1" && zstd -q -k -3 "$1"', "sh", tar], { timeout_ms: 600_000 });
  }
  for (const compression of ["gzip", "zstd", "plain"] as const) await writeLayout(directory, compression);
  await commandOutput("rm", ["-rf", "--one-file-system", "--", root], { timeout_ms: 600_000 });
  await Deno.writeTextFile(join(directory, "complete"), "");
}

/** An OCI layout whose blobs are hard links to the layer files. */
async function writeLayout(directory: string, compression: LayerCompression): Promise<void> {
  const layout = join(directory, compression);
  const blobs = join(layout, "blobs/sha256");
  await Deno.mkdir(blobs, { recursive: true });
  const putJson = async (mediaType: string, value: unknown) => {
    const path = join(layout, "new.json");
    await Deno.writeTextFile(path, JSON.stringify(value));
    return await put(mediaType, path);
  };
  const put = async (mediaType: string, path: string) => {
    const hex = await sha256(path);
    await Deno.remove(join(blobs, hex)).catch(() => {});
    await Deno.link(path, join(blobs, hex));
    return {
      mediaType: `application/vnd.oci.image.${mediaType}`,
      digest: `sha256:${hex}`,
      size: (await Deno.stat(path)).size,
    };
  };
  const layers = [];
  const diffIds: string[] = [];
  for (const index of layerPaths.keys()) {
    layers.push(
      await put(`layer.v1.${mediaTypes[compression]}`, join(directory, `${index}.${extensions[compression]}`)),
    );
    diffIds.push(`sha256:${await sha256(join(directory, `${index}.tar`))}`);
  }
  const architecture = Deno.build.arch === "aarch64" ? "arm64" : "amd64";
  const config = await putJson("config.v1+json", {
    architecture,
    os: "linux",
    config: { Cmd: ["/bin/bash"] },
    rootfs: { type: "layers", diff_ids: diffIds },
  });
  await Deno.remove(join(layout, "new.json"));
  const manifestType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = await putJson("manifest.v1+json", { schemaVersion: 2, mediaType: manifestType, config, layers });
  await Deno.remove(join(layout, "new.json"));
  const annotations = { "org.opencontainers.image.ref.name": `debian:${compression}` };
  await Deno.writeTextFile(
    join(layout, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  await Deno.writeTextFile(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
}

async function sha256(path: string): Promise<string> {
  return (await commandOutput("sha256sum", [path])).slice(0, 64);
}

async function existing(root: string, paths: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const path of paths) if (await isThere(join(root, path))) found.push(path);
  return found;
}
