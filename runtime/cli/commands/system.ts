/** `lamina df`, `check`, `gc`, `events`, `info`, `doctor`, `migrate` and `version`. */
import type { RemovalResult } from "../../core/specs/image.ts";
import type { CheckResult, DiskUsage, DoctorItem, Event, Info } from "../../core/specs/system.ts";
import type { MigrationResult } from "../../core/specs/migrate.ts";
import { LaminaError } from "../../core/errors.ts";
import { VERSION } from "../../api/version.ts";
import { type Command, command } from "../command.ts";
import { counted, humanAge, humanSize, printable, shortId } from "../human.ts";
import { keyValues } from "../key_values.ts";
import { style } from "../output.ts";
import { UsageError } from "../parse.ts";
import { printRemoval } from "./removal.ts";

const df = command({
  words: ["df"],
  summary: "Who uses the disk",
  examples: [["df", "images, containers, volumes, and what could be freed"]],
  async run({ output, signal, client }) {
    const usage = await (await client()).json<DiskUsage>("GET", "/v1/df", { signal });
    if (output.asJson) return output.json(usage);
    const sum = (sizes: number[]) => sizes.reduce((a, b) => a + b, 0);
    const containers_bytes = sum(usage.containers.map(({ rw_bytes }) => rw_bytes));
    const volumes_bytes = sum(usage.volumes.map(({ size_bytes }) => size_bytes));
    output.table<[string, number, number]>([
      { title: "TYPE", value: ([type]) => type },
      { title: "COUNT", value: ([, count]) => count, right: true },
      { title: "SIZE", value: ([, , size_bytes]) => humanSize(size_bytes), right: true },
    ], [
      ["images", usage.images.length, usage.layers_bytes],
      ["containers", usage.containers.length, containers_bytes],
      ["volumes", usage.volumes.length, volumes_bytes],
    ]);
    const limited = usage.containers.filter(({ limit_bytes, limit_inodes }) => limit_bytes ?? limit_inodes);
    if (limited.length > 0) {
      output.table<DiskUsage["containers"][number]>([
        { title: "CONTAINER", value: ({ name }) => name },
        { title: "SIZE", value: ({ rw_bytes }) => humanSize(rw_bytes), right: true },
        {
          title: "LIMIT",
          value: ({ limit_bytes }) => limit_bytes === undefined ? "" : humanSize(limit_bytes),
          right: true,
        },
        { title: "INODES", value: ({ rw_inodes }) => rw_inodes, right: true },
        { title: "LIMIT", value: ({ limit_inodes }) => limit_inodes ?? "", right: true },
      ], limited);
    }
    const sized = usage.volumes.filter(({ limit_bytes }) => limit_bytes !== undefined);
    if (sized.length > 0) {
      output.table<DiskUsage["volumes"][number]>([
        { title: "VOLUME", value: ({ name }) => name },
        { title: "SIZE", value: ({ size_bytes }) => humanSize(size_bytes), right: true },
        { title: "LIMIT", value: ({ limit_bytes }) => humanSize(limit_bytes!), right: true },
        { title: "USERS", value: ({ used_by }) => used_by, right: true },
      ], sized);
    }
    const { total_bytes, available_bytes } = usage.filesystem;
    output.line(`reclaimable ${humanSize(usage.reclaimable_bytes)}`);
    output.line(`file system ${humanSize(available_bytes)} free of ${humanSize(total_bytes)}`);
  },
});

