/**
 * `local`: a PersistentVolume that is a directory, a block device, or a file with a device's content of this machine.
 *
 * - A directory is bound. It is the machine's; nothing in it is deleted.
 * - A block device, or a file through a loop device, is mounted once; one without anything on it gets a file system.
 * - `volumeMode: Block`: the device itself appears; of a file, a loop device that stays while it is used. Who may only
 *   read gets a loop device of its own that nobody can write to, beside the other.
 */
import { awaiting } from "../awaited_path.ts";
import { abortable } from "../../../runtime/core/keyed_lock.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { parseSpec } from "../../../runtime/core/specs/parse_spec.ts";
import { LocalSource } from "../../../runtime/core/specs/kube/volume_sources.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { holdLoop } from "../../../runtime/host/image_files.ts";
import { attachNamedLoop, detachNamedLoop } from "../../../runtime/host/named_loops.ts";
import { bindOf, growMounted, isReadOnlyDevice, mountDevice } from "../device_use.ts";
import { digestOf } from "../digest.ts";
import { volumeUsage } from "../directory_usage.ts";
import { hostBind } from "../host_bind.ts";
import { cannotSetUp, type PluginContext } from "../plugin_context.ts";
import type { DeviceMounter, SetUpRequest, VolumePlugin, VolumeSpec, VolumeUsage } from "../port.ts";

/** What lies at the path of a local volume. */
interface Found {
  readonly kind: "directory" | "file" | "device";
  /** Canonical. */
  readonly path: string;
}

/** See the head of the file. */
export class LocalPlugin implements VolumePlugin {
  readonly name = "kubernetes.io/local-volume";
  readonly capabilities = {
    mountOptions: true,
    block: true,
    fsGroup: true,
    accessModes: ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"],
  } as const;
  readonly deviceMounter: DeviceMounter;
  readonly #context: PluginContext;

  constructor(context: PluginContext) {
    this.#context = context;
    this.deviceMounter = {
      mountDevice: async ({ spec, path }, operation) => {
        const found = await look(spec, operation);
        if (found.kind === "directory") return;
        if (spec.volume_mode === "Block") this.#rawDevice(spec, found);
        else await this.#mount(spec, found, path, operation);
      },
      unmountDevice: async ({ volumeId, path }, operation) => {
        await this.#context.mounter.unmount([path], operation);
        for (const read_only of [true, false]) detachNamedLoop(this.#loopName(volumeId, read_only));
      },
    };
  }

  supports(spec: VolumeSpec): boolean {
    return "local" in spec.source;
  }

  volumeId(spec: VolumeSpec): string {
    return spec.persistent_volume?.name ?? parsed(spec).path;
  }

  async setUp(request: SetUpRequest, operation: Operation): Promise<readonly Mount[]> {
    const { spec, workload, deviceMountPath } = request;
    const found = await look(spec, operation);
    if (spec.volume_mode === "Block") {
      if (found.kind === "directory") {
        throw cannotSetUp("CONFLICT", spec, workload, `${found.path} is a directory; volumeMode Block wants a device`);
      }
      return [bindOf(this.#rawDevice(spec, found), spec)];
    }
    if (found.kind !== "directory") return [bindOf(deviceMountPath!, spec)];
    return [hostBind(found.path, spec, workload)];
  }

  /** The manager takes the bind away; what it shows is the machine's. */
  tearDown(): Promise<void> {
    return Promise.resolve();
  }

  usage(path: string, operation: Operation): Promise<VolumeUsage> {
    return volumeUsage(path, this.#context.engine, operation);
  }

  async expand({ spec }: { readonly spec: VolumeSpec }, operation: Operation): Promise<boolean | undefined> {
    const found = await look(spec, operation);
    if (found.kind === "directory" || spec.volume_mode === "Block") return undefined;
    return await growMounted(found.path, spec, operation);
  }

  async #mount(spec: VolumeSpec, found: Found, target: string, operation: Operation): Promise<void> {
    const { fsType } = parsed(spec);
    const loop = found.kind === "file" ? holdLoop(found.path) : undefined;
    try {
      await mountDevice(
        {
          device: loop?.path ?? found.path,
          source: found.path,
          target,
          fs_type: fsType,
          read_only: isReadOnlyDevice(spec),
          options: spec.mount_options,
        },
        this.#context.mounter,
        operation,
      );
    } finally {
      // The mount has it now; without one it frees itself.
      loop?.[Symbol.dispose]();
    }
  }

  #rawDevice(spec: VolumeSpec, found: Found): string {
    // A read-only mount of a device's node stops nobody from writing to the device.
    const read_only = spec.read_only || isReadOnlyDevice(spec);
    if (found.kind === "device" && !read_only) return found.path;
    const name = (readOnly: boolean) => this.#loopName(this.volumeId(spec), readOnly);
    try {
      return attachNamedLoop(name(read_only), found.path, { read_only, beside: name(!read_only) });
    } catch (error) {
      throw hostError(error, `Cannot show ${found.path} as a block device`, { path: found.path });
    }
  }

  /** What the loop device of a raw volume is found by. Another root may have a volume of the same id. */
  #loopName(volumeId: string, read_only: boolean): string {
    return `lamina-${digestOf(`${this.#context.layout.root}\0${volumeId}`)}${read_only ? "-ro" : ""}`;
  }
}

function parsed(spec: VolumeSpec): LocalSource {
  return parseSpec(LocalSource, spec.source.local, `volume "${spec.name}"`);
}

async function look(spec: VolumeSpec, { signal }: Operation): Promise<Found> {
  const { path } = parsed(spec);
  const attempted = `Cannot use the local volume ${JSON.stringify(spec.persistent_volume?.name ?? spec.name)}`;
  try {
    const real = await abortable(Deno.realPath(path), signal);
    const info = await abortable(Deno.stat(real), signal);
    if (info.isDirectory) return { kind: "directory", path: real };
    if (info.isFile) return { kind: "file", path: real };
    if (info.isBlockDevice) return { kind: "device", path: real };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new LaminaError(
        "NOT_FOUND",
        `${attempted}: ${path} does not exist on this host. Make it, or mount its disk`,
        { details: { path, ...awaiting(path) } },
      );
    }
    throw hostError(error, attempted, { path });
  }
  throw new LaminaError("CONFLICT", `${attempted}: ${path} is neither a directory, a file, nor a block device`, {
    details: { path },
  });
}
