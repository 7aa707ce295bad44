/** A manager with real mounts on a root of its own, and small plugins of every shape. */
import { join } from "@std/path/posix";
import { createLayerEngine } from "../../../drivers/storage/layer/layer_engine.ts";
import type { ObjectKey, VolumePlugin, VolumeSpec, Workload } from "../../../drivers/volume/port.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { withDeadline } from "../../../runtime/core/operation.ts";
import { RootLayout } from "../../../runtime/core/root_layout.ts";
import { CommandMounter } from "../../../runtime/host/command_mounter.ts";
import { mountAtTarget, readMountTable } from "../../../runtime/host/mount_table.ts";
import type { Mounter } from "../../../runtime/host/mounter.ts";
import { Store } from "../../../runtime/store/store.ts";
import { thisHost } from "../../../runtime/volume/manager/manager_host.ts";
import type { WorkloadEvent } from "../../../runtime/volume/manager/manager_room.ts";
import { openManager } from "../../../runtime/volume/manager/open_manager.ts";
import type { WantedVolume } from "../../../runtime/volume/manager/port.ts";
import type { Manager } from "../../../runtime/volume/manager/volume_manager.ts";
import { type ScratchDirectory, scratchDirectory, testOperation } from "../../support/scratch.ts";

/** One engine for all tests of a module: its workers end by themselves. */
const engine = createLayerEngine();

/** See the head of the file. */
export class RealManager implements AsyncDisposable {
  readonly events: WorkloadEvent[] = [];
  readonly objects = new Map<string, Record<string, unknown>>();
  readonly mounts: Array<readonly string[]> = [];
  boot = thisHost.bootId();
  store!: Store;
  manager!: Manager;

  private constructor(
    readonly scratch: ScratchDirectory,
    readonly layout: RootLayout,
    readonly plugins: (test: RealManager) => VolumePlugin[],
    readonly mounter: Mounter,
  ) {}

  static async open(plugins: (test: RealManager) => VolumePlugin[] = testPlugins): Promise<RealManager> {
    return RealManager.at(await scratchDirectory(), plugins);
  }

  /** On a directory where an earlier manager may have been killed. */
  static at(scratch: ScratchDirectory, plugins: (test: RealManager) => VolumePlugin[] = testPlugins): RealManager {
    const layout = new RootLayout(join(scratch.path, "root"));
    Deno.mkdirSync(layout.containers, { recursive: true });
    const test = new RealManager(scratch, layout, plugins, new CommandMounter());
    test.start();
    return test;
  }

  /** Opens the database and a manager on it. */
  start(): void {
    this.store = new Store(this.layout.database);
    const mounter: Mounter = {
      name: "command",
      mount: (mounts, options) => {
        this.mounts.push(mounts.map(({ target }) => target));
        return this.mounter.mount(mounts, options);
      },
      unmount: (targets, options) => this.mounter.unmount(targets, options),
    };
    this.manager = openManager({
      store: this.store,
      layout: this.layout,
      mounter,
      engine,
      plugins: this.plugins(this),
      objects: { get: ({ kind, namespace, name }) => this.objects.get(`${kind} ${namespace}/${name}`) },
      report: (event) => this.events.push(event),
      host: { ...thisHost, bootId: () => this.boot },
    });
  }

  /** Ends the manager, its mounts stay, and starts another. */
  async restart(): Promise<void> {
    await this.manager[Symbol.asyncDispose]();
    this.store[Symbol.dispose]();
    this.start();
  }

  /** A directory of the host with a file in it. */
  hostDirectory(name: string): string {
    const path = join(this.scratch.path, name);
    Deno.mkdirSync(path, { recursive: true });
    Deno.writeTextFileSync(join(path, "file"), `${name}\n`);
    return path;
  }

  /** Wants volumes for a pod and waits until they are up. */
  async up(uid: string, volumes: readonly WantedVolume[], timeout_ms = 60_000): Promise<ReadonlyMap<string, string>> {
    this.manager.desire({ workload: pod(uid), volumes });
    return await this.manager.ready(uid, withDeadline(testOperation(), timeout_ms));
  }

  /** Releases a pod and waits until nothing of it is left. */
  async down(uid: string, timeout_ms = 60_000): Promise<void> {
    this.manager.release(uid);
    await this.manager.gone(uid, withDeadline(testOperation(), timeout_ms));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.manager[Symbol.asyncDispose]();
    this.store[Symbol.dispose]();
    await engine[Symbol.asyncDispose]();
    await this.scratch[Symbol.asyncDispose]();
  }
}

