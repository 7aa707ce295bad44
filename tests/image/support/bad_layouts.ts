/** OCI layouts that are wrong, each in one way. */
import type { ErrorCode } from "../../../runtime/core/errors.ts";
import { configOf, json, layer, Layout, layoutOf, sha256, stored } from "./archives.ts";

const base = layer("etc/base", "base");
const top = layer("etc/top", "top");

/** An archive and what importing it must say. */
export interface BadArchive {
  readonly what: string;
  readonly code: ErrorCode;
  readonly says: string;
  readonly archive: () => Uint8Array<ArrayBuffer>;
  readonly platform?: string;
}

function changed(change: (layout: Layout) => void): () => Uint8Array<ArrayBuffer> {
  return () => {
    const layout = layoutOf([base, top], "web:1");
    change(layout);
    return layout.tar();
  };
}

function manifestWith(options: Parameters<Layout["manifest"]>[1]): () => Uint8Array<ArrayBuffer> {
  return () => {
    const layout = new Layout();
    return layout.add(layout.manifest([base, top], options), "web:1").tar();
  };
}

const gzippedTop = `blobs/${sha256(stored(top, "gzip")).replace(":", "/")}`;
const configBlob = `blobs/${sha256(configOf([base, top])).replace(":", "/")}`;

/** See the head of the file. */
export const badLayouts: BadArchive[] = [
  {
    what: "a missing layer blob",
    code: "INVALID_ARGUMENT",
    says: "the layer (blobs/sha256/",
    archive: changed((layout) => delete layout.files[gzippedTop]),
  },
  {
    what: "a missing config blob",
    code: "INVALID_ARGUMENT",
    says: "the config (blobs/sha256/",
    archive: changed((layout) => delete layout.files[configBlob]),
  },
  {
    what: "a layer blob that is cut short",
    code: "DATA_LOSS",
    says: "bytes but has",
    archive: changed((layout) => layout.files[gzippedTop] = layout.files[gzippedTop]!.slice(0, 50)),
  },
  {
    what: "a layer blob with one byte changed",
    code: "DATA_LOSS",
    says: "",
    archive: changed((layout) => {
      // In the header of the gzip member: it still decompresses to the right tar.
      layout.files[gzippedTop] = layout.files[gzippedTop]!.with(4, 1) as Uint8Array<ArrayBuffer>;
    }),
  },
  {
    what: "a layer whose content is not that of its diffID",
    code: "DATA_LOSS",
    says: "diffID",
    archive: manifestWith({ config: configOf([base, layer("etc/other", "x")]) }),
  },
  {
    what: "a manifest with one byte changed",
    code: "DATA_LOSS",
    says: "the manifest sha256:",
    archive: changed((layout) => {
      const path = `blobs/${layout.manifests[0]!.digest.replace(":", "/")}`;
      layout.files[path] = layout.files[path]!.with(3, 0x20) as Uint8Array<ArrayBuffer>;
    }),
  },
  {
    what: "a config with one byte changed",
    code: "DATA_LOSS",
    says: "the config sha256:",
    archive: changed((layout) =>
      layout.files[configBlob] = layout.files[configBlob]!.with(3, 0x20) as Uint8Array<ArrayBuffer>
    ),
  },
  {
    what: "a descriptor with a size that differs from the blob's",
    code: "DATA_LOSS",
    says: "bytes but has",
    archive: manifestWith({ change: ({ layers }) => layers[0]!.size++ }),
  },
  {
    what: "more layers than diffIDs",
    code: "INVALID_ARGUMENT",
    says: "2 layers but its config names 1 diffIDs",
    archive: manifestWith({ config: configOf([base]) }),
  },
  {
    what: "fewer layers than diffIDs",
    code: "INVALID_ARGUMENT",
    says: "2 layers but its config names 3 diffIDs",
    archive: manifestWith({ config: configOf([base, top, top]) }),
  },
  {
    what: "a layer of an unknown media type",
    code: "UNSUPPORTED",
    says: '"application/vnd.example.layer"',
    archive: manifestWith({ layerType: "application/vnd.example.layer" }),
  },
  {
    what: "an artifact that is no image",
    code: "INVALID_ARGUMENT",
    says: "application/vnd.cncf.helm.config.v1+json",
    archive: manifestWith({
      config: json({ name: "chart", version: "1" }),
      configType: "application/vnd.cncf.helm.config.v1+json",
    }),
  },
  {
    what: "a digest in upper case",
    code: "INVALID_ARGUMENT",
    says: "64 lower-case hexadecimal digits",
    archive: manifestWith({ change: ({ layers }) => layers[0]!.digest = layers[0]!.digest.toUpperCase() }),
  },
  {
    what: "a digest that is a path",
    code: "INVALID_ARGUMENT",
    says: "64 lower-case hexadecimal digits",
    archive: manifestWith({ change: ({ config }) => config.digest = "sha256:../../../../etc/passwd" }),
  },
  {
    what: "a negative size",
    code: "INVALID_ARGUMENT",
    says: "size",
    archive: manifestWith({ change: ({ config }) => config.size = -1 }),
  },
  {
    what: "a manifest of schema version 1",
    code: "INVALID_ARGUMENT",
    says: "schemaVersion 2",
    archive: manifestWith({ change: (manifest) => manifest.schemaVersion = 1 }),
  },
  {
    what: "a config that is no JSON",
    code: "INVALID_ARGUMENT",
    says: "it is no JSON",
    archive: manifestWith({ config: new TextEncoder().encode("{") }),
  },
  {
    what: "a config without a rootfs",
    code: "INVALID_ARGUMENT",
    says: "rootfs",
    archive: manifestWith({ config: json({ architecture: "amd64", os: "linux" }) }),
  },
  {
    what: "a config of five million bytes",
    code: "RESOURCE_EXHAUSTED",
    says: "more than 4194304",
    archive: manifestWith({ config: configOf([base, top], { padding: "x".repeat(5_000_000) }) }),
  },
  {
    what: "501 layers",
    code: "RESOURCE_EXHAUSTED",
    says: "501 layers",
    archive: () => {
      const layers = Array.from({ length: 501 }, () => base);
      return layoutOf(layers, "web:1").tar();
    },
  },
  {
    what: "indexes that contain each other too deeply",
    code: "RESOURCE_EXHAUSTED",
    says: "nested",
    archive: () => {
      const layout = new Layout();
      let inner = layout.manifest([base]);
      for (let i = 0; i < 10; i++) inner = layout.index([inner]);
      return layout.add(inner, "web:1").tar();
    },
  },
  {
    what: "an index that multiplies the work",
    code: "RESOURCE_EXHAUSTED",
    says: "documents",
    archive: () => {
      const layout = new Layout();
      let inner = layout.manifest([base]);
      for (let i = 0; i < 4; i++) inner = layout.index(Array.from({ length: 30 }, () => inner));
      return layout.add(inner, "web:1").tar();
    },
  },
  {
    what: "no image at all",
    code: "INVALID_ARGUMENT",
    says: "it holds no image",
    archive: () => new Layout().tar(),
  },
  {
    what: "a layout of a version to come",
    code: "UNSUPPORTED",
    says: '"2.0.0"',
    archive: changed((layout) => layout.files["oci-layout"] = json({ imageLayoutVersion: "2.0.0" })),
  },
  {
    what: "no image for the platform that was asked for",
    code: "NOT_FOUND",
    says: "only for linux/",
    archive: changed(() => {}),
    platform: "linux/s390x",
  },
  {
    what: "a malformed platform",
    code: "INVALID_ARGUMENT",
    says: "os/architecture",
    archive: changed(() => {}),
    platform: "amd64",
  },
];
