/**
 * One directory in which `lamina.dev/local` makes volumes and snapshots:
 *
 * ```
 * PLACE/NAME/volume.json    what it is; written before the directory has its name
 * PLACE/NAME/data           a directory of enforced capacity, or
 * PLACE/NAME/image          an image of a device
 * PLACE/.making-NAME        not finished: deleted when the place is opened, or the name is made again
 * PLACE/.deleting-NAME      given up: deleted when the place is opened
 * PLACE/.lock               one Lamina at a time
 * ```
 */
import { basename, join } from "@std/path/posix";
import { LaminaError, messageOf } from "../../../runtime/core/errors.ts";
import { KeyedLock } from "../../../runtime/core/keyed_lock.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { fileSystemStatus } from "../../../runtime/host/disk.ts";
import { renameDurably, syncDirectory } from "../../../runtime/host/durable.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { faultPoint } from "../../../runtime/host/faults.ts";
import { acquireRootLock, type RootLock } from "../../../runtime/host/root_lock.ts";
import type { LayerEngine } from "../../storage/layer/engine.ts";
import type { BackingName, Grown, SizedBacking } from "../sized/port.ts";
import { type KnownTree, SizedPlace } from "../sized/sized_place.ts";
import { refuseUsed } from "./used_tree.ts";
import { promised_bytes, readRecord, treeOf, type VolumeRecord, writeRecord } from "./volume_record.ts";
import { isThere } from "../../../runtime/host/is_there.ts";

/** Kept free for what the file system writes of its own. */
const MARGIN_BYTES = 4 << 20;
/** What taking back a volume that could not be made may last. */
const UNDO_TIMEOUT_MS = 600_000;
const MAKING = ".making-";
const DELETING = ".deleting-";

/** Space of a place. */
export interface PlaceCapacity {
  readonly total_bytes: number;
  /** Free, and promised to nobody. */
  readonly available_bytes: number;
  readonly promised_bytes: number;
}

/** Something to be made: the record is complete but for the size that is really given. */
export type NewVolume = Omit<VolumeRecord, "format">;

/** Fills the staging directory's tree. @returns what was really given. */
export type MakeTree = (tree: string, backing: SizedBacking) => Promise<{ readonly size_bytes: number }>;

/** See the head of the file. Disposing it lets another Lamina use the directory. */
export class LocalPlace implements Disposable {
  readonly #locks = new KeyedLock();

  private constructor(
    readonly directory: string,
    readonly sized: SizedPlace,
    readonly engine: LayerEngine,
    private readonly lock: RootLock,
  ) {}

  /** Opens a directory (absolute, canonical, existing) and finishes what a crash has interrupted there. */
  static async open(directory: string, engine: LayerEngine, operation: Operation): Promise<LocalPlace> {
    const lock = lockPlace(directory);
    try {
      const trees: KnownTree[] = [];
      for (const name of volumeNames(directory)) {
        const record = await readRecord(join(directory, name));
        if (record === undefined) continue;
        trees.push({ ...record, path: treeOf(join(directory, name), record) });
      }
      const sized = await SizedPlace.open(directory, engine, trees);
      const place = new LocalPlace(directory, sized, engine, lock);
      for (const { name } of [...Deno.readDirSync(directory)]) {
        if (!name.startsWith(MAKING) && !name.startsWith(DELETING)) continue;
        // What is still in use after a crash is looked at again when the place is opened next.
        await place.#erase(join(directory, name), operation).catch((error) => {
          if (!(error instanceof LaminaError) || error.code !== "CONFLICT") throw error;
        });
      }
      return place;
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  /** @returns what is of this name, and where; `undefined`: nothing. */
  async find(name: string): Promise<{ readonly record: VolumeRecord; readonly tree: string } | undefined> {
    const record = await readRecord(join(this.directory, name));
    return record === undefined ? undefined : { record, tree: treeOf(join(this.directory, name), record) };
  }

