/** Volumes of files that Lamina writes: configMap, secret, downwardAPI and projected differ only in what is in them. */
import { type AtomicFiles, directoryModeFor } from "../../../runtime/core/atomic_files.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { writeFilesAtomically } from "../../../runtime/host/atomic_writer.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { currentMountTable, mountAtTarget, mountIdentityIfThere } from "../../../runtime/host/mount_table.ts";
import { swapIsInUse, tmpfsKnowsNoswap } from "../../../runtime/host/tmpfs_options.ts";
import { cannotSetUp, describeVolume, failingAs, ownVolumeId, type PluginContext, warn } from "../plugin_context.ts";
import type {
  ObjectKey,
  ObjectLookup,
  SetUpRequest,
  TearDownRequest,
  VolumePlugin,
  VolumeSpec,
  Workload,
} from "../port.ts";

/** What makes one of these kinds. */
export interface FilesKind {
  /** Of the plugin. */
  readonly name: string;
  /** Key of {@linkcode VolumeSpec.source}. */
  readonly source: string;
  /** Its files may be secret: they never reach a disk. */
  readonly inMemory: boolean;
  /** What the volume is to show now. @param what For messages. @throws `NOT_FOUND`, `INVALID_ARGUMENT`, `UNSUPPORTED` */
  files(request: FilesRequest): AtomicFiles;
  /** Objects that it is made from. */
  references(spec: VolumeSpec, workload: Workload): readonly ObjectKey[];
}

/** {@linkcode FilesKind.files} is asked this. */
export interface FilesRequest {
  readonly spec: VolumeSpec;
  readonly workload: Workload;
  readonly objects: ObjectLookup;
  /** For messages. */
  readonly what: string;
}

/** Shown as the source of the mounts of volumes in memory. */
const MEMORY_SOURCE = "lamina-files";

/** See the head of the file. */
export class FilesPlugin implements VolumePlugin {
  readonly name: string;
  readonly capabilities = {
    mountOptions: false,
    block: false,
    // The files are made with their group: there is no moment in which they have another.
    fsGroup: false,
    accessModes: ["ReadWriteOnce", "ReadOnlyMany"],
  } as const;
  readonly #context: PluginContext;
  readonly #kind: FilesKind;

  constructor(context: PluginContext, kind: FilesKind) {
    this.name = kind.name;
    this.#context = context;
    this.#kind = kind;
  }

  supports(spec: VolumeSpec): boolean {
    return this.#kind.source in spec.source;
  }

  volumeId(spec: VolumeSpec, workload: Workload): string {
    return ownVolumeId(spec, workload);
  }

  references(spec: VolumeSpec, workload: Workload): readonly ObjectKey[] {
    return this.#kind.references(spec, workload);
  }

  async setUp(request: SetUpRequest, operation: Operation): Promise<void> {
    const { spec, workload, path, objects, fsGroup: gid } = request;
    const what = describeVolume(spec, workload);
    // Nothing was touched yet: a volume that is up stays as it is.
    const files = await failingAs(
      "transient",
      `Cannot set up the ${what}`,
      () => this.#kind.files({ spec, workload, objects, what }),
    );
    // From here on there may be something to take away.
    await failingAs("uncertain", `Cannot set up the ${what}`, async () => {
      await this.#makeDirectory(request, operation);
      await writeFilesAtomically(path, files, { what, durable: !this.#kind.inMemory, gid });
      await Deno.chown(path, 0, gid ?? 0);
      await Deno.chmod(path, directoryModeFor({ gid }));
    });
  }

  async tearDown({ path }: TearDownRequest, operation: Operation): Promise<void> {
    // It refuses to pass a mount point.
    await this.#context.engine.removeTree(path, operation);
  }

  async #makeDirectory({ spec, workload, path }: SetUpRequest, operation: Operation): Promise<void> {
    try {
      await Deno.mkdir(path, { mode: 0o700 });
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) {
        throw hostError(error, `Cannot make the directory of the ${describeVolume(spec, workload)}`, { path });
      }
      const { isDirectory } = await Deno.lstat(path);
      if (!isDirectory) throw cannotSetUp("CONFLICT", spec, workload, `${path} is no directory. Remove it`);
    }
    // Only what is a mount is looked up: reading a long table for each of many volumes would take seconds.
    const isMount = mountIdentityIfThere(path)?.isRoot ?? false;
    const mounted = isMount ? mountAtTarget(currentMountTable(), path) : undefined;
    if (this.#kind.inMemory && mounted?.type === "tmpfs" && mounted.source === MEMORY_SOURCE) return;
    if (mounted !== undefined) {
      throw cannotSetUp("CONFLICT", spec, workload, `${mounted.source} is mounted at ${path}. Unmount it first`);
    }
    if (!this.#kind.inMemory) return;
    const noswap = tmpfsKnowsNoswap();
    if (!noswap && swapIsInUse()) {
      warn(operation, spec, "this kernel (before 6.4) may write secrets in memory to the swap space. Turn swap off");
    }
    const options = ["mode=0755", "nosuid", "nodev", ...(noswap ? ["noswap"] : [])];
    await this.#context.mounter.mount([{ type: "tmpfs", source: MEMORY_SOURCE, target: path, options }], operation);
  }
}
