/** A storage driver on a root of its own, and what tests do with snapshots. */
import { join } from "@std/path/posix";
import { Store } from "../../../runtime/store/store.ts";
import { type Mount, mountAt } from "../../../runtime/core/mount.ts";
import { isLaminaError } from "../../../runtime/core/errors.ts";
import type { SnapshotKey } from "../../../runtime/core/ids.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import type { Mounter } from "../../../runtime/host/mounter.ts";
import type { DriverFactory } from "../../../drivers/storage/driver_factory.ts";
import type { SnapshotInfo, StorageDriver } from "../../../drivers/storage/port.ts";
import type { Change } from "../../../drivers/storage/layer/types.ts";
import { type ScratchDirectory, scratchDirectory, testOperation, unmountBelow } from "../../support/scratch.ts";
import { type Backing, directoryBacking } from "./backing.ts";
import { sharedEngine } from "./engine.ts";

/** A driver under test. */
export interface DriverSetup {
  readonly factory: DriverFactory;
  readonly options?: Readonly<Record<string, string>>;
  /** Options that every root has for itself (a dataset, a pool); they are added to `options`. */
  readonly ownOptions?: () => Promise<Readonly<Record<string, string>>>;
  readonly mounter: Mounter;
  /** Sentences of the contract that do not hold with what stacks the layers, and why. */
  readonly excepted?: Readonly<Record<string, string>>;
  /** Where the root is made: on a file system that goes after the tests. Absent: the tests' scratch file system. */
  readonly base?: string;
  /** Absent: directories. */
  readonly backing?: Backing;
  /** Layers of the longest chain, a multiple of 16; absent: 128. */
  readonly levels?: number;
  /** It runs in the guest, thirty times slower: long chains are looked at now and then. */
  readonly emulated?: boolean;
}

/** See the head of the file. */
export class DriverFixture implements AsyncDisposable {
  readonly operation: Operation = testOperation();
  #mounts = 0;

  private constructor(
    readonly setup: DriverSetup,
    readonly scratch: ScratchDirectory,
    public store: Store,
    public driver: StorageDriver,
  ) {}

  static async create(given: DriverSetup): Promise<DriverFixture> {
    const setup = { ...given, options: { ...given.options, ...await given.ownOptions?.() } };
    // A driver that refuses to open leaves nothing, either.
    await using made = new AsyncDisposableStack();
    const scratch = made.use(setup.base === undefined ? await scratchDirectory() : await directoryIn(setup.base));
    await Deno.mkdir(join(scratch.path, "driver"));
    await Deno.mkdir(join(scratch.path, "recipes"));
    const store = made.use(new Store(join(scratch.path, "lamina.db")));
    const driver = await openDriver(setup, scratch.path, store);
    made.move();
    return new DriverFixture(setup, scratch, store, driver);
  }

  /** The driver's own directory. */
  get directory(): string {
    return join(this.scratch.path, "driver");
  }

  get backing(): Backing {
    return this.setup.backing ?? directoryBacking;
  }

  /** Names of everything that the driver keeps, relative to its place. */
  leftovers(): Promise<string[]> {
    return this.backing.list(this);
  }

  /** Id of a snapshot's row. */
  idOf(key: string): number {
    return this.store.get<{ id: number }>("SELECT id FROM snapshots WHERE key = ?", key)!.id;
  }

  /** Changes or looks at the tree of a snapshot behind the driver's back. */
  meddle<T>(key: string, body: (tree: string) => Promise<T>): Promise<T> {
    return this.backing.meddle(this, this.idOf(key), body);
  }

  /** Ends the driver and lets go of the database, so that another process can open both. {@linkcode comeBack} follows. */
  async leave(): Promise<void> {
    await this.driver[Symbol.asyncDispose]();
    this.store[Symbol.dispose]();
  }

  /** The next start after {@linkcode leave}, with what another process left. */
  async comeBack(): Promise<void> {
    this.store = new Store(join(this.scratch.path, "lamina.db"));
    await this.restart();
  }

  /** The next start after a process that ended without a word. */
  async restart(): Promise<void> {
    this.driver = await openDriver(this.setup, this.scratch.path, this.store);
  }

  recipe(name: string): string {
    return join(this.scratch.path, "recipes", name.replaceAll("/", "_"));
  }