  /**
   * Makes a volume or snapshot, or finds the one of this name.
   *
   * @param shared_bytes What is asked of the place besides what is not allocated yet.
   * @throws `RESOURCE_EXHAUSTED` when it would promise more than there is.
   */
  async make(
    name: string,
    wanted: NewVolume,
    make: MakeTree,
    operation: Operation,
  ): Promise<{ readonly record: VolumeRecord; readonly tree: string }> {
    using _lock = await this.#locks.acquire("make", operation.signal);
    const found = await this.find(name);
    if (found !== undefined) return found;
    const backing = this.sized.backing(wanted.backing);
    if (!wanted.overprovision) await this.#refuseTooMuch(name, wanted.shared_bytes ?? wanted.size_bytes, operation);
    const staging = join(this.directory, MAKING + name), directory = join(this.directory, name);
    await this.#erase(staging, operation);
    try {
      await Deno.mkdir(staging, { mode: 0o700 });
      faultPoint("provision.begun");
      const { size_bytes } = await make(treeOf(staging, wanted), backing);
      faultPoint("provision.tree_made");
      const record: VolumeRecord = { format: 1, ...wanted, size_bytes };
      await writeRecord(staging, record);
      faultPoint("provision.recorded");
      await renameDurably(staging, directory);
      faultPoint("provision.renamed");
      return { record, tree: treeOf(directory, record) };
    } catch (error) {
      const failure = hostError(error, `Cannot make ${name} in ${this.directory}`);
      // Not the caller's signal: that may be what was aborted.
      const undoing = { ...operation, signal: AbortSignal.timeout(UNDO_TIMEOUT_MS) };
      const left = await this.#erase(staging, undoing).then(() => undefined, (reason) => messageOf(reason));
      if (left === undefined) throw failure;
      throw new LaminaError(
        failure.code,
        `${failure.message}. What was begun lies in ${staging} until the next attempt or start: ${left}`,
        { cause: failure, details: failure.details },
      );
    }
  }

  /** Deletes what is of this name, durably; nothing there is success. @throws `CONFLICT` while something uses it. */
  async remove(name: string, operation: Operation): Promise<void> {
    using _lock = await this.#locks.acquire(name, operation.signal);
    const directory = join(this.directory, name), deleting = join(this.directory, DELETING + name);
    const found = await this.find(name);
    if (found !== undefined) {
      refuseUsed(found.tree);
      await this.#erase(deleting, operation);
      await renameDurably(directory, deleting);
      faultPoint("provision.given_up");
    } else if (await isThere(directory)) {
      throw new LaminaError(
        "CONFLICT",
        `Cannot delete ${directory}: it has no volume.json, so Lamina has not made it. Move it elsewhere`,
      );
    }
    await this.#erase(deleting, operation);
    await this.#erase(join(this.directory, MAKING + name), operation);
    faultPoint("provision.deleted");
  }

  /** Raises the size of a volume. @throws `RESOURCE_EXHAUSTED`, `NOT_FOUND` */
  async grow(
    name: string,
    wanted_bytes: number,
    operation: Operation,
  ): Promise<Grown> {
    using _lock = await this.#locks.acquire("make", operation.signal);
    const { record, tree } = await this.#existing(name);
    if (wanted_bytes > record.size_bytes && !record.overprovision) {
      await this.#refuseTooMuch(name, wanted_bytes - record.size_bytes, operation);
    }
    const backing = this.sized.backing(record.backing);
    const grown = await backing.grow(tree, Math.max(wanted_bytes, record.size_bytes), operation);
    faultPoint("provision.grown");
    if (grown.size_bytes > record.size_bytes) {
      const more = grown.size_bytes - record.size_bytes;
      const shared_bytes = record.shared_bytes === undefined ? undefined : record.shared_bytes + more;
      await writeRecord(join(this.directory, name), { ...record, size_bytes: grown.size_bytes, shared_bytes });
    }
    return grown;
  }

  /** @throws `NOT_FOUND` */
  async usage(name: string, operation: Operation): Promise<{ used_bytes: number; capacity_bytes: number }> {
    const { record, tree } = await this.#existing(name);
    const { used_bytes } = await this.sized.backing(record.backing).usage(tree, operation);
    return { used_bytes, capacity_bytes: record.size_bytes };
  }

