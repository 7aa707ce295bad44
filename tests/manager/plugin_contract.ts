/**
 * What the volume manager counts on, as a suite that runs against any plugin with real mounts: verbs that can be called
 * again, in the middle of what a crash has left, and after everything is gone.
 */
import { assert, assertEquals } from "@std/assert";
import { dirname, join } from "@std/path/posix";
import type { ObjectLookup, VolumePlugin, VolumeSpec, Workload } from "../../drivers/volume/port.ts";
import { mountAt } from "../../runtime/core/mount.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import { CommandMounter } from "../../runtime/host/command_mounter.ts";
import { mountIdentityIfThere, mountsBelow, readMountTable } from "../../runtime/host/mount_table.ts";
import { rootTest, type ScratchDirectory, scratchDirectory, testOperation } from "../support/scratch.ts";
import { pod } from "./support/real_manager.ts";

/** One plugin with a volume that it can set up. */
export interface PluginSubject {
  /** Made anew for each case; a second call with the same directory stands for a restart. */
  readonly plugin: VolumePlugin;
  readonly spec: VolumeSpec;
  /** Default: a pod. */
  readonly workload?: Workload;
  readonly objects?: ObjectLookup;
  readonly fsGroup?: number;
  /** Looks whether the volume at `path` is usable. */
  check?(path: string): void | Promise<void>;
  /** Ends what the subject has besides its volume. */
  [Symbol.asyncDispose]?(): Promise<void>;
}

/** Makes a subject whose files are in `directory` (for the same directory, the same volume). */
export type SubjectMaker = (directory: string) => PluginSubject | Promise<PluginSubject>;

const nothing: ObjectLookup = { get: () => undefined };

/** Registers the cases. */
export function pluginContract(name: string, make: SubjectMaker): void {
  const contract = (title: string, body: (bed: Bed) => Promise<void>) =>
    rootTest(`${name}: ${title}`, async () => {
      await using bed = await Bed.open(make);
      await body(bed);
    });

  contract("answers for its volume, with an id that stays", async (bed) => {
    assert(bed.subject.plugin.supports(bed.subject.spec));
    assert(!bed.subject.plugin.supports({ ...bed.subject.spec, source: { unheardOf: {} } }));
    const id = bed.volumeId();
    await bed.restart();
    assertEquals(bed.volumeId(), id);
    assert(!/\s/.test(bed.subject.plugin.name), "its name has no spaces");
  });

  contract("is set up, usable, and torn down without a trace", async (bed) => {
    await bed.up();
    await bed.down();
  });

  contract("set up twice is set up once", async (bed) => {
    await bed.up();
    const mounts = bed.mounts();
    await bed.up();
    assertEquals(bed.mounts(), mounts);
    await bed.down();
  });

  contract("is found again after a restart, and torn down without its spec", async (bed) => {
    await bed.up();
    await bed.restart();
    await bed.up();
    await bed.restart();
    await bed.down();
  });

  contract("tearing down what was never there, and what is gone, is success", async (bed) => {
    await bed.down();
    await bed.up();
    await bed.down();
    await bed.down();
  });

  contract("what a crash has left half done is finished", async (bed) => {
    // The manager's parent directory is there, and nothing else.
    await bed.attach();
    await bed.restart();
    await bed.up();
    await bed.unmount();
    // Mounted no more, not yet torn down.
    await bed.restart();
    await bed.up();
    await bed.down();
  });

  contract("comes up again at the same place after it was torn down", async (bed) => {
    for (let round = 0; round < 3; round++) {
      await bed.up();
      await bed.down();
    }
  });

  contract("gives up when it is told to, and can be torn down then", async (bed) => {
    const signal = AbortSignal.abort(new DOMException("enough", "AbortError"));
    await bed.up({ signal, progress: () => {} }).catch(() => {/* may have been too quick to notice */});
    await bed.down();
  });
}

/** Does with a plugin what the manager does, one step at a time. */
class Bed implements AsyncDisposable {
  readonly #mounter = new CommandMounter();
  readonly #operation = testOperation();
  readonly #workload: Workload;
  readonly #path: string;
  readonly #device: string;
  #devicePath: string | undefined;

