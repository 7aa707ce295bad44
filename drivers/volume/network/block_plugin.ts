/** Volumes on block devices that another machine has: attached by a program, then used as a disk of this machine. */
import type { Mount } from "../../../runtime/core/mount.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { currentMountTable, mountAtTarget } from "../../../runtime/host/mount_table.ts";
import { bindOf, growMounted, isReadOnlyDevice, mountDevice } from "../device_use.ts";
import { volumeUsage } from "../directory_usage.ts";
import { cannotSetUp, type PluginContext } from "../plugin_context.ts";
import type { Attacher, DeviceMounter, SetUpRequest, VolumePlugin, VolumeSpec, VolumeUsage } from "../port.ts";
import { unmountNetwork } from "./unmount.ts";

/** One of these kinds. */
export interface NetworkBlockKind extends Attacher {
  /** Of the plugin. */
  readonly name: string;
  /** Key of `VolumeSpec.source`. */
  readonly source: string;
  /** Holds all that `detach` needs. */
  volumeId(spec: VolumeSpec): string;
  /** What the source says of its file system. */
  fileSystem(spec: VolumeSpec): { readonly fsType?: string | undefined; readonly readOnly: boolean };
}

/** See the head of the file. */
export class NetworkBlockPlugin implements VolumePlugin {
  readonly name: string;
  readonly capabilities = {
    mountOptions: true,
    block: true,
    fsGroup: true,
    accessModes: ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteOncePod"],
  } as const;
  readonly attacher: Attacher;
  readonly deviceMounter: DeviceMounter;
  readonly #context: PluginContext;
  readonly #kind: NetworkBlockKind;

  constructor(context: PluginContext, kind: NetworkBlockKind) {
    this.name = kind.name;
    this.#context = context;
    this.#kind = kind;
    this.attacher = kind;
    this.deviceMounter = {
      mountDevice: async ({ spec, path, devicePath }, operation) => {
        if (spec.volume_mode === "Block") return;
        const { fsType, readOnly } = kind.fileSystem(spec);
        const read_only = readOnly || isReadOnlyDevice(spec);
        const request = { device: devicePath!, target: path, fs_type: fsType, read_only, options: spec.mount_options };
        await mountDevice(request, context.mounter, operation);
      },
      unmountDevice: ({ path, force }, operation) => unmountNetwork(path, context.mounter, operation, { force }),
    };
  }

  supports(spec: VolumeSpec): boolean {
    return this.#kind.source in spec.source;
  }

  volumeId(spec: VolumeSpec): string {
    return this.#kind.volumeId(spec);
  }

  setUp({ spec, workload, devicePath, deviceMountPath }: SetUpRequest): Promise<readonly Mount[]> {
    if (spec.volume_mode === "Filesystem") return Promise.resolve([bindOf(deviceMountPath!, spec)]);
    // A read-only mount of a device's node stops nobody from writing to the device.
    if (spec.read_only) {
      const refusal = cannotSetUp("UNSUPPORTED", spec, workload, "a raw block volume of this kind cannot be read-only");
      return Promise.reject(refusal);
    }
    return Promise.resolve([bindOf(devicePath!, spec)]);
  }

  tearDown(): Promise<void> {
    return Promise.resolve();
  }

  usage(path: string, operation: Operation): Promise<VolumeUsage> {
    return volumeUsage(path, this.#context.engine, operation);
  }

  async expand(
    { spec, path }: { readonly spec: VolumeSpec; readonly path: string },
    operation: Operation,
  ): Promise<boolean | undefined> {
    const mounted = mountAtTarget(currentMountTable(), path);
    if (spec.volume_mode !== "Filesystem" || mounted === undefined) return undefined;
    return await growMounted(mounted.source, spec, operation);
  }
}