  /** What is there, and what of it is promised. */
  async capacity(operation: Operation): Promise<PlaceCapacity> {
    let promised = 0;
    for (const name of volumeNames(this.directory)) {
      const found = await this.find(name);
      if (found === undefined) continue;
      const usage = await this.sized.backing(found.record.backing).usage(found.tree, operation);
      promised += promised_bytes(found.record, usage);
    }
    const { total_bytes, available_bytes } = fileSystemStatus(this.directory);
    const free = Math.max(0, available_bytes - MARGIN_BYTES);
    return { total_bytes, available_bytes: Math.max(0, free - promised), promised_bytes: promised };
  }

  /** Name of a volume of this place, given its directory. */
  nameOf(directory: string): string {
    return basename(directory);
  }

  /** All volumes and snapshots. */
  names(): string[] {
    return volumeNames(this.directory).sort();
  }

  [Symbol.dispose](): void {
    this.lock[Symbol.dispose]();
  }

  async #existing(name: string): Promise<{ record: VolumeRecord; tree: string }> {
    const found = await this.find(name);
    if (found !== undefined) return found;
    throw new LaminaError("NOT_FOUND", `There is no volume ${name} in ${this.directory}`);
  }

  async #refuseTooMuch(name: string, wanted_bytes: number, operation: Operation): Promise<void> {
    const capacity = await this.capacity(operation);
    if (wanted_bytes <= capacity.available_bytes) return;
    const promised = capacity.promised_bytes > 0
      ? `, besides ${capacity.promised_bytes} that are promised to other volumes`
      : "";
    throw new LaminaError(
      "RESOURCE_EXHAUSTED",
      `Cannot give ${wanted_bytes} bytes to ${name}: ${this.directory} has ${capacity.available_bytes} available` +
        `${promised}. Free some space, ask for less, or set the parameter overprovision to "true"`,
      { details: { wanted_bytes, available_bytes: capacity.available_bytes } },
    );
  }

  /** Deletes a directory of ours, whatever is in it. */
  async #erase(directory: string, operation: Operation): Promise<void> {
    if (!await isThere(directory)) return;
    for (const [name, backings] of Object.entries(TREES)) {
      const tree = join(directory, name);
      if (await isThere(tree)) await this.#eraser(tree, backings).remove(tree, operation);
    }
    await this.engine.removeTree(directory, operation);
    await syncDirectory(this.directory);
  }

  #eraser(tree: string, backings: readonly BackingName[]): Pick<SizedBacking, "remove"> {
    if (backings.includes("image")) return this.sized.backing("image");
    if (this.sized.type === "btrfs" && Deno.lstatSync(tree).ino === SUBVOLUME_INO) return this.sized.backing("btrfs");
    try {
      return this.sized.backing("quota");
    } catch {
      // Quotas are off now; the files are deleted all the same.
      return { remove: (path, operation) => this.engine.removeTree(path, operation) };
    }
  }
}

const TREES: Readonly<Record<string, readonly BackingName[]>> = { image: ["image"], data: ["quota", "btrfs"] };
/** Inode number of the top of a subvolume. */
const SUBVOLUME_INO = 256;

function lockPlace(directory: string): RootLock {
  try {
    return acquireRootLock(join(directory, ".lock"));
  } catch (error) {
    if (!(error instanceof LaminaError)) throw error;
    const found = error.code === "UNAVAILABLE" && error.details.holder_pid !== undefined
      ? `process ${error.details.holder_pid}, another Lamina, has it open. Give each a directory of its own`
      : error.message;
    throw new LaminaError(error.code, `Cannot make volumes in ${directory}: ${found}`, { cause: error });
  }
}

function volumeNames(directory: string): string[] {
  return [...Deno.readDirSync(directory)].filter((entry) => entry.isDirectory && !entry.name.startsWith("."))
    .map(({ name }) => name);
}