/** A pod of that uid. */
export function pod(uid: string): Workload {
  return { kind: "pod", uid, name: `default/${uid}`, namespace: "default", pod: { metadata: { uid } } };
}

/** A volume from a source, everything else as usual. */
export function volume(name: string, source: Record<string, unknown>, rest: Partial<VolumeSpec> = {}): WantedVolume {
  return {
    spec: {
      name,
      source,
      read_only: false,
      mount_options: [],
      access_modes: ["ReadWriteOnce"],
      volume_mode: "Filesystem",
      ...rest,
    },
  };
}

/** Waits until something is so; the tests have no other way to see what nobody tells. */
export async function eventually(what: string, check: () => boolean, timeout_ms = 30_000): Promise<void> {
  const end_ms = Date.now() + timeout_ms;
  while (!check()) {
    if (Date.now() > end_ms) throw new Error(`not within ${timeout_ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const capabilities = {
  mountOptions: false,
  block: false,
  fsGroup: true,
  accessModes: ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"],
} as const;

/** `{ bind: PATH }`, `{ tmpfs: LABEL }`, `{ file: TEXT | ObjectKey }`, `{ device: NAME }`. */
export function testPlugins(test: RealManager): VolumePlugin[] {
  return [bindPlugin, tmpfsPlugin, filePlugin, devicePlugin(test)];
}

/** Binds a directory or file. */
export const bindPlugin: VolumePlugin = {
  name: "test/bind",
  capabilities,
  supports: ({ source }) => "bind" in source,
  volumeId: ({ source }) => String(source.bind),
  setUp: ({ spec }) =>
    Promise.resolve([{ type: "bind", source: String(spec.source.bind), target: "", options: ["rbind", "rprivate"] }]),
  tearDown: () => Promise.resolve(),
};

/** Memory of its own. */
export const tmpfsPlugin: VolumePlugin = {
  name: "test/tmpfs",
  capabilities,
  supports: ({ source }) => "tmpfs" in source,
  volumeId: ({ name }, { uid }) => `${uid}/${name}`,
  setUp: ({ spec }) =>
    Promise.resolve([{ type: "tmpfs", source: `test-${spec.source.tmpfs}`, target: "", options: ["size=1m"] }]),
  tearDown: () => Promise.resolve(),
};

/** A directory with one file, from a text or an object. */
export const filePlugin: VolumePlugin = {
  name: "test/file",
  capabilities,
  supports: ({ source }) => "file" in source,
  volumeId: ({ name }, { uid }) => `${uid}/${name}`,
  references: ({ source }) => typeof source.file === "object" ? [source.file as ObjectKey] : [],
  async setUp({ spec, path, objects }) {
    const { file } = spec.source;
    let text = String(file);
    if (typeof file === "object") {
      const object = objects.get(file as ObjectKey);
      if (object === undefined) throw new LaminaError("NOT_FOUND", `There is no ${(file as ObjectKey).name}`);
      text = String(object.text);
    }
    await Deno.mkdir(path, { recursive: true });
    await Deno.writeTextFile(join(path, "file"), text);
  },
  async tearDown({ path }) {
    await Deno.remove(join(path, "file")).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  },
};

/** A tmpfs that is attached, mounted once, and bound into each workload. */
export function devicePlugin(test: { readonly mounter: Mounter }): VolumePlugin {
  return {
    name: "test/device",
    capabilities,
    supports: ({ source }) => "device" in source,
    volumeId: ({ source }) => String(source.device),
    attacher: {
      attach: (spec) => Promise.resolve(`/dev/fake-${spec.source.device}`),
      detach: () => Promise.resolve(),
    },
    deviceMounter: {
      async mountDevice({ spec, path }, { signal }) {
        if (mountAtTarget(readMountTable(), path) !== undefined) return;
        const source = `device-${spec.source.device}`;
        await test.mounter.mount([{ type: "tmpfs", source, target: path, options: ["size=1m"] }], { signal });
      },
      unmountDevice: ({ path }, { signal }) => test.mounter.unmount([path], { signal }),
    },
    setUp: ({ deviceMountPath, spec }) =>
      Promise.resolve([{
        type: "bind",
        source: deviceMountPath!,
        target: "",
        options: ["bind", "private", ...spec.read_only ? ["ro"] : []],
      }]),
    tearDown: () => Promise.resolve(),
  };
}
