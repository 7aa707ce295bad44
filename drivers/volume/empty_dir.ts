/** `emptyDir`: scratch space that comes and goes with its pod, on disk or in memory. */
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { Mount } from "../../runtime/core/mount.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import { parseQuantity } from "../../runtime/core/quantity.ts";
import { parseSpec } from "../../runtime/core/specs/parse_spec.ts";
import { EmptyDirSource } from "../../runtime/core/specs/kube/volume_sources.ts";
import { hostError } from "../../runtime/host/errno_errors.ts";
import { tmpfsKnowsNoswap } from "../../runtime/host/tmpfs_options.ts";
import { volumeUsage } from "./directory_usage.ts";
import { EmptyDirLimits } from "./empty_dir_limits.ts";
import { cannotSetUp, describeVolume, ownVolumeId, type PluginContext, warn } from "./plugin_context.ts";
import type { SetUpRequest, TearDownRequest, VolumePlugin, VolumeSpec, VolumeUsage, Workload } from "./port.ts";
import { podMemoryLimit } from "./pod_resources.ts";
import type { Trash } from "./trash.ts";

/** See the head of the file. */
export class EmptyDirPlugin implements VolumePlugin {
  readonly name = "kubernetes.io/empty-dir";
  readonly capabilities = {
    mountOptions: false,
    block: false,
    fsGroup: true,
    accessModes: ["ReadWriteOnce"],
  } as const;
  readonly #context: PluginContext;
  readonly #trash: Trash;
  readonly #limits: EmptyDirLimits;

  constructor(context: PluginContext, trash: Trash) {
    this.#context = context;
    this.#trash = trash;
    this.#limits = new EmptyDirLimits(context);
  }

  supports(spec: VolumeSpec): boolean {
    return "emptyDir" in spec.source;
  }

  volumeId(spec: VolumeSpec, workload: Workload): string {
    return ownVolumeId(spec, workload);
  }

  async setUp(request: SetUpRequest, operation: Operation): Promise<readonly Mount[] | void> {
    const { spec, workload, path } = request;
    const { medium, sizeLimit } = parseSpec(EmptyDirSource, spec.source.emptyDir, describeVolume(spec, workload));
    // As in Kubernetes, a limit of zero is none.
    const limit_bytes = sizeLimit === undefined ? undefined : parseQuantity(sizeLimit) || undefined;
    if (medium === "Memory") return [memoryMount(limit_bytes, workload)];
    if (medium !== "") {
      throw cannotSetUp(
        "UNSUPPORTED",
        spec,
        workload,
        `the medium ${medium} (huge pages) is not supported. Use Memory, or no medium for the disk`,
      );
    }
    if (await isDirectory(path)) return;
    // Whole or not at all: nobody can tell half-made space from space that its pod has changed.
    const staged = join(this.#context.layout.staging, `empty-dir-${crypto.randomUUID()}`);
    try {
      const enforced = limit_bytes !== undefined && await this.#limits.make(staged, limit_bytes, operation);
      if (!enforced) {
        await Deno.mkdir(staged);
        // Whoever the pod's processes run as.
        await Deno.chmod(staged, 0o777);
      }
      await Deno.rename(staged, path);
      if (limit_bytes !== undefined && !enforced) {
        warn(operation, spec, `its sizeLimit of ${sizeLimit} is not enforced: ${await this.#limits.whyNot()}`);
      }
    } catch (error) {
      await this.#limits.remove(staged, operation);
      throw hostError(error, `Cannot set up the ${describeVolume(spec, workload)}`, { path });
    }
  }

  async tearDown({ path }: TearDownRequest): Promise<void> {
    await this.#trash.discard(path, (place, operation) => this.#limits.remove(place, operation));
  }

  usage(path: string, operation: Operation): Promise<VolumeUsage> {
    return volumeUsage(path, this.#context.engine, operation);
  }
}

/** Memory that a pod may use counts where it is less than what its volume asks for, as in Kubernetes. */
function memoryMount(limit_bytes: number | undefined, workload: Workload): Mount {
  const limits = [limit_bytes, podMemoryLimit(workload.pod)].filter((limit) => limit !== undefined);
  const size = limits.length === 0 ? [] : [`size=${Math.min(...limits)}`];
  const noswap = tmpfsKnowsNoswap() ? ["noswap"] : [];
  return { type: "tmpfs", source: "lamina-empty-dir", target: "", options: [...size, "mode=0777", ...noswap] };
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    const found = await Deno.lstat(path);
    if (found.isDirectory) return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw hostError(error, `Cannot look at ${path}`, { path });
  }
  throw new LaminaError("CONFLICT", `Cannot make the directory ${path}: something else is there. Remove it`, {
    details: { path },
  });
}