const check = command({
  words: ["check"],
  summary: "Compare database, directories and mount table",
  description: "Exit code 1 when something was found that is not repaired.",
  flags: {
    repair: { kind: "switch", help: "Make them agree, without touching user data" },
    deep: { kind: "switch", help: "Also read every layer and compare its digest" },
  },
  examples: [["check", "look"], ["check --repair", "look and make it right"], ["check --deep", "read every layer too"]],
  async run({ flags, output, signal, client, progress }) {
    const bars = progress();
    let result: CheckResult;
    try {
      const body = { repair: flags.repair, deep: flags.deep };
      result = await (await client()).withProgress<CheckResult>("POST", "/v1/check", { body, signal }, bars.update);
    } finally {
      bars.done();
    }
    const open = result.findings.filter(({ repaired }) => !repaired);
    if (output.asJson) {
      output.json(result);
    } else {
      for (const { kind, object, message, repaired, repairable } of result.findings) {
        const subject = message.includes(object) ? "" : `${printable(object)}: `;
        const state = repaired ? "repaired" : repairable ? "repairable with --repair" : "needs a person";
        output.line(`${kind}: ${subject}${printable(message)} (${state})`);
      }
      const looked = Object.entries(result.checked).map(([kind, count]) => `${kind} ${count}`).join(", ");
      const found = open.length === 0 ? "everything agrees" : `${counted(open.length, "finding")} left`;
      output.line(`${found}${looked === "" ? "" : ` (checked: ${looked})`}`);
    }
    return open.length === 0 ? 0 : 1;
  },
});

const gc = command({
  words: ["gc"],
  summary: "Free what removed objects left behind",
  examples: [["gc", "says what was freed"]],
  async run({ output, signal, client, progress }) {
    const bars = progress();
    try {
      const result = await (await client()).withProgress<RemovalResult>("POST", "/v1/gc", { signal }, bars.update);
      bars.done();
      printRemoval(output, result, true);
    } finally {
      bars.done();
    }
  },
});

const events = command({
  words: ["events"],
  summary: "Follow what happens, until interrupted",
  flags: { since: { kind: "text", value: "N", help: "Also the events after this sequence number" } },
  examples: [["events", "as it happens"], ["events --since 0 --json", "everything remembered, one JSON object a line"]],
  async run({ flags, output, signal, client }) {
    if (flags.since !== undefined && !/^\d{1,15}$/.test(flags.since)) {
      throw new UsageError(`--since takes a sequence number; not ${JSON.stringify(flags.since)}`);
    }
    const api = await client();
    if (api.backend.kind === "embedded") {
      throw new LaminaError("UNAVAILABLE", "Cannot follow events: no daemon runs, and without one nothing happens");
    }
    for await (const event of api.lines<Event>("/v1/events", { query: { since: flags.since }, signal })) {
      if (output.asJson) {
        // One line each, on a terminal too: this is a stream.
        output.line(JSON.stringify(event));
        continue;
      }
      const facts = Object.entries(event.attributes).map(([key, value]) => ` ${key}=${printable(value)}`).join("");
      output.line(`${event.time}  ${event.kind} ${event.action}  ${event.name ?? shortId(event.id)}${facts}`);
    }
  },
});

const info = command({
  words: ["info"],
  summary: "The daemon, its root and its storage driver",
  examples: [["info", "facts and decisions"], ["info --embedded --root /srv/lamina", "without a daemon"]],
  async run({ output, signal, client }) {
    const api = await client();
    const found = await api.json<Info>("GET", "/v1/info", { signal });
    if (output.asJson) return output.json(found);
    const where = api.backend.kind === "daemon" ? `daemon ${found.pid} at ${api.backend.place}` : "this process";
    const facts: Array<[string, string | number]> = [
      ["version", found.version],
      ["answered by", where],
      ["started", humanAge(found.started_at, Date.now())],
      ["root", found.root],
      ["storage driver", found.storage_driver],
      ...Object.entries(found.storage_status).map(([key, value]): [string, string] => [`  ${key}`, value]),
      ["mounter", found.mounter],
      ["images", `${found.images} (${counted(found.layers, "layer")})`],
      ["containers", `${found.containers} (${found.mounted_containers} mounted)`],
      ["volumes", found.volumes],
      ["volume drivers", found.volume_drivers.join(", ")],
      ["kernel", found.kernel],
      ["host", `${found.os}, ${found.architecture}${found.rootless ? ", rootless" : ""}`],
    ];
    const width = Math.max(...facts.map(([name]) => name.length));
    for (const [name, value] of facts) output.line(`${name.padEnd(width)}  ${printable(String(value))}`);
  },
});

