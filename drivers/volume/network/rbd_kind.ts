/** `rbd`: an image of a Ceph pool, mapped by rbd(8). */
import * as z from "zod";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { persistentNetworkSources, type RbdSource } from "../../../runtime/core/specs/kube/volume_sources.ts";
import { parseSpec } from "../../../runtime/core/specs/parse_spec.ts";
import { runCommand } from "../../../runtime/host/command.ts";
import { memoryFile } from "../../../runtime/host/fstab.ts";
import { isReadOnlyDevice } from "../device_use.ts";
import type { PluginContext } from "../plugin_context.ts";
import type { VolumeSpec } from "../port.ts";
import type { NetworkBlockKind } from "./block_plugin.ts";
import { requireProgram } from "./network_file_plugin.ts";
import { cephKey } from "./secrets.ts";

const CALL_MS = 120_000;

/** What rbd(8) is told to map an image. Pure. @param keyFile Absent: the key is in the source's keyring. */
export function mapArguments(source: RbdSource, keyFile: string | undefined, readOnly: boolean): string[] {
  return [
    "device",
    "map",
    `${source.pool}/${source.image}`,
    "--id",
    source.user,
    "-m",
    source.monitors.join(","),
    ...(keyFile === undefined ? ["--keyring", source.keyring] : ["--keyfile", keyFile]),
    ...(readOnly ? ["--read-only"] : []),
  ];
}

const Devices = z.array(z.looseObject({
  pool: z.string(),
  namespace: z.string().optional(),
  name: z.string(),
  snap: z.string().optional(),
  device: z.string(),
}));

/** The device of an image in the answer of `rbd device list --format json`. Pure. */
export function mappedDevice(json: string, pool: string, image: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    value = undefined;
  }
  const devices = Devices.safeParse(value);
  if (!devices.success) throw new LaminaError("INTERNAL", "rbd device list gave an answer that is no list of devices");
  return devices.data.find((entry) =>
    entry.pool === pool && entry.name === image && (entry.snap ?? "-") === "-" && !entry.namespace
  )?.device;
}

/** See the head of the file. */
export class RbdKind implements NetworkBlockKind {
  readonly name = "kubernetes.io/rbd";
  readonly source = "rbd";
  readonly #context: PluginContext;

  constructor(context: PluginContext) {
    this.#context = context;
  }

  volumeId(spec: VolumeSpec): string {
    const { monitors, pool, image } = parsed(spec);
    return `rbd${JSON.stringify([pool, image, [...monitors].sort()])}`;
  }

  fileSystem(spec: VolumeSpec) {
    return parsed(spec);
  }

  async attach(spec: VolumeSpec, operation: Operation): Promise<string> {
    requireProgram({ program: "rbd", package: "ceph-common" }, `attach the volume ${JSON.stringify(spec.name)}`);
    const source = parsed(spec);
    // Mapped twice it would be two disks with a cache each.
    const mapped = mappedDevice(
      await rbd(["device", "list", "--format", "json"], operation),
      source.pool,
      source.image,
    );
    if (mapped !== undefined) return mapped;
    using keyFile = source.secretRef === undefined
      ? undefined
      : memoryFile(cephKey(source.secretRef, spec, this.#context.objects));
    const args = mapArguments(source, keyFile?.path, source.readOnly || isReadOnlyDevice(spec));
    const device = (await rbd(args, operation)).trim();
    if (/^\/dev\/\S+$/.test(device)) return device;
    throw new LaminaError("INTERNAL", `rbd has mapped ${source.pool}/${source.image} and named no device`);
  }

  async detach(volumeId: string, _devicePath: string, operation: Operation): Promise<void> {
    const [pool, image] = JSON.parse(volumeId.slice("rbd".length)) as [string, string];
    const mapped = mappedDevice(await rbd(["device", "list", "--format", "json"], operation), pool, image);
    // By what the kernel says now: after a restart another image may have the number.
    if (mapped !== undefined) await rbd(["device", "unmap", mapped], operation);
  }
}

function parsed(spec: VolumeSpec): RbdSource {
  return parseSpec(persistentNetworkSources.rbd, spec.source.rbd, `volume "${spec.name}"`);
}

async function rbd(args: readonly string[], { signal }: Operation): Promise<string> {
  const { code, stdout, stderr } = await runCommand("rbd", args, { signal, timeout_ms: CALL_MS });
  if (code === 0) return stdout;
  const said = stderr.trim().split("\n").slice(-2).join(" ").slice(0, 400) || `exit status ${code}`;
  throw new LaminaError("UNAVAILABLE", `rbd ${args.slice(0, 2).join(" ")} failed: ${said}`);
}
