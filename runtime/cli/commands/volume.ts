/** `lamina volume …`: volumes themselves. Copies of them (backups, snapshots) are in `volume_copies.ts`. */
import type { RemovalResult } from "../../core/specs/image.ts";
import type { ResizedVolume, Volume, VolumeDetails } from "../../core/specs/volume.ts";
import { parseSize } from "../../core/size_text.ts";
import { apiPath } from "../client.ts";
import { type Command, command } from "../command.ts";
import { humanAge, humanSize, printable } from "../human.ts";
import { keyValues } from "../key_values.ts";
import type { Listing } from "../format.ts";
import { UsageError } from "../parse.ts";
import { FORMAT_FLAG, listPrinter } from "../print_list.ts";
import { printRemoval } from "./removal.ts";
import { volumeCopyCommands } from "./volume_copies.ts";

const createVolume = command({
  words: ["volume", "create"],
  summary: "Create a volume; the same again is success",
  description:
    "Options of the driver local: size=10g (enforced), inodes=N; or type, device and o of a mount(8) that is made while " +
    "the volume is used: type=nfs,device=:/export,o=addr=server.",
  arguments: [{ name: "NAME", help: "absent: an anonymous volume", optional: true }],
  flags: {
    driver: { kind: "text", short: "d", value: "NAME", help: "Volume driver", default: "local" },
    opt: { kind: "list", short: "o", value: "K=V", help: "Option of the driver" },
    label: { kind: "list", value: "K=V", help: "Label" },
  },
  examples: [
    ["volume create data", "a named volume"],
    ["volume create --opt size=10g data", "one that cannot grow beyond 10 GiB"],
    ["volume create --opt type=tmpfs --opt device=tmpfs --opt size=64m fast", "in memory"],
    ["volume create --opt type=nfs --opt device=:/export --opt o=addr=10.0.0.5,ro shared", "on a server"],
    ["volume create --label tier=db data", "with a label"],
  ],
  async run({ arguments: [name], flags, output, signal, client }) {
    const body = {
      name,
      driver: flags.driver,
      options: keyValues("--opt", flags.opt),
      labels: keyValues("--label", flags.label, { bare: true }),
    };
    const volume = await (await client()).json<Volume>("POST", "/v1/volumes", { body, signal });
    if (output.asJson) output.json(volume);
    else output.line(volume.name);
  },
});

const listVolumes = command({
  words: ["volume", "ls"],
  summary: "List volumes",
  flags: {
    filter: {
      kind: "list",
      short: "f",
      value: "K=V",
      help: "dangling=true|false, driver=NAME, label=K[=V], label!=K[=V], name=REGEXP",
    },
    ...FORMAT_FLAG,
  },
  examples: [
    ["volume ls", "names, drivers, who uses them"],
    ["volume ls --filter dangling=true", "those that nobody uses"],
    ["volume ls --filter name=^db- --filter label=tier=db --json", "for a program"],
    ["volume ls --format '{{.Name}}\\t{{.Driver}}\\t{{.Mountpoint}}'", "what a script wants"],
  ],
  async run({ flags, output, signal, client }) {
    const print = listPrinter(output, flags.format, volumeListing(Date.now()), ({ name }) => name);
    const query = volumeFilters(flags.filter, ["dangling", "driver", "label", "label!", "name"]);
    const onWarning = (text: string) => output.note(`warning: ${printable(text)}`);
    print(await (await client()).json<Volume[]>("GET", "/v1/volumes", { query, signal, onWarning }));
  },
});

const volumeListing = (now_ms: number): Listing<Volume> => ({
  columns: [
    { title: "NAME", value: ({ name }) => name },
    { title: "DRIVER", value: ({ driver }) => driver },
    { title: "SIZE LIMIT", value: sizeLimit },
    { title: "USED BY", value: ({ used_by }) => used_by.join(", ") || "-" },
    { title: "CREATED", value: ({ created_at }) => humanAge(created_at, now_ms) },
  ],
  keys: ["used_by", "scope", "mountpoint", "labels", "options", "anonymous", "usable", "created_at", "status"],
});

function sizeLimit({ options }: Volume): string {
  const size_bytes = options.size === undefined ? undefined : parseSize(options.size);
  return size_bytes === undefined ? "-" : humanSize(size_bytes);
}

const inspectVolume = command({
  words: ["volume", "inspect"],
  summary: "Show a volume as JSON",
  arguments: [{ name: "VOLUME", help: "name", repeated: true, complete: "volume" }],
  flags: { size: { kind: "switch", short: "s", help: "Also measure it: what it takes, and may take" } },
  examples: [
    ["volume inspect data", "options, labels, where its data is, who uses it"],
    ["volume inspect --size data", "also how full it is"],
  ],
  async run({ arguments: names, flags, output, signal, client }) {
    const api = await client();
    for (const name of names) {
      const call = { query: { size: flags.size }, signal };
      const volume = await api.json<VolumeDetails>("GET", apiPath`/v1/volumes/${name}`, call);
      if (output.asJson) output.json(volume);
      else output.document(volume);
    }
  },
});

