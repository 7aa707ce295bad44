/** `iscsi`: a disk of a target, by open-iscsi. Several portals are several ways to it. */
import { join } from "@std/path/posix";
import { LaminaError } from "../../../../runtime/core/errors.ts";
import type { Operation } from "../../../../runtime/core/operation.ts";
import { persistentNetworkSources } from "../../../../runtime/core/specs/kube/volume_sources.ts";
import { parseSpec } from "../../../../runtime/core/specs/parse_spec.ts";
import { isUnused } from "../../../../runtime/host/block_devices.ts";
import { type CommandResult, runCommand } from "../../../../runtime/host/command.ts";
import { writeFileDurably } from "../../../../runtime/host/durable.ts";
import { hostError } from "../../../../runtime/host/errno_errors.ts";
import {
  deleteScsiDisk,
  type IscsiDisk,
  iscsiDisks,
  multipathOf,
  SYSFS,
} from "../../../../runtime/host/iscsi_disks.ts";
import type { PluginContext } from "../../plugin_context.ts";
import type { VolumeSpec } from "../../port.ts";
import type { NetworkBlockKind } from "../block_plugin.ts";
import { requireProgram } from "../network_file_plugin.ts";
import { secretValues } from "../secrets.ts";
import {
  completePortal,
  deleteRecord,
  ISCSI,
  type IscsiAddress,
  isRecordOf,
  login,
  logout,
  manualStartup,
  newRecord,
  rescan,
  withChap,
} from "./iscsi_commands.ts";

const CALL_MS = 60_000;
/** What the kernel gets to find a disk after the login, and how often is looked: sysfs tells nobody of changes. */
const DISK_MS = 30_000;
const LOOK_MS = 200;

/** Where open-iscsi has its records. */
const RECORDS = "/etc/iscsi/nodes";

/** See the head of the file. */
export class IscsiKind implements NetworkBlockKind {
  readonly name = "kubernetes.io/iscsi";
  readonly source = "iscsi";
  readonly #context: PluginContext;
  readonly #records: string;
  readonly #sysfs: string;
  /** Attached by this process and not detached: they keep their session. */
  readonly #attached = new Set<string>();

  /** @param places Of tests. */
  constructor(context: PluginContext, places: { readonly records?: string; readonly sysfs?: string } = {}) {
    this.#context = context;
    this.#records = places.records ?? RECORDS;
    this.#sysfs = places.sysfs ?? SYSFS;
  }

  volumeId(spec: VolumeSpec): string {
    const { iqn, lun, iface, portals } = addressOf(spec);
    return `iscsi${JSON.stringify([iqn, lun, iface, portals])}`;
  }

  fileSystem(spec: VolumeSpec) {
    return parsed(spec);
  }

