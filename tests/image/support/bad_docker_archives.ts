/** Docker archives, and files that are no archives, that are wrong, each in one way. */
import { configOf, dockerArchive, type Entry, json, layer, legacyArchive, sha256, tarOf } from "./archives.ts";
import type { BadArchive } from "./bad_layouts.ts";

const base = layer("etc/base", "base");
const top = layer("etc/top", "top");

function docker(change: (files: Record<string, Entry>) => void): () => Uint8Array<ArrayBuffer> {
  return () => {
    const files: Record<string, Entry> = dockerArchive([base, top], ["web:1"]).files;
    change(files);
    return tarOf(files);
  };
}

/** See the head of the file. */
export const badDockerArchives: BadArchive[] = [
  {
    what: "a Docker archive without a layer that its manifest names",
    code: "INVALID_ARGUMENT",
    says: "the layer (",
    archive: docker((files) => delete files[`${sha256(top).slice(7)}.tar`]),
  },
  {
    what: "a Docker archive without its config",
    code: "INVALID_ARGUMENT",
    says: "the config (",
    archive: docker((files) => delete files[`${sha256(configOf([base, top])).slice(7)}.json`]),
  },
  {
    what: "a Docker archive whose config is not what its name says",
    code: "DATA_LOSS",
    says: "the config should be",
    archive: docker((files) =>
      files[`${sha256(configOf([base, top])).slice(7)}.json`] = configOf([base, top], { x: 1 })
    ),
  },
  {
    what: "a Docker archive with a layer that was changed",
    code: "DATA_LOSS",
    says: "diffID",
    archive: docker((files) => files[`${sha256(top).slice(7)}.tar`] = layer("etc/top", "pot")),
  },
  {
    what: "a Docker archive that names files outside of it",
    code: "INVALID_ARGUMENT",
    says: "leads out",
    archive: docker((files) =>
      files["manifest.json"] = json([{ Config: "../../etc/passwd", RepoTags: [], Layers: [] }])
    ),
  },
  {
    what: "a Docker archive with a config that is a link out of it",
    code: "INVALID_ARGUMENT",
    says: "leads out of the archive",
    archive: docker((files) =>
      files[`${sha256(configOf([base, top])).slice(7)}.json`] = { symlink: "../../../etc/passwd" }
    ),
  },
  {
    what: "a Docker archive with a config that is a link to an absolute path",
    code: "INVALID_ARGUMENT",
    says: "leads out of the archive",
    archive: docker((files) => files[`${sha256(configOf([base, top])).slice(7)}.json`] = { symlink: "/etc/passwd" }),
  },
  {
    what: "links that lead round in circles",
    code: "INVALID_ARGUMENT",
    says: "circles",
    archive: () => tarOf({ "manifest.json": { symlink: "a" }, "a": { symlink: "manifest.json" } }),
  },
  {
    what: "a manifest.json that is a directory",
    code: "INVALID_ARGUMENT",
    says: "a directory",
    archive: () => tarOf({ "manifest.json/": "" }),
  },
  {
    what: "an empty manifest.json",
    code: "INVALID_ARGUMENT",
    says: "it names no image",
    archive: () => tarOf({ "manifest.json": "[]" }),
  },
  {
    what: "the manifest of skopeo's dir: format",
    code: "INVALID_ARGUMENT",
    says: "expected array",
    archive: () => tarOf({ "manifest.json": json({ schemaVersion: 2 }), "version": "x" }),
  },
  {
    what: "an old Docker archive whose layers are each other's parents",
    code: "INVALID_ARGUMENT",
    says: "never end",
    archive: () => {
      const [a, b] = ["a".repeat(64), "b".repeat(64)];
      return tarOf({
        [`${a}/json`]: json({ id: a, parent: b }),
        [`${a}/layer.tar`]: base,
        [`${b}/json`]: json({ id: b, parent: a }),
        [`${b}/layer.tar`]: base,
        "repositories": json({ web: { "1": a } }),
      });
    },
  },
  {
    what: "an old Docker archive whose json is another layer's",
    code: "INVALID_ARGUMENT",
    says: "is that of",
    archive: () => {
      const files = legacyArchive([base], "web", "1");
      const path = Object.keys(files).find((name) => name.endsWith("/json"))!;
      return tarOf({ ...files, [path]: json({ id: "c".repeat(64) }) });
    },
  },
  {
    what: "a truncated archive",
    code: "INVALID_ARGUMENT",
    says: "runcated",
    archive: () => dockerTruncated(),
  },
  { what: "text", code: "INVALID_ARGUMENT", says: "no tar archive", archive: () => new Uint8Array(5000).fill(65) },
  { what: "nothing", code: "INVALID_ARGUMENT", says: "it is empty", archive: () => new Uint8Array() },
  {
    what: "an archive compressed with xz",
    code: "UNSUPPORTED",
    says: "xz",
    archive: () => new Uint8Array([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, 0, ...new Uint8Array(600)]),
  },
  {
    what: "a rootfs tar without a name",
    code: "INVALID_ARGUMENT",
    says: "--ref",
    archive: () => base,
  },
];
function dockerTruncated(): Uint8Array<ArrayBuffer> {
  const big = layer("etc/big", "x".repeat(10_000));
  const { files } = dockerArchive([big], ["web:1"]);
  // The layer last, so that the cut goes through it.
  const ordered = Object.entries(files).sort(([a], [b]) => Number(a.endsWith(".tar")) - Number(b.endsWith(".tar")));
  const archive = tarOf(ordered);
  return archive.slice(0, archive.length - 6000);
}
