/**
 * `flexVolume`: storage through a program that somebody put on the host. Verbs that a driver does not support are done
 * as usual: a device is formatted and mounted, a mounted device is bound.
 *
 * The protocol hands secrets to the driver in an argument list, which every process of the machine can read. So they are
 * not handed over: a volume with a `secretRef` is refused.
 */
import { dirname, join } from "@std/path/posix";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { persistentNetworkSources } from "../../../runtime/core/specs/kube/volume_sources.ts";
import { parseSpec } from "../../../runtime/core/specs/parse_spec.ts";
import { makeDirectoryDurably, writeFileDurably } from "../../../runtime/host/durable.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { mountIdentityIfThere } from "../../../runtime/host/mount_table.ts";
import { bindOf, isReadOnlyDevice, mountDevice } from "../device_use.ts";
import { digestOf } from "../digest.ts";
import { cannotSetUp, type PluginContext } from "../plugin_context.ts";
import type { Attacher, DeviceMounter, SetUpRequest, TearDownRequest, VolumePlugin, VolumeSpec } from "../port.ts";
import { refuseMountsBelow } from "../trash.ts";
import { FLEX_DIRECTORY, FlexDrivers } from "./flex_driver.ts";

/** See the head of the file. */
export class FlexPlugin implements VolumePlugin {
  readonly name = "kubernetes.io/flexvolume";
  readonly capabilities = {
    mountOptions: false,
    block: false,
    fsGroup: true,
    accessModes: ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"],
  } as const;
  readonly attacher: Attacher;
  readonly deviceMounter: DeviceMounter;
  readonly #context: PluginContext;
  readonly #drivers: FlexDrivers;

  constructor(context: PluginContext) {
    this.#context = context;
    this.#drivers = new FlexDrivers(context.flexDirectory ?? FLEX_DIRECTORY);
    this.attacher = {
      attach: (spec, operation) => this.#attach(spec, operation),
      detach: (volumeId, devicePath, operation) => this.#detach(volumeId, devicePath, operation),
    };
    this.deviceMounter = {
      mountDevice: ({ spec, path, devicePath }, operation) => this.#mountDevice(spec, path, devicePath, operation),
      unmountDevice: ({ volumeId, path }, operation) => this.#unmountDevice(volumeId, path, operation),
    };
  }

  supports(spec: VolumeSpec): boolean {
    return "flexVolume" in spec.source;
  }

  /** The driver is in it: what is left after a restart is taken down by the same program. */
  volumeId(spec: VolumeSpec): string {
    const { driver, fsType, options = {} } = parsed(spec);
    const sorted = Object.keys(options).sort().map((key) => [key, options[key]]);
    return `${driver}/${spec.persistent_volume?.name ?? digestOf(JSON.stringify([fsType ?? "", sorted]))}`;
  }