  prepare(key: string, parent?: string): Promise<Mount[]> {
    return this.driver.prepare(keyOf(key), parent === undefined ? undefined : keyOf(parent), {}, this.operation);
  }

  view(key: string, parent?: string): Promise<Mount[]> {
    return this.driver.view(keyOf(key), parent === undefined ? undefined : keyOf(parent), {}, this.operation);
  }

  commit(name: string, key: string, labels?: Record<string, string>): Promise<void> {
    return this.driver.commit(keyOf(name), keyOf(key), { labels }, this.operation);
  }

  remove(key: string): Promise<void> {
    return this.driver.remove(keyOf(key), this.operation);
  }

  stat(key: string): Promise<SnapshotInfo> {
    return this.driver.stat(keyOf(key));
  }

  async keys(): Promise<string[]> {
    return (await Array.fromAsync(this.driver.walk())).map(({ key }) => key);
  }

  /** Runs `body` with a snapshot's mounts made somewhere, and takes them away again. */
  async mounted<T>(mounts: readonly Mount[], body: (root: string) => T | Promise<T>): Promise<T> {
    const target = join(this.scratch.path, `mnt-${++this.#mounts}`);
    await Deno.mkdir(target);
    await this.#mount(mounts.map((mount) => mountAt(mount, target)));
    try {
      return await body(target);
    } finally {
      await this.setup.mounter.unmount([target], this.operation);
    }
  }

  /**
   * With an index, overlayfs refuses a directory that another overlay shows still: another test's mount namespace, made
   * while that was mounted here, has a copy of it for some moments.
   */
  async #mount(mounts: readonly Mount[]): Promise<void> {
    const patient = mounts.some(({ options }) => options.includes("index=on"));
    for (let tries = patient ? 100 : 1;; tries--) {
      try {
        return await this.setup.mounter.mount(mounts, this.operation);
      } catch (error) {
        if (tries === 1 || !isLaminaError(error, "CONFLICT")) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Changes an active snapshot through its mount. */
  async edit<T>(key: string, body: (root: string) => T | Promise<T>): Promise<T> {
    return await this.mounted(await this.driver.mounts(keyOf(key)), body);
  }

  /** Makes a committed snapshot out of what `body` does on top of its parent. */
  async layer(name: string, parent: string | undefined, body: (root: string) => void | Promise<void>): Promise<void> {
    const key = `making/${name}`;
    await this.mounted(await this.prepare(key, parent), body);
    await this.commit(name, key);
  }

  /** Looks at a committed snapshot through a view. */
  async look<T>(name: string, body: (root: string) => T | Promise<T>): Promise<T> {
    const key = `looking-at/${name}`;
    const mounts = await this.view(key, name);
    try {
      return await this.mounted(mounts, body);
    } finally {
      await this.remove(key);
    }
  }

  /** `A /path`, `C /path`, `D /path`. */
  async changes(key: string): Promise<string[]> {
    const letters: Record<Change["kind"], string> = { added: "A", modified: "C", deleted: "D" };
    const changes = await Array.fromAsync(this.driver.changes(keyOf(key), this.operation));
    return changes.map(({ kind, path }) => `${letters[kind]} ${path}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.driver[Symbol.asyncDispose]();
    this.store[Symbol.dispose]();
    await this.scratch[Symbol.asyncDispose]();
  }
}

/** A key without the parsing that callers outside of tests owe. */
export function keyOf(text: string): SnapshotKey {
  return text as SnapshotKey;
}

async function openDriver(setup: DriverSetup, scratch: string, store: Store): Promise<StorageDriver> {
  const operation = testOperation();
  const context = {
    directory: join(scratch, "driver"),
    store,
    engine: sharedEngine(),
    mounter: setup.mounter,
    options: setup.options ?? {},
  };
  const driver = await setup.factory.open(context, operation);
  try {
    await driver.recover(operation);
  } catch (error) {
    await driver[Symbol.asyncDispose]();
    throw error;
  }
  return driver;
}

async function directoryIn(base: string): Promise<ScratchDirectory> {
  const path = await Deno.makeTempDir({ dir: base });
  return {
    path,
    async [Symbol.asyncDispose]() {
      // Not deleted: read-only snapshots resist, and the file system goes with all that is on it.
      await unmountBelow(path);
    },
  };
}
