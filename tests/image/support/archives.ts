/** Builds image archives byte by byte, so that each can be broken in its own way; real ones come from skopeo and umoci. */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { dirname, join } from "@std/path/posix";
import { encodeTarHead, padded } from "../../../drivers/storage/layer/tar_encode.ts";
import { byteStringFromText } from "../../../runtime/core/bytes.ts";
import { machinePlatform } from "../../../runtime/image/platform.ts";
import { commandOutput } from "../../../runtime/host/command.ts";

type Bytes = Uint8Array<ArrayBuffer>;
const encoder = new TextEncoder();

/** `sha256:…` of bytes. */
export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** An entry of a tar: file content, or a link. */
export type Entry = string | Uint8Array | { readonly symlink: string } | { readonly hardlink: string };

/** A tar of the entries, names as given; a name that ends in a slash is a directory. */
export function tarOf(entries: Readonly<Record<string, Entry>> | ReadonlyArray<readonly [string, Entry]>): Bytes {
  const pieces: Uint8Array[] = [];
  for (const [name, entry] of Array.isArray(entries) ? entries : Object.entries(entries)) {
    const content = typeof entry === "string" ? encoder.encode(entry) : entry instanceof Uint8Array ? entry : undefined;
    const link = content === undefined ? entry as { symlink?: string; hardlink?: string } : {};
    pieces.push(encodeTarHead({
      path: byteStringFromText(name),
      type: link.symlink !== undefined
        ? "symlink"
        : link.hardlink !== undefined
        ? "hardlink"
        : name.endsWith("/")
        ? "directory"
        : "file",
      mode: name.endsWith("/") ? 0o755 : 0o644,
      uid: 0,
      gid: 0,
      size_bytes: content?.length ?? 0,
      mtime_s: 1_700_000_000,
      mtime_ns: 0,
      linkTarget: byteStringFromText(link.symlink ?? link.hardlink ?? ""),
    }));
    if (content !== undefined) pieces.push(content, new Uint8Array(padded(content.length) - content.length));
  }
  return joined([...pieces, new Uint8Array(1024)]);
}

/** One after the other. */
export function joined(pieces: readonly Uint8Array[]): Bytes {
  return new Uint8Array(Buffer.concat(pieces));
}

/** A layer: a tar with one file of that content. */
export function layer(path: string, content: string): Bytes {
  return tarOf({ [path]: content });
}

/** JSON as bytes. */
export function json(value: unknown): Bytes {
  return encoder.encode(JSON.stringify(value));
}

/** How a layer is stored. */
export type Stored = "none" | "gzip" | "zstd";

/** Compresses. */
export function stored(bytes: Uint8Array, as: Stored): Bytes {
  if (as === "none") return new Uint8Array(bytes);
  return new Uint8Array(as === "gzip" ? gzipSync(bytes) : zstdCompressSync(bytes));
}

/** A config for layers. */
export function configOf(layers: readonly Uint8Array[], more: Record<string, unknown> = {}): Bytes {
  return json({
    ...machinePlatform(),
    created: "2024-05-06T07:08:09.123456789Z",
    config: { Cmd: ["/bin/sh"], Env: ["PATH=/bin"] },
    rootfs: { type: "layers", diff_ids: layers.map(sha256) },
    history: layers.map((_, i) => ({ created_by: `step ${i}` })),
    ...more,
  });
}

/** A descriptor of an index or manifest. */
export interface Descriptor {
  mediaType?: string;
  digest: string;
  size: number;
  annotations?: Record<string, string>;
  platform?: Record<string, string>;
  [more: string]: unknown;
}

/** Files of an OCI layout as they grow: path -> bytes. */
export class Layout {
  readonly files: Record<string, Bytes> = { "oci-layout": json({ imageLayoutVersion: "1.0.0" }) };
  readonly manifests: Descriptor[] = [];

  /** Adds a blob. */
  blob(bytes: Bytes, mediaType?: string): Descriptor {
    const digest = sha256(bytes);
    this.files[`blobs/${digest.replace(":", "/")}`] = bytes;
    return { mediaType, digest, size: bytes.length };
  }

