/** What the devicemapper driver needs of kernel and tools, and what of it is missing here. */
import { LaminaError, messageOf } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { runCommand } from "../../../runtime/host/command.ts";
import { mapperTargets } from "../../../runtime/host/device_mapper.ts";
import { isRoot } from "../../../runtime/host/host_facts.ts";
import type { DriverNeed } from "../driver_factory.ts";
import { FILE_SYSTEM_TOOLS } from "./file_systems.ts";
import type { DevicemapperSettings } from "./options.ts";
import { isThere } from "../../../runtime/host/is_there.ts";

/** A missing part. */
export interface LackingPart {
  /** A clause that says what to install or load. */
  readonly reason: string;
  readonly need?: DriverNeed;
}

/** The missing parts. Without `settings`: what every pool needs. */
export async function lackingParts(
  settings: DevicemapperSettings | undefined,
  operation: Operation,
): Promise<LackingPart[]> {
  if (!isRoot()) return [{ reason: "it needs root" }];
  const lacking = await lackingTargets(operation);
  const tools: Array<[string, string]> = [
    ["thin_ls", "thin-provisioning-tools"],
    ["thin_check", "thin-provisioning-tools"],
  ];
  if (settings !== undefined) {
    const { programs, package: name } = FILE_SYSTEM_TOOLS[settings.fs];
    tools.push(...programs.map((program): [string, string] => [program, name]));
    if (settings.backing.kind === "lvm") tools.push(["lvchange", "lvm2"]);
    if (settings.backing.kind === "loop" && !await isThere("/dev/loop-control")) {
      await load("loop", operation);
      if (!await isThere("/dev/loop-control")) {
        lacking.push({ reason: "the kernel has no loop devices: load the module loop", need: { module: "loop" } });
      }
    }
  }
  for (const [program, name] of tools) {
    if (await isInstalled(program)) continue;
    lacking.push({ reason: `${program} is not installed: install the package ${name}`, need: { package: name } });
  }
  return lacking;
}

async function lackingTargets(operation: Operation): Promise<LackingPart[]> {
  let found = targets();
  if (!(found instanceof Map && found.has("thin-pool"))) {
    const said = await load("dm_thin_pool", operation);
    found = targets();
    const need = { module: "dm_thin_pool", kernelOption: "CONFIG_DM_THIN_PROVISIONING" };
    if (!(found instanceof Map)) {
      return [{ reason: `the kernel has no device mapper (${found}): load the module dm_thin_pool (${said})`, need }];
    }
    if (!found.has("thin-pool")) {
      return [{ reason: `the kernel has no thin provisioning: load the module dm_thin_pool (${said})`, need }];
    }
  }
  return [];
}

function targets(): Map<string, string> | string {
  try {
    return mapperTargets();
  } catch (error) {
    return messageOf(error);
  }
}

/** Tries to load a module; what modprobe said. */
async function load(module: string, { signal }: Operation): Promise<string> {
  try {
    const { code, stderr } = await runCommand("modprobe", [module], { signal, timeout_ms: 30_000 });
    return code === 0 ? "modprobe loaded it" : stderr.trim().slice(0, 200);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof LaminaError) return error.message;
    throw error;
  }
}

async function isInstalled(program: string): Promise<boolean> {
  const path = Deno.env.get("PATH") ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  for (const directory of path.split(":")) {
    if (directory !== "" && await isThere(`${directory}/${program}`)) return true;
  }
  return false;
}
