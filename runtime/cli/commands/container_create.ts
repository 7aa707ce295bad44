/** `lamina container create` */
import { resolve } from "@std/path/posix";
import { parseMountFlag } from "../../core/mount_flag.ts";
import type { ContainerRequest } from "../../core/model/container.ts";
import type { Container } from "../../core/specs/container.ts";
import { parseTmpfsFlag, parseVolumeFlag, parseVolumesFrom } from "../../core/volume_flag.ts";
import { command } from "../command.ts";
import { keyValues } from "../key_values.ts";
import { UsageError } from "../parse.ts";

/** See the head of the file. */
export const createContainer = command({
  words: ["container", "create"],
  summary: "Create a container: an RW layer on an image, and its volumes",
  description:
    "Prints the container's name. A named volume is made at its first use, a missing host directory of -v too. An empty " +
    "volume gets what the image has at its target. Lamina runs nothing: what says how to run it is kept for inspect, " +
    "crun and commit; write -- before a COMMAND with flags of its own.",
  arguments: [
    { name: "IMAGE", help: "reference, id or unique id prefix", complete: "image" },
    { name: "COMMAND", help: "instead of the image's", optional: true, repeated: true },
  ],
  flags: {
    name: { kind: "text", value: "NAME", help: "Name; absent: made up" },
    volume: {
      kind: "list",
      short: "v",
      value: "[SRC:]DST[:MODE,…]",
      help: "Host path, named volume, or new volume; ro, nocopy, z, rshared, …",
      complete: "directory",
    },
    mount: {
      kind: "list",
      value: "K=V,…",
      help: "type=volume|bind|tmpfs|image,source=…,target=…[,readonly][,volume-subpath=…][,bind-propagation=…]…",
    },
    "volumes-from": {
      kind: "list",
      value: "CONTAINER[:ro]",
      help: "Mount the volumes and host directories of another container",
      complete: "container",
    },
    tmpfs: { kind: "list", value: "DST[:size=…]", help: "Memory that vanishes with the mount; mode=, exec, uid=, …" },
    "read-only": { kind: "switch", help: "The root is read-only; volumes keep their own mode" },
    rm: { kind: "switch", help: "Remove the container, and its unnamed volumes, when it is unmounted" },
    "storage-opt": { kind: "list", value: "K=V", help: "size=… and inodes=… limit the RW layer where the driver can" },
    label: { kind: "list", short: "l", value: "K=V", help: "Label" },
    env: { kind: "list", short: "e", value: "K[=V]", help: "Variable for its processes; K alone: as it is here" },
    entrypoint: { kind: "text", value: "PROGRAM", help: "Instead of the image's entrypoint and command" },
    workdir: { kind: "text", short: "w", value: "DIR", help: "Working directory of its processes" },
    user: { kind: "text", short: "u", value: "USER[:GROUP]", help: "Who its processes run as" },
    hostname: { kind: "text", value: "NAME", help: "For the engine that runs it" },
  },
  examples: [
    ["container create team/web:1 --name shop", "a container"],
    ["container create team/web:1 --name shop -v data:/var/lib/shop -v ./conf:/etc/shop:ro", "with volumes"],
    ["container create db:1 --tmpfs /run:size=64m --read-only", "a read-only root with one place to write"],
    ["container create tools:1 --volumes-from shop:ro -v /srv/backup:/backup", "somebody to back shop up"],
  ],
  async run({ arguments: [image, ...words], flags, output, signal, client }) {
    const absolute = (path: string) => resolve(path);
    flags["volumes-from"].forEach(parseVolumesFrom);
    const body: ContainerRequest = {
      image: image!,
      name: flags.name,
      mounts: [
        ...flags.volume.map((text) => parseVolumeFlag(text, absolute)),
        ...flags.mount.map((text) => parseMountFlag(text, absolute)),
        ...flags.tmpfs.map((text) => parseTmpfsFlag(text)),
      ],
      volumes_from: flags["volumes-from"],
      read_only: flags["read-only"],
      auto_remove: flags.rm,
      labels: keyValues("--label", flags.label, { bare: true }),
      storage_options: keyValues("--storage-opt", flags["storage-opt"]),
      config: {
        env: flags.env.flatMap(variable),
        ...(flags.entrypoint === undefined ? {} : { entrypoint: [flags.entrypoint] }),
        ...(words.length === 0 ? {} : { command: words }),
        ...(flags.workdir === undefined ? {} : { working_directory: flags.workdir }),
        ...(flags.user === undefined ? {} : { user: flags.user }),
        ...(flags.hostname === undefined ? {} : { hostname: flags.hostname }),
      },
    };
    const container = await (await client()).json<Container>("POST", "/v1/containers", { body, signal });
    if (output.asJson) output.json(container);
    else output.line(container.name);
  },
});

/** `K=V` as it is; `K` with the value that it has here, or not at all where it has none. */
function variable(text: string): string[] {
  if (/^(=|$)/.test(text)) throw new UsageError(`--env takes KEY=VALUE or KEY; not ${JSON.stringify(text)}`);
  if (text.includes("=")) return [text];
  const value = Deno.env.get(text);
  return value === undefined ? [] : [`${text}=${value}`];
}
