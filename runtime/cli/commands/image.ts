/** `lamina image …` */
import { resolve } from "@std/path/posix";
import type { Image, ImageSummary, ImportResult, RemovalResult } from "../../core/specs/image.ts";
import { apiPath, type CallOptions } from "../client.ts";
import { type Command, command } from "../command.ts";
import type { Context } from "../context.ts";
import type { Listing } from "../format.ts";
import { counted, humanAge, humanSize, printable, shortId } from "../human.ts";
import { treeLines } from "../image_tree.ts";
import { exportImages } from "../save_archive.ts";
import { FORMAT_FLAG, listPrinter } from "../print_list.ts";
import { standardInput } from "../standard_input.ts";
import { COMMIT_FLAGS, commitContainer } from "./commit.ts";
import { printRemoval } from "./removal.ts";

const importImage = command({
  words: ["image", "import"],
  summary: "Import images from an archive or directory",
  description:
    "SRC is an OCI layout (directory or tar), a docker save tar, or a rootfs tar (--ref needed), each also " +
    "compressed, or - for standard input. Layers that are there already are not unpacked again.",
  arguments: [{ name: "SRC", help: "archive, directory, or - for standard input", complete: "file" }],
  flags: {
    ref: { kind: "text", value: "NAME:TAG", help: "Name for the image; needed for a rootfs tar" },
    platform: { kind: "text", value: "OS/ARCH", help: "Platform of a multi-platform image; default: this machine's" },
  },
  examples: [
    ["image import ./busybox-layout", "an OCI layout directory"],
    ["image import web.tar.zst --ref team/web:1", "an archive, under a name of your choice"],
    ["docker save nginx | lamina image import -", "straight from Docker"],
  ],
  async run({ arguments: [source], flags, output, signal, client, progress }) {
    const call: CallOptions = {
      query: { path: source === "-" ? undefined : resolve(source!), reference: flags.ref, platform: flags.platform },
      archive: source === "-" ? standardInput("an archive") : undefined,
      signal,
    };
    const bars = progress();
    let result: ImportResult;
    try {
      const api = await client();
      result = await api.withProgress<ImportResult>("POST", "/v1/images/import", call, bars.update);
    } finally {
      bars.done();
    }
    for (const warning of result.warnings) output.note(`warning: ${printable(warning)}`);
    if (output.asJson) return output.json(result);
    for (const image of result.images) {
      if (output.quiet) {
        output.line(image.id);
        continue;
      }
      const name = image.references.join(", ") || "(no name)";
      const how = image.already_present
        ? "already present, nothing to do"
        : `${image.layers_unpacked} unpacked, ${image.layers_shared} shared`;
      output.line(`${name}  ${shortId(image.id)}  ${counted(image.layers_total, "layer")}: ${how}`);
    }
  },
});

/** An image by one of its names. */
type ImageRow = ImageSummary & { readonly reference: string };

const imageListing = (now_ms: number): Listing<ImageRow> => ({
  columns: [
    { title: "REFERENCE", value: ({ reference }) => reference },
    { title: "ID", value: ({ id }) => shortId(id) },
    { title: "PLATFORM", value: ({ platform }) => platform },
    { title: "LAYERS", value: ({ layers }) => layers, right: true },
    { title: "SIZE", value: ({ size_bytes }) => humanSize(size_bytes), right: true },
    { title: "UNIQUE", value: ({ unique_bytes }) => humanSize(unique_bytes), right: true },
    { title: "CONTAINERS", value: ({ containers }) => containers, right: true },
    { title: "IMPORTED", value: ({ imported_at }) => humanAge(imported_at, now_ms) },
  ],
  aliases: [
    { title: "REPOSITORY", value: ({ reference }) => reference.replace(/:[^/:]*$/, "") },
    { title: "TAG", value: ({ reference }) => /:([^/:]*)$/.exec(reference)?.[1] ?? reference },
  ],
  keys: ["references", "size_bytes", "unique_bytes", "imported_at", "created_at"],
});

const listImages = command({
  words: ["image", "ls"],
  summary: "List images",
  flags: FORMAT_FLAG,
  examples: [
    ["image ls", "names, sizes, who uses them"],
    ["image ls --json", "the same for a program"],
    ["image ls --format '{{.Repository}} {{.Tag}} {{.Size}}'", "what a script wants"],
  ],
  async run({ flags, output, signal, client }) {
    const print = listPrinter(output, flags.format, imageListing(Date.now()), ({ reference }) => reference);
    const images = await (await client()).json<ImageSummary[]>("GET", "/v1/images", { signal });
    const namesOf = ({ id, references: [first, ...more] }: ImageSummary) => {
      if (output.quiet && flags.format === undefined) return [first ?? id];
      return first === undefined ? ["<none>"] : [first, ...more];
    };
    print(images.flatMap((image) => namesOf(image).map((reference) => ({ ...image, reference }))), images);
  },
});

