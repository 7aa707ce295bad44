/** Plugins by themselves: the directories of a root, and what the manager does around each step. */
import { dirname, join } from "@std/path/posix";
import type { Mount } from "../../runtime/core/mount.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import { RootLayout } from "../../runtime/core/root_layout.ts";
import { CommandMounter } from "../../runtime/host/command_mounter.ts";
import { currentMountTable, mountsBelow } from "../../runtime/host/mount_table.ts";
import type { LayerEngine } from "../../drivers/storage/layer/engine.ts";
import { createLayerEngine } from "../../drivers/storage/layer/layer_engine.ts";
import { KubernetesPlugins } from "../../drivers/volume/plugins.ts";
import type { ObjectLookup, SetUpRequest, VolumePlugin, VolumeSpec, Workload } from "../../drivers/volume/port.ts";
import { type ScratchDirectory, scratchDirectory, testOperation } from "../support/scratch.ts";

/** Uid of the one pod. */
export const POD_UID = "11111111-2222-3333-4444-555555555555";

/** See the head of the file. */
export class PluginStage implements AsyncDisposable {
  readonly mounter = new CommandMounter();
  readonly objects = new Map<string, Record<string, unknown>>();
  /** Messages of warnings. */
  readonly warnings: string[] = [];
  readonly operation: Operation = {
    ...testOperation(),
    progress: ({ phase, message }) => void (phase === "warning" && this.warnings.push(message ?? "")),
  };
  /** The pod as applied. */
  pod: Record<string, unknown> = {
    kind: "Pod",
    metadata: { name: "web", namespace: "shop", uid: POD_UID },
    spec: { containers: [{ name: "app" }] },
  };
  plugins: KubernetesPlugins;

  private constructor(
    readonly layout: RootLayout,
    readonly engine: LayerEngine,
    readonly scratch: ScratchDirectory | undefined,
  ) {
    this.plugins = this.#open();
  }

  /** @param at Where the root shall be, when not on the scratch file system. */
  static async open(at?: string): Promise<PluginStage> {
    const scratch = at === undefined ? await scratchDirectory() : undefined;
    const layout = new RootLayout(join(at ?? scratch!.path, "root"));
    for (const path of [layout.staging, layout.trash]) await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    return new PluginStage(layout, createLayerEngine(), scratch);
  }

