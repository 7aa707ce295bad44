/** `lamina container …` */
import type { Container, ContainerChange } from "../../core/specs/container.ts";
import type { RemovalResult } from "../../core/specs/image.ts";
import { apiPath } from "../client.ts";
import { type Command, command } from "../command.ts";
import { filterContainers, pruneFilter } from "../container_filters.ts";
import { copyCommand } from "../copy/copy_command.ts";
import type { Listing } from "../format.ts";
import { humanAge, printable, shortId } from "../human.ts";
import { keyValues } from "../key_values.ts";
import { FORMAT_FLAG, listPrinter } from "../print_list.ts";
import { refuseTerminal, saveArchive } from "../save_archive.ts";
import { COMMIT_FLAGS, commitContainer } from "./commit.ts";
import { createContainer } from "./container_create.ts";
import { printRemoval } from "./removal.ts";

const CONTAINER = { name: "CONTAINER", help: "name, id or unique id prefix", complete: "container" } as const;
const CONTAINERS = { ...CONTAINER, repeated: true } as const;

const mountContainer = command({
  words: ["container", "mount"],
  summary: "Assemble the rootfs and print where it is; mounted already is success",
  arguments: [CONTAINER],
  examples: [["container mount shop", "prints the path and nothing else"], [
    'chroot "$(lamina container mount shop)" sh',
    "a shell in it",
  ]],
  async run({ arguments: [name], output, signal, client }) {
    const path = apiPath`/v1/containers/${name!}/mount`;
    const container = await (await client()).json<Container>("POST", path, { signal });
    if (output.asJson) output.json(container);
    else output.line(container.rootfs);
  },
});

const unmountContainer = command({
  words: ["container", "unmount"],
  summary: "Take the rootfs apart; not mounted is success",
  arguments: [CONTAINERS],
  flags: { lazy: { kind: "switch", help: "Detach now, finish when the last user leaves" } },
  examples: [["container unmount shop", "the RW layer stays"]],
  async run({ arguments: names, flags, output, signal, client }) {
    const api = await client();
    for (const name of names) {
      await api.json("POST", apiPath`/v1/containers/${name}/unmount`, { body: { lazy: flags.lazy }, signal });
      if (output.asJson) output.json({});
    }
  },
});

const listContainers = command({
  words: ["container", "ls"],
  summary: "List containers",
  flags: {
    filter: { kind: "list", short: "f", value: "K=V", help: "label=K[=V], name=REGEXP, volume=, ancestor=, status=" },
    ...FORMAT_FLAG,
  },
  examples: [
    ["container ls", "names, images, whether they are mounted"],
    ["container ls --filter volume=data --filter status=mounted", "who uses a volume now"],
  ],
  async run({ flags, output, signal, client }) {
    filterContainers([], flags.filter);
    const print = listPrinter(output, flags.format, containerListing(Date.now()), ({ name }) => name);
    const all = await (await client()).json<Container[]>("GET", "/v1/containers", { signal });
    print(filterContainers(all, flags.filter));
  },
});

const containerListing = (now_ms: number): Listing<Container> => ({
  columns: [
    { title: "NAME", value: ({ name }) => name },
    { title: "ID", value: ({ id }) => shortId(id) },
    { title: "IMAGE", value: ({ image }) => image },
    { title: "STATE", value: ({ mounted }) => mounted ? "mounted" : "created" },
    { title: "VOLUMES", value: ({ mounts }) => mounts.length, right: true },
    { title: "CREATED", value: ({ created_at }) => humanAge(created_at, now_ms) },
  ],
  aliases: [
    { title: "NAMES", value: ({ name }) => name },
    { title: "STATUS", value: ({ mounted }) => mounted ? "mounted" : "created" },
    { title: "MOUNTS", value: ({ mounts }) => mounts.map((m) => m.type === "tmpfs" ? m.target : m.source).join(",") },
  ],
  keys: ["image_id", "labels", "rootfs", "mounted", "read_only", "storage_driver", "created_at"],
});

const inspectContainer = command({
  words: ["container", "inspect"],
  summary: "Show a container as JSON, with the OCI runtime-spec mounts",
  arguments: [CONTAINERS],
  flags: { size: { kind: "switch", short: "s", help: "Also measure the RW layer" } },
  examples: [["container inspect shop", "paths, mounts, config"], ["container inspect --size shop", "and its size"]],
  async run({ arguments: names, flags, output, signal, client }) {
    const api = await client();
    for (const name of names) {
      const options = { query: { size: flags.size }, signal };
      const container = await api.json<Container>("GET", apiPath`/v1/containers/${name}`, options);
      if (output.asJson) output.json(container);
      else output.document(container);
    }
  },
});