const inspectImage = command({
  words: ["image", "inspect"],
  summary: "Show an image as JSON: layers, sizes, config",
  arguments: [{ name: "IMAGE", help: "reference, id or unique id prefix", repeated: true, complete: "image" }],
  examples: [["image inspect team/web:1", "one image"]],
  async run({ arguments: images, output, signal, client }) {
    const api = await client();
    for (const image of images) {
      const found = await api.json<Image>("GET", apiPath`/v1/images/${image}`, { signal });
      if (output.asJson) output.json(found);
      else output.document(found);
    }
  },
});

const imageTree = command({
  words: ["image", "tree"],
  summary: "Show the layers of images: sizes, and who shares them",
  arguments: [{ name: "IMAGE", help: "absent: every image", optional: true, repeated: true, complete: "image" }],
  examples: [["image tree", "all images"], ["image tree team/web:1", "one image"]],
  async run({ arguments: named, output, signal, client }) {
    const api = await client();
    const names = named.length > 0
      ? named
      : (await api.json<ImageSummary[]>("GET", "/v1/images", { signal })).map(({ id }) => id);
    const images: Image[] = [];
    for (const name of names) images.push(await api.json<Image>("GET", apiPath`/v1/images/${name}`, { signal }));
    if (output.asJson) return output.json(named.length === 1 ? images[0] : images);
    for (const line of treeLines(images)) output.line(line);
  },
});

const tagImage = command({
  words: ["image", "tag"],
  summary: "Point a reference at an image",
  arguments: [
    { name: "IMAGE", help: "reference, id or unique id prefix", complete: "image" },
    { name: "REF", help: "name[:tag] that will point at it" },
  ],
  examples: [["image tag team/web:1 team/web:stable", "a second name for the same image"]],
  async run({ arguments: [image, reference], output, signal, client }) {
    await (await client()).json("POST", apiPath`/v1/images/${image!}/tag`, { body: { reference }, signal });
    if (output.asJson) output.json({});
  },
});

const exportImage = command({
  words: ["image", "export"],
  summary: "Write images to an archive or an OCI layout directory",
  description:
    "Layers come out byte for byte as they came in. The file appears under its name only when it is complete.",
  arguments: [{ name: "IMAGE", help: "reference, id or unique id prefix", repeated: true, complete: "image" }],
  flags: {
    output: { kind: "text", short: "o", value: "FILE", help: "file, directory, or - (default)", complete: "file" },
    format: {
      kind: "text",
      value: "FORMAT",
      help: "oci (tar), docker (tar for docker load), oci-dir (directory)",
      default: "oci",
      choices: ["oci", "docker", "oci-dir"],
    },
    compression: {
      kind: "text",
      value: "KIND",
      help: "Compression of the layers: none, gzip, zstd",
      default: "none",
      choices: ["none", "gzip", "zstd"],
    },
  },
  examples: [
    ["image export team/web:1 -o web.tar", "an OCI archive"],
    ["image export team/web:1 --format docker | docker load", "straight to Docker"],
    ["image export team/web:1 --format oci-dir -o web-layout", "an OCI layout directory"],
  ],
  run: exportImages,
});

const commitImage = command({
  words: ["image", "commit"],
  summary: "Make an image of a container (the same as container commit)",
  arguments: [
    { name: "CONTAINER", help: "name, id or unique id prefix", complete: "container" },
    { name: "REF", help: "name[:tag] of the new image", optional: true },
  ],
  flags: COMMIT_FLAGS,
  examples: [["image commit shop shop:patched", "what changed in shop becomes one more layer"]],
  run: commitContainer,
});

const removeImage = command({
  words: ["image", "rm"],
  summary: "Remove references and, with the last one, the image",
  arguments: [{ name: "IMAGE", help: "reference, id or unique id prefix", repeated: true, complete: "image" }],
  flags: { force: { kind: "switch", short: "f", help: "Remove every reference of the image" } },
  examples: [["image rm team/web:1", "layers go when nothing else needs them"]],
  async run({ arguments: images, flags, output, signal, client }) {
    const api = await client();
    for (const image of images) {
      const options = { query: { force: flags.force }, signal };
      printRemoval(output, await api.json<RemovalResult>("DELETE", apiPath`/v1/images/${image}`, options));
    }
  },
});

const pruneImages = command({
  words: ["image", "prune"],
  summary: "Remove images that nothing uses",
  flags: { all: { kind: "switch", short: "a", help: "Also images that have a name but no container" } },
  examples: [["image prune", "images without a name"], ["image prune --all", "every image without a container"]],
  async run({ flags, output, signal, client }: Context<{ all: boolean }>) {
    const options = { body: { all: flags.all }, signal };
    printRemoval(output, await (await client()).json<RemovalResult>("POST", "/v1/images/prune", options), true);
  },
});

/** See the head of the file. */
export const imageCommands: readonly Command[] = [
  importImage,
  listImages,
  inspectImage,
  imageTree,
  tagImage,
  exportImage,
  commitImage,
  removeImage,
  pruneImages,
];
