/** `lamina volume backup | restore | snapshot | snapshots | clone` */
import { resolve } from "@std/path/posix";
import { fileError } from "../../api/file_error.ts";
import { LaminaError } from "../../core/errors.ts";
import type { Volume, VolumeSnapshot } from "../../core/specs/volume.ts";
import type { ByteStream } from "../../services.ts";
import { apiPath } from "../client.ts";
import { type Command, command } from "../command.ts";
import type { Listing } from "../format.ts";
import { humanAge, printable } from "../human.ts";
import { keyValues } from "../key_values.ts";
import { FORMAT_FLAG, listPrinter } from "../print_list.ts";
import { refuseTerminal, saveArchive } from "../save_archive.ts";
import { standardInput } from "../standard_input.ts";

const backupVolume = command({
  words: ["volume", "backup"],
  summary: "Write a volume to a tar, with everything that belongs to its files",
  description:
    "Of one instant where the file system can do that (btrfs, xfs); otherwise it says so, and what writes to the volume " +
    "should be stopped. A file appears under its name only when it is complete and on the disk.",
  arguments: [{ name: "VOLUME", help: "name", complete: "volume" }],
  flags: {
    output: { kind: "text", short: "o", value: "FILE", help: "- for standard output", default: "-", complete: "file" },
    compress: {
      kind: "text",
      value: "METHOD",
      help: "none, gzip or zstd",
      default: "none",
      choices: ["none", "gzip", "zstd"],
    },
  },
  examples: [
    ["volume backup data -o data.tar.zst --compress zstd", "to a file"],
    ["volume backup data | ssh host lamina volume restore data -", "to another machine"],
  ],
  async run(context) {
    const { arguments: [name], flags, output, signal, client } = context;
    refuseTerminal(flags.output);
    const query = { compression: flags.compress };
    const path = apiPath`/v1/volumes/${name!}/backup`;
    // Also with --quiet: who relies on a backup has to know.
    const onWarning = (text: string) => output.warn(`warning: ${printable(text)}`);
    const stream = await (await client()).bytes(path, { query, signal, onWarning });
    await saveArchive(context, stream, flags.output);
  },
});

const restoreVolume = command({
  words: ["volume", "restore"],
  summary: "Replace what a volume holds by an archive, in one step",
  description:
    "The archive is a tar, also compressed with gzip or zstd. The volume is made where there is none. An archive that is " +
    "truncated, or leads out of the volume, changes nothing.",
  arguments: [
    { name: "VOLUME", help: "name", complete: "volume" },
    { name: "FILE", help: "absent or -: standard input", optional: true, complete: "file" },
  ],
  flags: {
    force: {
      kind: "switch",
      short: "f",
      help: "Also where it is not empty, or containers that are not mounted use it",
    },
  },
  examples: [
    ["volume restore data data.tar.zst", "into a new or an empty volume"],
    ["volume restore --force data data.tar", "what the volume holds is gone after this"],
  ],
  async run({ arguments: [name, file = "-"], flags, output, signal, client, progress }) {
    const archive = file === "-" ? standardInput("an archive") : await openArchive(file);
    const bars = progress();
    let volume: Volume;
    try {
      const call = { query: { force: flags.force }, archive, signal };
      const path = apiPath`/v1/volumes/${name!}/backup`;
      volume = await (await client()).withProgress<Volume>("PUT", path, call, bars.update);
    } finally {
      bars.done();
    }
    if (output.asJson) output.json(volume);
    else output.line(volume.name);
  },
});

async function openArchive(file: string): Promise<ByteStream> {
  const path = resolve(file);
  try {
    if ((await Deno.stat(path)).isDirectory) {
      throw new LaminaError("INVALID_ARGUMENT", `Cannot restore from ${path}: it is a directory. Name a tar archive`);
    }
    return (await Deno.open(path, { read: true })).readable;
  } catch (error) {
    throw error instanceof LaminaError ? error : fileError(error, `Cannot read ${path}`);
  }
}

const COPY_FLAG = {
  copy: { kind: "switch", help: "Copy every file where the file system cannot share blocks" },
} as const;

const snapshotVolume = command({
  words: ["volume", "snapshot"],
  summary: "Freeze what a volume holds now",
  description: "At once and without space of its own on btrfs, and on xfs with reflink.",
  arguments: [
    { name: "VOLUME", help: "name", complete: "volume" },
    { name: "SNAPSHOT", help: "name; absent: the time", optional: true },
  ],
  flags: COPY_FLAG,
  examples: [["volume snapshot data before-upgrade", "lamina volume clone --snapshot before-upgrade data old"]],
  async run({ arguments: [volume, name], flags, output, signal, client }) {
    const options = { body: { name, copy: flags.copy }, signal };
    const path = apiPath`/v1/volumes/${volume!}/snapshots`;
    const made = await (await client()).json<VolumeSnapshot>("POST", path, options);
    if (output.asJson) output.json(made);
    else output.line(made.name);
  },
});

const listSnapshots = command({
  words: ["volume", "snapshots"],
  summary: "List or remove the snapshots of a volume",
  arguments: [{ name: "VOLUME", help: "name", complete: "volume" }],
  flags: { remove: { kind: "list", value: "SNAPSHOT", help: "Remove this one instead of listing" }, ...FORMAT_FLAG },
  examples: [["volume snapshots data", "oldest first"], ["volume snapshots --remove monday data", "its data is gone"]],
  async run({ arguments: [volume], flags, output, signal, client }) {
    const print = listPrinter(output, flags.format, snapshotListing(Date.now()), ({ name }) => name);
    const api = await client();
    for (const name of flags.remove) {
      await api.json("DELETE", apiPath`/v1/volumes/${volume!}/snapshots/${name}`, { signal });
      if (!output.asJson) output.line(output.quiet ? name : `deleted ${name}`);
    }
    if (flags.remove.length > 0) return;
    print(await api.json<VolumeSnapshot[]>("GET", apiPath`/v1/volumes/${volume!}/snapshots`, { signal }));
  },
});

const snapshotListing = (now_ms: number): Listing<VolumeSnapshot> => ({
  columns: [
    { title: "NAME", value: ({ name }) => name },
    { title: "METHOD", value: ({ method }) => method },
    { title: "CREATED", value: ({ created_at }) => humanAge(created_at, now_ms) },
  ],
  keys: ["volume", "created_at"],
});

const cloneVolume = command({
  words: ["volume", "clone"],
  summary: "Make a new volume that begins as another, or a snapshot of it, is",
  arguments: [{ name: "VOLUME", help: "name", complete: "volume" }, { name: "NEW", help: "name of the new one" }],
  flags: {
    snapshot: { kind: "text", value: "NAME", help: "Begin as this snapshot; absent: as the volume is now" },
    label: { kind: "list", value: "K=V", help: "Label of the new volume" },
    ...COPY_FLAG,
  },
  examples: [
    ["volume clone data test", "a copy to play with"],
    ["volume clone --snapshot monday data data-of-monday", "what it was"],
  ],
  async run({ arguments: [volume, name], flags, output, signal, client }) {
    const { snapshot, copy } = flags;
    const body = { name, snapshot, copy, labels: keyValues("--label", flags.label, { bare: true }) };
    const made = await (await client()).json<Volume>("POST", apiPath`/v1/volumes/${volume!}/clone`, { body, signal });
    if (output.asJson) output.json(made);
    else output.line(made.name);
  },
});

/** See the head of the file. */
export const volumeCopyCommands: readonly Command[] = [
  backupVolume,
  restoreVolume,
  snapshotVolume,
  listSnapshots,
  cloneVolume,
];