const updateContainer = command({
  words: ["container", "update"],
  summary: "Change how much the RW layer may take",
  description: "Growing takes effect at once, mounted or not. Less than what it takes already is refused.",
  arguments: [CONTAINERS],
  flags: { "storage-opt": { kind: "list", value: "K=V", help: "size=…, the new limit" } },
  examples: [["container update shop --storage-opt size=20g", "20 GiB from now on"]],
  async run({ arguments: names, flags, output, signal, client }) {
    const body = { storage_options: keyValues("--storage-opt", flags["storage-opt"]) };
    const api = await client();
    for (const name of names) {
      const path = apiPath`/v1/containers/${name}/update`;
      const container = await api.json<Container>("POST", path, { body, signal });
      if (output.asJson) output.json(container);
      else output.line(container.name);
    }
  },
});

const diffContainer = command({
  words: ["container", "diff"],
  summary: "What changed against the image: A added, C changed, D deleted",
  arguments: [CONTAINER],
  examples: [["container diff shop", "one path a line"]],
  async run({ arguments: [name], output, signal, client }) {
    const path = apiPath`/v1/containers/${name!}/diff`;
    const changes = await (await client()).json<ContainerChange[]>("GET", path, { signal });
    if (output.asJson) return output.json(changes);
    for (const change of changes) output.line(`${change.kind} ${printable(change.path)}`);
  },
});

const commitCommand = command({
  words: ["container", "commit"],
  summary: "Make an image of a container",
  description: "What changed becomes one more layer; the others are shared. Prints the new image's id.",
  arguments: [CONTAINER, { name: "REF", help: "name[:tag] of the new image", optional: true }],
  flags: COMMIT_FLAGS,
  examples: [
    ["container commit shop shop:patched", "under a name"],
    ["container commit shop --ref shop:2 --change 'CMD [\"serve\"]' -m 'new default'", "with another config"],
  ],
  run: commitContainer,
});

const exportContainer = command({
  words: ["container", "export"],
  summary: "Write the rootfs, without its volumes, as a tar",
  arguments: [CONTAINER],
  flags: { output: { kind: "text", short: "o", value: "FILE", help: "file, or - (default)", complete: "file" } },
  examples: [["container export shop -o shop.tar", "to a file"], ["container export shop | tar -t", "to a program"]],
  async run(context) {
    const { arguments: [name], flags, signal, client } = context;
    const target = flags.output ?? "-";
    refuseTerminal(target);
    const stream = await (await client()).bytes(apiPath`/v1/containers/${name!}/export`, { signal });
    await saveArchive(context, stream, target);
  },
});

const removeContainer = command({
  words: ["container", "rm"],
  summary: "Remove containers and their RW layers; named volumes and host directories stay",
  arguments: [CONTAINERS],
  flags: {
    volumes: { kind: "switch", short: "v", help: "Remove their anonymous volumes too" },
    force: { kind: "switch", short: "f", help: "Unmount them first" },
  },
  examples: [["container rm shop", "refused while it is mounted"], ["container rm -f -v shop", "in any case"]],
  async run({ arguments: names, flags, output, signal, client }) {
    const api = await client();
    for (const name of names) {
      const options = { query: { force: flags.force, volumes: flags.volumes }, signal };
      printRemoval(output, await api.json<RemovalResult>("DELETE", apiPath`/v1/containers/${name}`, options));
    }
  },
});

const renameContainer = command({
  words: ["container", "rename"],
  summary: "Give a container another name, mounted or not",
  arguments: [CONTAINER, { name: "NAME", help: "new name" }],
  examples: [["container rename shop old-shop", "its id stays"]],
  async run({ arguments: [name, to], output, signal, client }) {
    const path = apiPath`/v1/containers/${name!}/rename`;
    const container = await (await client()).json<Container>("POST", path, { body: { name: to }, signal });
    if (output.asJson) output.json(container);
    else output.line(container.name);
  },
});

const pruneContainers = command({
  words: ["container", "prune"],
  summary: "Remove all containers that are not mounted; named volumes and host directories stay",
  flags: {
    volumes: { kind: "switch", short: "v", help: "Remove their anonymous volumes too" },
    filter: { kind: "list", short: "f", value: "K=V", help: "label=K[=V], label!=K[=V], until=TIME" },
  },
  examples: [
    ["container prune", "what is not mounted"],
    ["container prune -v --filter label!=keep --filter until=2030-01-31", "old ones, with their unnamed volumes"],
  ],
  async run({ flags, output, signal, client }) {
    const body = { ...pruneFilter(flags.filter), volumes: flags.volumes };
    printRemoval(
      output,
      await (await client()).json<RemovalResult>("POST", "/v1/containers/prune", { body, signal }),
      true,
    );
  },
});

/** See the head of the file. */
export const containerCommands: readonly Command[] = [
  createContainer,
  mountContainer,
  unmountContainer,
  listContainers,
  inspectContainer,
  updateContainer,
  diffContainer,
  commitCommand,
  exportContainer,
  copyCommand,
  renameContainer,
  removeContainer,
  pruneContainers,
];