  /** Adds a manifest of layers; not to the index. */
  manifest(layers: readonly Uint8Array[], options: {
    config?: Bytes;
    as?: Stored;
    layerType?: string;
    configType?: string;
    change?: (manifest: { config: Descriptor; layers: Descriptor[]; [more: string]: unknown }) => void;
  } = {}): Descriptor {
    const as = options.as ?? "gzip";
    const suffix = as === "none" ? "" : `+${as}`;
    const manifest = {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: this.blob(
        options.config ?? configOf(layers),
        options.configType ?? "application/vnd.oci.image.config.v1+json",
      ),
      layers: layers.map((tar) =>
        this.blob(stored(tar, as), options.layerType ?? `application/vnd.oci.image.layer.v1.tar${suffix}`)
      ),
    };
    options.change?.(manifest);
    return this.blob(json(manifest), "application/vnd.oci.image.manifest.v1+json");
  }

  /** Adds an index blob. */
  index(manifests: readonly Descriptor[]): Descriptor {
    const mediaType = "application/vnd.oci.image.index.v1+json";
    return this.blob(json({ schemaVersion: 2, mediaType, manifests }), mediaType);
  }

  /** Puts a descriptor into index.json, under a name. */
  add(descriptor: Descriptor, name?: string): this {
    const annotations = name === undefined ? undefined : { "org.opencontainers.image.ref.name": name };
    this.manifests.push({ ...descriptor, ...(annotations && { annotations }) });
    return this;
  }

  /** All files, index.json included. */
  all(): Record<string, Bytes> {
    return { ...this.files, "index.json": json({ schemaVersion: 2, manifests: this.manifests }) };
  }

  /** As a tar. */
  tar(): Bytes {
    return tarOf(this.all());
  }

  /** As a directory. */
  async write(directory: string): Promise<string> {
    for (const [path, bytes] of Object.entries(this.all())) {
      await Deno.mkdir(dirname(join(directory, path)), { recursive: true });
      await Deno.writeFile(join(directory, path), bytes);
    }
    return directory;
  }
}

/** A layout with one image `name`. */
export function layoutOf(layers: readonly Uint8Array[], name?: string, as: Stored = "gzip"): Layout {
  const layout = new Layout();
  return layout.add(layout.manifest(layers, { as }), name);
}

/** Files of a `docker save` archive as skopeo writes it. */
export function dockerArchive(layers: readonly Uint8Array[], names: readonly string[], as: Stored = "none") {
  const config = configOf(layers);
  const hex = (bytes: Uint8Array) => sha256(bytes).slice(7);
  const files: Record<string, Bytes> = {};
  for (const tar of layers) files[`${hex(tar)}.tar`] = stored(tar, as);
  files[`${hex(config)}.json`] = config;
  files["manifest.json"] = json([{
    Config: `${hex(config)}.json`,
    RepoTags: names,
    Layers: layers.map((tar) => `${hex(tar)}.tar`),
  }]);
  return { files, id: sha256(config) };
}

/** Files of a `docker save` archive of the time before manifest.json. */
export function legacyArchive(layers: readonly Uint8Array[], repository: string, tag: string): Record<string, Entry> {
  const files: Record<string, Entry> = {};
  let parent: string | undefined;
  for (const [i, tar] of layers.entries()) {
    const id = sha256(encoder.encode(`${parent}${i}`)).slice(7);
    files[`${id}/`] = "";
    files[`${id}/VERSION`] = "1.0";
    files[`${id}/json`] = json({
      id,
      parent,
      created: "2015-01-02T03:04:05Z",
      container_config: { Cmd: ["/bin/sh", "-c", `#(nop) step ${i}`] },
      config: { Cmd: ["/bin/sh"] },
      architecture: "amd64",
      os: "linux",
      Size: tar.length,
    });
    files[`${id}/layer.tar`] = tar;
    parent = id;
  }
  files["repositories"] = json({ [repository]: { [tag]: parent } });
  return files;
}

/** A stream of bytes in pieces of that size. */
export function streamOfBytes(bytes: Bytes, piece_bytes = 10_000): ReadableStream<Bytes> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at += piece_bytes));
    },
  });
}

/** Everything of a stream. */
export async function readStream(stream: ReadableStream<Bytes>): Promise<Bytes> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** skopeo, as it is used in tests. */
export function skopeo(...args: string[]): Promise<string> {
  return commandOutput("skopeo", ["--insecure-policy", ...args]);
}