const removeVolume = command({
  words: ["volume", "rm"],
  summary: "Remove volumes and their data; refused while anybody uses one",
  arguments: [{ name: "VOLUME", help: "name", repeated: true, complete: "volume" }],
  flags: { force: { kind: "switch", short: "f", help: "A volume that does not exist is success" } },
  examples: [["volume rm data", "its data is gone after this"]],
  async run({ arguments: names, flags, output, signal, client }) {
    const api = await client();
    for (const name of names) {
      const call = { query: { force: flags.force }, signal };
      printRemoval(output, await api.json<RemovalResult>("DELETE", apiPath`/v1/volumes/${name}`, call));
    }
  },
});

const pruneVolumes = command({
  words: ["volume", "prune"],
  summary: "Remove anonymous volumes that nobody uses",
  description: "Never those with driver options: they may stand for something elsewhere.",
  flags: {
    all: { kind: "switch", short: "a", help: "Also the named ones" },
    filter: { kind: "list", value: "K=V", help: "label=K[=V], label!=K[=V]" },
  },
  examples: [
    ["volume prune", "anonymous ones only"],
    ["volume prune --all", "every unused volume"],
    ["volume prune --all --filter label!=keep", "but those with the label keep"],
  ],
  async run({ flags, output, signal, client }) {
    const { label, not_label } = volumeFilters(flags.filter, ["label", "label!"]);
    const options = { body: { all: flags.all, filters: { label, not_label } }, signal };
    printRemoval(output, await (await client()).json<RemovalResult>("POST", "/v1/volumes/prune", options), true);
  },
});

const renameVolume = command({
  words: ["volume", "rename"],
  summary: "Give a volume that nobody uses another name",
  arguments: [{ name: "VOLUME", help: "name", complete: "volume" }, { name: "NEW", help: "the new name" }],
  examples: [["volume rename data data-2025", "it keeps its data, options, labels and snapshots"]],
  async run({ arguments: [name, to], output, signal, client }) {
    const options = { body: { name: to }, signal };
    const volume = await (await client()).json<Volume>("POST", apiPath`/v1/volumes/${name!}/rename`, options);
    if (output.asJson) output.json(volume);
    else output.line(volume.name);
  },
});

const resizeVolume = command({
  words: ["volume", "resize"],
  summary: "Give a volume with a size more of it, while it is used",
  arguments: [
    { name: "VOLUME", help: "name", complete: "volume" },
    { name: "SIZE", help: "10g, 500m or bytes; never less than it has" },
  ],
  examples: [["volume resize data 20g", "volumes never shrink"]],
  async run({ arguments: [name, text], output, signal, client }) {
    const size_bytes = parseSize(text!);
    if (size_bytes === undefined || size_bytes <= 0) {
      throw new UsageError(`${JSON.stringify(text)} is no size`, "write 10g, 500m or a number of bytes");
    }
    const options = { body: { size_bytes }, signal };
    const volume = await (await client()).json<ResizedVolume>("POST", apiPath`/v1/volumes/${name!}/resize`, options);
    if (volume.pending) {
      output.warn(
        "warning: the volume is mounted, and the daemon may not grow it now (ext4 asks for CAP_SYS_RESOURCE). It has " +
          "its new size when it is mounted the next time",
      );
    }
    if (output.asJson) output.json(volume);
    else output.line(`${volume.name} ${sizeLimit(volume)}`);
  },
});

type FilterName = "dangling" | "driver" | "label" | "label!" | "name";

/** `--filter` as the API takes it. @throws {UsageError} */
function volumeFilters(list: readonly string[], known: readonly FilterName[]) {
  const found: Partial<Record<FilterName, string[]>> = {};
  for (const item of list) {
    const match = /^(label!|[a-z]+)=(.*)$/s.exec(item);
    const key = known.find((name) => name === match?.[1]);
    if (key === undefined) {
      throw new UsageError(`--filter takes one of ${known.map((name) => `${name}=…`).join(", ")}; not ${item}`);
    }
    (found[key] ??= []).push(match![2]!);
  }
  const dangling = found.dangling?.at(-1);
  if (dangling !== undefined && !/^(true|false|1|0)$/.test(dangling)) {
    throw new UsageError(`--filter dangling= takes true or false; not ${JSON.stringify(dangling)}`);
  }
  return { dangling, driver: found.driver, label: found.label, not_label: found["label!"], name: found.name };
}

/** See the head of the file. */
export const volumeCommands: readonly Command[] = [
  createVolume,
  listVolumes,
  inspectVolume,
  removeVolume,
  pruneVolumes,
  renameVolume,
  resizeVolume,
  ...volumeCopyCommands,
];