  private constructor(
    readonly scratch: ScratchDirectory,
    readonly make: SubjectMaker,
    public subject: PluginSubject,
  ) {
    this.#workload = subject.workload ?? pod("contract");
    const plugin = subject.plugin.name.replaceAll("/", "~");
    this.#path = join(scratch.path, "root/pods", this.#workload.uid, "volumes", plugin, subject.spec.name);
    this.#device = join(scratch.path, "root/plugins", plugin, "id/mount");
  }

  static async open(make: SubjectMaker): Promise<Bed> {
    const scratch = await scratchDirectory();
    return new Bed(scratch, make, await make(scratch.path));
  }

  volumeId(): string {
    return this.subject.plugin.volumeId(this.subject.spec, this.#workload);
  }

  /** Targets mounted on the scratch directory. */
  mounts(): string[] {
    return mountsBelow(readMountTable(), this.scratch.path).map(({ target }) => target);
  }

  async restart(): Promise<void> {
    await this.subject[Symbol.asyncDispose]?.();
    this.subject = await this.make(this.scratch.path);
  }

  async attach(operation: Operation = this.#operation): Promise<void> {
    const { plugin, spec } = this.subject;
    Deno.mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    if (plugin.attacher !== undefined) this.#devicePath = await plugin.attacher.attach(spec, operation);
  }

  async up(operation: Operation = this.#operation): Promise<void> {
    const { plugin, spec, objects = nothing, fsGroup } = this.subject;
    await this.attach(operation);
    if (plugin.deviceMounter !== undefined) {
      Deno.mkdirSync(this.#device, { recursive: true, mode: 0o700 });
      await plugin.deviceMounter.mountDevice({ spec, path: this.#device, devicePath: this.#devicePath }, operation);
    }
    const mounts = await plugin.setUp({
      spec,
      workload: this.#workload,
      path: this.#path,
      deviceMountPath: plugin.deviceMounter && this.#device,
      devicePath: this.#devicePath,
      fsGroup,
      objects,
    }, operation) ?? [];
    for (const mount of mounts.map((mount) => mountAt(mount, mount.target || this.#path))) {
      if (mountIdentityIfThere(mount.target)?.isRoot) continue;
      const isFile = mount.options.some((o) => o.endsWith("bind")) && !Deno.statSync(mount.source).isDirectory;
      if (isFile) Deno.openSync(mount.target, { write: true, create: true }).close();
      else Deno.mkdirSync(mount.target, { recursive: true });
      await this.#mounter.mount([mount], operation);
    }
    await this.subject.check?.(this.#path);
  }

  /** The first half of going down. */
  async unmount(): Promise<void> {
    const entries = mountsBelow(readMountTable(), this.#path);
    if (entries.length === 0) return;
    const alone = { type: "none", source: "none", target: this.#path, options: ["rprivate"] };
    if (entries.some(({ target }) => target === this.#path)) await this.#mounter.mount([alone], this.#operation);
    await this.#mounter.unmount(entries.map(({ target }) => target).reverse(), this.#operation);
  }

  async down(): Promise<void> {
    const { plugin, spec } = this.subject;
    await this.unmount();
    await plugin.tearDown({ name: spec.name, workloadUid: this.#workload.uid, path: this.#path }, this.#operation);
    removeEmpty(this.#path);
    const volumeId = this.volumeId();
    await plugin.deviceMounter?.unmountDevice({ volumeId, path: this.#device }, this.#operation);
    await plugin.attacher?.detach(volumeId, this.#devicePath ?? "", this.#operation);
    removeEmpty(this.#device);
    assertEquals(mountsBelow(readMountTable(), join(this.scratch.path, "root")).map(({ target }) => target), []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.down();
    } finally {
      await this.subject[Symbol.asyncDispose]?.();
      await this.scratch[Symbol.asyncDispose]();
    }
  }
}

/** As the manager does: an empty directory or file, and nothing else. */
function removeEmpty(path: string): void {
  try {
    const info = Deno.lstatSync(path);
    assert(info.isDirectory || info.size === 0, `${path} is not empty after tearDown`);
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