  async attach(spec: VolumeSpec, operation: Operation): Promise<string> {
    requireProgram({ program: "iscsiadm", package: "open-iscsi" }, `attach the volume ${JSON.stringify(spec.name)}`);
    const { chapAuthSession, secretRef, initiatorName } = parsed(spec);
    if (initiatorName !== undefined) {
      throw new LaminaError(
        "UNSUPPORTED",
        `Cannot attach the volume ${JSON.stringify(spec.name)}: initiatorName is this machine's, ` +
          "set it in /etc/iscsi/initiatorname.iscsi",
      );
    }
    const secrets = chapAuthSession ? secretValues(secretRef!, spec, this.#context.objects) : undefined;
    const address = addressOf(spec);
    const failures: string[] = [];
    for (const portal of address.portals) {
      const failure = await this.#login(address, portal, secrets, operation);
      if (failure !== undefined) failures.push(`${portal}: ${failure}`);
    }
    if (failures.length === address.portals.length) {
      throw new LaminaError("UNAVAILABLE", `Cannot log in to ${address.iqn}: ${failures.join("; ")}`, {
        details: { iqn: address.iqn },
      });
    }
    const disks = await this.#disks(address, operation);
    this.#attached.add(this.volumeId(spec));
    const names = disks.map(({ name }) => name);
    return multipathOf(names, this.#sysfs) ?? `/dev/${names[0]}`;
  }

  async detach(volumeId: string, _devicePath: string, operation: Operation): Promise<void> {
    this.#attached.delete(volumeId);
    const address = addressIn(volumeId);
    const all = iscsiDisks(address.iqn, this.#sysfs);
    for (const { name } of all.filter(({ lun }) => lun === address.lun)) await deleteScsiDisk(name, this.#sysfs);
    const others = all.filter(({ lun }) => lun !== address.lun);
    if (this.#isWanted(address, others)) return;
    for (const portal of address.portals) {
      // No session, no record: they are gone already.
      await iscsiadm(logout(address, portal), [ISCSI.NO_OBJECTS], operation);
      await iscsiadm(deleteRecord(address, portal), [ISCSI.NO_OBJECTS], operation);
    }
  }

  /** Whether other disks of the target are in use: a logout would take them along. */
  #isWanted({ iqn }: IscsiAddress, others: readonly IscsiDisk[]): boolean {
    return [...this.#attached].some((id) => addressIn(id).iqn === iqn) ||
      others.some(({ name }) => !isUnused(`/dev/${name}`));
  }

  /** @returns why it failed. */
  async #login(
    address: IscsiAddress,
    portal: string,
    secrets: ReadonlyMap<string, string> | undefined,
    operation: Operation,
  ): Promise<string | undefined> {
    try {
      await iscsiadm(newRecord(address, portal), [], operation);
      await iscsiadm(manualStartup(address, portal), [], operation);
      if (secrets !== undefined) await this.#writeSecrets(address, portal, secrets);
      const { code } = await iscsiadm(login(address, portal), [ISCSI.SESSION_EXISTS], operation);
      if (code === ISCSI.SESSION_EXISTS) await iscsiadm(rescan(address, portal), [], operation);
      return undefined;
    } catch (error) {
      operation.signal.throwIfAborted();
      // What is wrong with the secret is wrong for every portal.
      if (error instanceof LaminaError && error.code !== "INVALID_ARGUMENT") return error.message;
      throw error;
    }
  }

  /** Into the records themselves, which only root can read: iscsiadm(8) would want them as arguments. */
  async #writeSecrets(
    { iqn, iface }: IscsiAddress,
    portal: string,
    secrets: ReadonlyMap<string, string>,
  ): Promise<void> {
    const directory = join(this.#records, iqn);
    let found = 0;
    try {
      for await (const { name, isDirectory } of Deno.readDir(directory)) {
        if (!isRecordOf(name, portal)) continue;
        const path = isDirectory ? join(directory, name, iface) : join(directory, name);
        await writeFileDurably(path, withChap(await Deno.readTextFile(path), secrets), { mode: 0o600 });
        found++;
      }
    } catch (error) {
      throw hostError(error, `Cannot note the secret of ${iqn} in ${directory}`, { path: directory });
    }
    if (found > 0) return;
    throw new LaminaError(
      "INTERNAL",
      `Cannot note the secret of ${iqn}: there is no record of ${portal} in ${directory}`,
    );
  }

  async #disks({ iqn, lun }: IscsiAddress, { signal }: Operation): Promise<IscsiDisk[]> {
    for (let waited_ms = 0; waited_ms < DISK_MS; waited_ms += LOOK_MS) {
      signal.throwIfAborted();
      const found = iscsiDisks(iqn, this.#sysfs).filter((disk) => disk.lun === lun);
      if (found.length > 0) return found;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    throw new LaminaError(
      "NOT_FOUND",
      `The target ${iqn} has no disk ${lun} for this machine. Look at its access rules`,
      {
        details: { iqn, lun, failure_class: "uncertain" },
      },
    );
  }
}

function parsed(spec: VolumeSpec) {
  return parseSpec(persistentNetworkSources.iscsi, spec.source.iscsi, `volume "${spec.name}"`);
}

function addressOf(spec: VolumeSpec): IscsiAddress {
  const { iqn, lun, iscsiInterface, targetPortal, portals = [] } = parsed(spec);
  return { iqn, lun, iface: iscsiInterface, portals: [...new Set([targetPortal, ...portals].map(completePortal))] };
}

function addressIn(volumeId: string): IscsiAddress {
  const [iqn, lun, iface, portals] = JSON.parse(volumeId.slice("iscsi".length)) as [string, number, string, string[]];
  return { iqn, lun, iface, portals };
}

async function iscsiadm(
  args: readonly string[],
  fine: readonly number[],
  { signal }: Operation,
): Promise<CommandResult> {
  const result = await runCommand("iscsiadm", args, { signal, timeout_ms: CALL_MS });
  if (result.code === 0 || fine.includes(result.code)) return result;
  const said = (result.stderr.trim() || result.stdout.trim()).split("\n").at(-1)!.slice(0, 300);
  throw new LaminaError("UNAVAILABLE", `iscsiadm failed with status ${result.code}: ${said}`);
}
