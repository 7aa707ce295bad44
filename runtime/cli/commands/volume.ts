/** `lamina volume …` */
import type { RemovalResult } from "../../core/specs/image.ts";
import type { Volume } from "../../core/specs/volume.ts";
import { apiPath } from "../client.ts";
import { type Command, command } from "../command.ts";
import { humanAge } from "../human.ts";
import { keyValues } from "../key_values.ts";
import { printRemoval } from "./removal.ts";

const createVolume = command({
  words: ["volume", "create"],
  summary: "Create a volume; the same again is success",
  arguments: [{ name: "NAME", help: "absent: an anonymous volume", optional: true }],
  flags: {
    driver: { kind: "text", short: "d", value: "NAME", help: "Volume driver", default: "local" },
    opt: { kind: "list", short: "o", value: "K=V", help: "Option of the driver" },
    label: { kind: "list", value: "K=V", help: "Label" },
  },
  examples: [["volume create data", "a named volume"], ["volume create --label tier=db data", "with a label"]],
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
  examples: [["volume ls", "names, drivers, who uses them"]],
  async run({ output, signal, client }) {
    const volumes = await (await client()).json<Volume[]>("GET", "/v1/volumes", { signal });
    if (output.asJson) return output.json(volumes);
    if (output.quiet) return volumes.forEach(({ name }) => output.line(name));
    const now_ms = Date.now();
    output.table<Volume>([
      { title: "NAME", value: ({ name }) => name },
      { title: "DRIVER", value: ({ driver }) => driver },
      { title: "USED BY", value: ({ used_by }) => used_by.join(", ") || "-" },
      { title: "CREATED", value: ({ created_at }) => humanAge(created_at, now_ms) },
    ], volumes);
  },
});

const inspectVolume = command({
  words: ["volume", "inspect"],
  summary: "Show a volume as JSON",
  arguments: [{ name: "VOLUME", help: "name", repeated: true, complete: "volume" }],
  examples: [["volume inspect data", "options, labels, where its data is, who uses it"]],
  async run({ arguments: names, output, signal, client }) {
    const api = await client();
    for (const name of names) {
      const volume = await api.json<Volume>("GET", apiPath`/v1/volumes/${name}`, { signal });
      if (output.asJson) output.json(volume);
      else output.document(volume);
    }
  },
});

const removeVolume = command({
  words: ["volume", "rm"],
  summary: "Remove volumes and their data; refused while a container uses one",
  arguments: [{ name: "VOLUME", help: "name", repeated: true, complete: "volume" }],
  examples: [["volume rm data", "its data is gone after this"]],
  async run({ arguments: names, output, signal, client }) {
    const api = await client();
    for (const name of names) {
      printRemoval(output, await api.json<RemovalResult>("DELETE", apiPath`/v1/volumes/${name}`, { signal }));
    }
  },
});

const pruneVolumes = command({
  words: ["volume", "prune"],
  summary: "Remove anonymous volumes that no container uses",
  flags: { all: { kind: "switch", short: "a", help: "Also the named ones" } },
  examples: [["volume prune", "anonymous ones only"], ["volume prune --all", "every unused volume"]],
  async run({ flags, output, signal, client }) {
    const options = { body: { all: flags.all }, signal };
    printRemoval(output, await (await client()).json<RemovalResult>("POST", "/v1/volumes/prune", options), true);
  },
});

/** See the head of the file. */
export const volumeCommands: readonly Command[] = [
  createVolume,
  listVolumes,
  inspectVolume,
  removeVolume,
  pruneVolumes,
];