const doctor = command({
  words: ["doctor"],
  summary: "What this host offers and lacks for the storage drivers and volumes",
  examples: [["doctor", "with advice for what is missing"]],
  async run({ output, signal, client }) {
    const items = await (await client()).json<DoctorItem[]>("GET", "/v1/doctor", { signal });
    if (output.asJson) return output.json(items);
    const width = Math.max(0, ...items.map(({ subject }) => subject.length));
    const colour = { ok: "32", warning: "33", missing: "31" };
    for (const { subject, status, found, advice } of items) {
      const state = style(colour[status], status.padEnd(7), output.terminal);
      output.line(`${state}  ${subject.padEnd(width)}  ${printable(found)}`);
      if (advice !== undefined) output.line(`${"".padEnd(9)}${"".padEnd(width)}  ${printable(advice)}`);
    }
  },
});

const migrate = command({
  words: ["migrate"],
  summary: "Move images and containers to another storage driver",
  description:
    "No container may be mounted, and nothing else runs meanwhile. Interrupted, the root works on with the old " +
    "driver, and the same command goes on where it stopped. The old data goes after all of the new is verified.",
  flags: {
    to: { kind: "text", value: "DRIVER", help: "overlay, vfs, btrfs, zfs, devicemapper or aufs" },
    "storage-opt": { kind: "list", value: "K=V", help: "Options of that driver, DRIVER.OPTION=VALUE" },
    abort: { kind: "switch", help: "Give up an interrupted migration: delete its copies" },
  },
  examples: [
    ["migrate --to btrfs", "with progress"],
    ["migrate --abort", "the old driver stays"],
  ],
  async run({ flags, output, signal, client, progress }) {
    if (flags.abort === (flags.to !== undefined)) throw new UsageError("migrate takes --to DRIVER or --abort");
    const api = await client();
    if (flags.abort) {
      const { abandoned } = await api.json<{ abandoned: boolean }>("DELETE", "/v1/migrate", { signal });
      if (output.asJson) output.json({ abandoned });
      else {output.line(
          abandoned ? "the copies are deleted, the old driver stays" : "there was no migration to give up",
        );}
      return;
    }
    const bars = progress();
    let result: MigrationResult;
    try {
      const body = { to: flags.to, storage_options: keyValues("--storage-opt", flags["storage-opt"]) };
      result = await api.withProgress<MigrationResult>("POST", "/v1/migrate", { body, signal }, bars.update);
    } finally {
      bars.done();
    }
    if (output.asJson) return output.json(result);
    const { from, to, layers, containers, warning } = result;
    output.line(`moved ${counted(layers, "layer")} and ${counted(containers, "container")} from ${from} to ${to}`);
    if (warning !== undefined) output.line(printable(warning));
    // The root notes the driver, not its options.
    const options = flags["storage-opt"].map((option) => ` --storage-opt ${option}`).join("");
    if (options !== "") output.line(`start Lamina from now on with${printable(options)}`);
  },
});

const version = command({
  words: ["version"],
  summary: "Versions of this program",
  examples: [["version", "this program and what it runs on"]],
  run({ output }) {
    const { arch: architecture } = Deno.build;
    if (output.asJson) output.json({ version: VERSION, api: "v1", deno: Deno.version.deno, architecture });
    else output.line(`lamina ${VERSION} (API v1, Deno ${Deno.version.deno}, ${architecture})`);
    return Promise.resolve();
  },
});

/** See the head of the file. */
export const systemCommands: readonly Command[] = [df, check, gc, events, info, doctor, migrate, version];