  #open(): KubernetesPlugins {
    const { mounter, layout, engine, lookup: objects, flexDirectory } = this;
    return new KubernetesPlugins({ mounter, layout, engine, objects, flexDirectory });
  }

  get lookup(): ObjectLookup {
    return { get: ({ kind, namespace, name }) => this.objects.get(`${kind}/${namespace}/${name}`) };
  }

  /** Where FlexVolume drivers are. */
  get flexDirectory(): string {
    return join(this.layout.root, "flex-drivers");
  }

  /** The plugins of the next process. */
  async restart(): Promise<void> {
    await this.plugins[Symbol.asyncDispose]();
    this.plugins = this.#open();
  }

  get workload(): Workload {
    return { kind: "pod", uid: POD_UID, name: "shop/web", namespace: "shop", pod: this.pod };
  }

  /** Applies an object of the pod's namespace. */
  apply(kind: string, name: string, fields: Record<string, unknown>): void {
    this.objects.set(`${kind}/shop/${name}`, { kind, metadata: { name, namespace: "shop" }, ...fields });
  }

  spec(name: string, source: Record<string, unknown>, more: Partial<VolumeSpec> = {}): VolumeSpec {
    const plain = { read_only: false, mount_options: [], access_modes: [], volume_mode: "Filesystem" } as const;
    return { name, source, ...plain, ...more };
  }

  plugin(spec: VolumeSpec): VolumePlugin {
    const [plugin, ...others] = this.plugins.list.filter((plugin) => plugin.supports(spec));
    if (plugin === undefined || others.length > 0) throw new Error(`not one plugin for ${Object.keys(spec.source)}`);
    return plugin;
  }

  path(spec: VolumeSpec): string {
    const directory = this.plugin(spec).name.replace("/", "~");
    return join(this.layout.root, "pods", POD_UID, "volumes", directory, spec.name);
  }

  /** Where the volume's device is mounted for all workloads. */
  devicePath(spec: VolumeSpec): string {
    return join(this.layout.root, "plugins", this.plugin(spec).name.replace("/", "~"), spec.name, "mount");
  }

  /** Attaches and mounts the device, as far as the plugin has these steps. @returns what {@linkcode setUp} needs of it. */
  async mountDevice(spec: VolumeSpec): Promise<Partial<SetUpRequest>> {
    const { attacher, deviceMounter } = this.plugin(spec);
    const devicePath = await attacher?.attach(spec, this.operation);
    const path = this.devicePath(spec);
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
    await deviceMounter?.mountDevice({ spec, path, devicePath }, this.operation);
    return { deviceMountPath: path, ...(devicePath !== undefined && { devicePath }) };
  }

  /** The reverse. Nothing may be left on the path. */
  async unmountDevice(spec: VolumeSpec, devicePath = ""): Promise<void> {
    const plugin = this.plugin(spec);
    const volumeId = plugin.volumeId(spec, this.workload);
    const path = this.devicePath(spec);
    await plugin.deviceMounter?.unmountDevice({ volumeId, path }, this.operation);
    await Deno.remove(path);
    await plugin.attacher?.detach(volumeId, devicePath, this.operation);
  }

  /** Sets a volume up, mounts what the plugin returns, and gives its path. */
  async setUp(spec: VolumeSpec, more: Partial<SetUpRequest> = {}): Promise<string> {
    const path = this.path(spec);
    await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const request: SetUpRequest = { spec, workload: this.workload, path, objects: this.lookup, ...more };
    const mounts = await this.plugin(spec).setUp(request, this.operation) ?? [];
    const mounted = mountsBelow(currentMountTable(), path).length > 0;
    if (!mounted && mounts.length > 0) await this.mount(mounts, path);
    return path;
  }

  /** Mounts at a path what is not mounted there yet. */
  async mount(mounts: readonly Mount[], path: string): Promise<void> {
    for (const mount of mounts) {
      const target = mount.target || path;
      const bindsFile = mount.type === "bind" && !(await Deno.stat(mount.source)).isDirectory;
      if (bindsFile) await Deno.writeFile(target, new Uint8Array());
      else await Deno.mkdir(target, { recursive: true });
      await this.mounter.mount([{ ...mount, target }], this.operation);
    }
  }

  /** Unmounts and tears down, and says what is left at its path. */
  async tearDown(spec: VolumeSpec): Promise<"nothing" | "empty" | "something"> {
    const path = this.path(spec);
    const targets = mountsBelow(currentMountTable(), path).map(({ target }) => target).reverse();
    if (targets.length > 0) {
      await this.mounter.mount([{ type: "none", source: "none", target: path, options: ["rprivate"] }], this.operation);
      await this.mounter.unmount(targets, this.operation);
    }
    await this.plugin(spec).tearDown({ name: spec.name, workloadUid: POD_UID, path }, this.operation);
    try {
      const { isDirectory, size } = await Deno.lstat(path);
      const empty = isDirectory ? (await Array.fromAsync(Deno.readDir(path))).length === 0 : size === 0;
      if (!empty) return "something";
      await Deno.remove(path);
      return "empty";
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "nothing";
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.plugins[Symbol.asyncDispose]();
    await this.engine[Symbol.asyncDispose]();
    await this.scratch?.[Symbol.asyncDispose]();
  }
}

/** Permission bits of a path; links are not followed. */
export async function modeOf(path: string): Promise<number> {
  return (await Deno.lstat(path)).mode! & 0o7777;
}

/** Names in a directory, sorted. */
export async function namesIn(path: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name).sort();
}