  async setUp(request: SetUpRequest, operation: Operation): Promise<readonly Mount[] | void> {
    const { spec, workload, path, deviceMountPath } = request;
    const { driver } = parsed(spec);
    if (mountIdentityIfThere(path)?.isRoot) return;
    await this.#remember(path, driver);
    try {
      await Deno.mkdir(path, { mode: 0o750 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw hostError(error, `Cannot make ${path}`, { path });
    }
    const answer = await this.#drivers.call(driver, "mount", [path, this.#podOptions(request)], operation);
    if (answer !== undefined) return;
    if (deviceMountPath === undefined || !mountIdentityIfThere(deviceMountPath)?.isRoot) {
      throw cannotSetUp(
        "UNSUPPORTED",
        spec,
        workload,
        `the FlexVolume driver ${driver} supports neither mount nor attach`,
      );
    }
    return [bindOf(deviceMountPath, spec)];
  }

  async tearDown({ path }: TearDownRequest, operation: Operation): Promise<void> {
    const driver = await this.#remembered(path);
    if (driver !== undefined) await this.#drivers.call(driver, "unmount", [path], operation);
    refuseMountsBelow(path);
    await removeIfThere(path);
    await removeIfThere(this.#noteOf(path));
  }

  async #attach(spec: VolumeSpec, operation: Operation): Promise<string> {
    const { driver, secretRef } = parsed(spec);
    if (secretRef !== undefined) {
      throw new LaminaError(
        "UNSUPPORTED",
        `Cannot use the volume ${JSON.stringify(spec.name)}: FlexVolume gives secrets to its driver in an argument ` +
          "list, which every process can read. Remove secretRef, and let the driver read a file",
      );
    }
    if (!await this.#drivers.attaches(driver, operation)) return "";
    const options = this.#options(spec);
    const attached = await this.#drivers.call(driver, "attach", [options, Deno.hostname()], operation);
    const device = attached?.device ?? "";
    const waited = await this.#drivers.call(driver, "waitforattach", [device, options], operation);
    return waited?.device ?? device;
  }

  async #detach(volumeId: string, devicePath: string, operation: Operation): Promise<void> {
    const driver = driverOf(volumeId);
    if (!await this.#drivers.attaches(driver, operation)) return;
    // By its device; by the volume's name where it never had one.
    await this.#drivers.call(driver, "detach", [devicePath || nameOf(volumeId), Deno.hostname()], operation);
  }

  async #mountDevice(spec: VolumeSpec, path: string, device: string | undefined, operation: Operation): Promise<void> {
    const { driver, fsType } = parsed(spec);
    if (!await this.#drivers.attaches(driver, operation)) return;
    if (mountIdentityIfThere(path)?.isRoot) return;
    const args = [path, device ?? "", this.#options(spec)];
    if (await this.#drivers.call(driver, "mountdevice", args, operation) !== undefined || !device) return;
    const read_only = isReadOnlyDevice(spec) || parsed(spec).readOnly;
    await mountDevice(
      { device, target: path, fs_type: fsType, read_only, options: spec.mount_options },
      this.#context.mounter,
      operation,
    );
  }

  async #unmountDevice(volumeId: string, path: string, operation: Operation): Promise<void> {
    const driver = driverOf(volumeId);
    if (await this.#drivers.attaches(driver, operation)) {
      await this.#drivers.call(driver, "unmountdevice", [path], operation);
    }
    // Where the driver does not support it, and where it left something.
    await this.#context.mounter.unmount([path], operation);
  }

  #options(spec: VolumeSpec, more: Readonly<Record<string, string>> = {}): string {
    const { fsType, readOnly, options = {} } = parsed(spec);
    return JSON.stringify({
      "kubernetes.io/fsType": fsType ?? "",
      "kubernetes.io/readwrite": readOnly || spec.read_only ? "ro" : "rw",
      "kubernetes.io/pvOrVolumeName": spec.persistent_volume?.name ?? spec.name,
      ...more,
      ...options,
    });
  }

  #podOptions({ spec, workload, fsGroup }: SetUpRequest): string {
    return this.#options(spec, {
      "kubernetes.io/pod.name": workload.name.slice(workload.name.indexOf("/") + 1),
      "kubernetes.io/pod.namespace": workload.namespace,
      "kubernetes.io/pod.uid": workload.uid,
      ...(fsGroup !== undefined && { "kubernetes.io/mounterArgs.FsGroup": String(fsGroup) }),
    });
  }

  /** Taking down is asked by path only; the driver must be known then, also by another process. */
  async #remember(path: string, driver: string): Promise<void> {
    const note = this.#noteOf(path);
    await makeDirectoryDurably(dirname(note));
    await writeFileDurably(note, driver);
  }

  async #remembered(path: string): Promise<string | undefined> {
    try {
      return await Deno.readTextFile(this.#noteOf(path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw hostError(error, `Cannot tell which FlexVolume driver has mounted ${path}`, { path });
    }
  }

  #noteOf(path: string): string {
    return join(this.#context.layout.root, "flexvolumes", digestOf(path));
  }
}

function parsed(spec: VolumeSpec) {
  return parseSpec(persistentNetworkSources.flexVolume, spec.source.flexVolume, `volume "${spec.name}"`);
}

function driverOf(volumeId: string): string {
  return volumeId.split("/", 2).join("/");
}

function nameOf(volumeId: string): string {
  return volumeId.split("/").slice(2).join("/");
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw hostError(error, `Cannot remove ${path}`, { path });
  }
}
