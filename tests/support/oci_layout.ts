/** Writes small images in OCI layout, for the demo and the tests. */
import { join } from "@std/path/posix";

const oci = "application/vnd.oci.image";

/** One image. */
export interface OciImage {
  /** `name:tag`. */
  readonly reference: string;
  /** Bottom first; the archives are stored gzipped. */
  readonly layers: ReadonlyArray<{ readonly tar: Uint8Array<ArrayBuffer>; readonly createdBy: string }>;
  /** `config` of the image's configuration: Cmd, Env, … */
  readonly config: Readonly<Record<string, unknown>>;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** Makes `directory` an OCI layout that holds `image` for this machine's architecture. */
export async function writeOciLayout(directory: string, image: OciImage): Promise<void> {
  const blobs = join(directory, "blobs/sha256");
  await Deno.mkdir(blobs, { recursive: true });
  const put = async (mediaType: string, bytes: Uint8Array<ArrayBuffer>): Promise<Descriptor> => {
    const hex = await sha256(bytes);
    await Deno.writeFile(join(blobs, hex), bytes);
    return { mediaType, digest: `sha256:${hex}`, size: bytes.length };
  };
  const putJson = (mediaType: string, value: unknown) =>
    put(mediaType, new TextEncoder().encode(JSON.stringify(value)));

  const layers: Descriptor[] = [];
  for (const { tar } of image.layers) layers.push(await put(`${oci}.layer.v1.tar+gzip`, await gzip(tar)));
  const created = "2023-11-14T22:13:20Z";
  const config = await putJson(`${oci}.config.v1+json`, {
    created,
    architecture: Deno.build.arch === "aarch64" ? "arm64" : "amd64",
    os: "linux",
    config: image.config,
    rootfs: {
      type: "layers",
      diff_ids: await Promise.all(image.layers.map(async ({ tar }) => `sha256:${await sha256(tar)}`)),
    },
    history: image.layers.map(({ createdBy }) => ({ created, created_by: createdBy })),
  });
  const manifestType = `${oci}.manifest.v1+json`;
  const manifest = await putJson(manifestType, { schemaVersion: 2, mediaType: manifestType, config, layers });
  const annotations = { "org.opencontainers.image.ref.name": image.reference };
  await Deno.writeTextFile(
    join(directory, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
  await Deno.writeTextFile(join(directory, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
