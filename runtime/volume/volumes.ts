/** The verbs about volumes, put together; each is in a file of its own. */
import { LocalCopies } from "../../drivers/volume/named/local/local_copies.ts";
import { kindOf } from "../../drivers/volume/named/local/local_place.ts";
import { parseId, VolumeName } from "../core/ids.ts";
import type {
  ResizedVolume,
  Volume,
  VolumeFilters,
  VolumeListing,
  VolumePruneOptions,
  VolumeRequest,
  VolumeSnapshot,
  VolumeSpace,
} from "../core/model/volume.ts";
import type { Operation } from "../core/operation.ts";
import type { RemovalResult } from "../core/specs/image.ts";
import { parseSpec } from "../core/specs/parse_spec.ts";
import { VolumeCreate } from "../core/specs/volume.ts";
import type { ByteStream, VolumeBackup, VolumeService } from "../services.ts";
import { backupVolume } from "./backup_volume.ts";
import { renameVolume } from "./rename_volume.ts";
import { resizeVolume } from "./resize_volume.ts";
import { restoreVolume, unpackArchive } from "./restore_volume.ts";
import type { VolumeAccess } from "./volume_access.ts";
import { VolumeCatalogue } from "./volume_catalogue.ts";
import type { VolumeLifecycle } from "./volume_lifecycle.ts";
import { assertLocal, volumeLock, type VolumeRoom } from "./volume_room.ts";
import { findVolumeRow, namedVolume, volumeRow } from "./volume_rows.ts";
import { listSnapshots, makeSnapshot, removeSnapshot, snapshotPath } from "./volume_snapshots.ts";
import { VolumeClients } from "./volume_clients.ts";

/** See {@linkcode VolumeService}. */
export class Volumes implements VolumeService {
  readonly #room: VolumeRoom;
  readonly #catalogue: VolumeCatalogue;
  readonly #lifecycle: VolumeLifecycle;
  readonly #access: VolumeAccess;
  readonly #clients: VolumeClients;
  readonly #copies: LocalCopies;

  constructor(room: VolumeRoom, lifecycle: VolumeLifecycle, access: VolumeAccess) {
    this.#room = room;
    this.#lifecycle = lifecycle;
    this.#access = access;
    this.#catalogue = new VolumeCatalogue(room, lifecycle, access);
    this.#clients = new VolumeClients(room, access);
    this.#copies = new LocalCopies(room.local, room.engine);
  }

  async create(spec: VolumeRequest, operation: Operation): Promise<Volume> {
    return await this.#catalogue.create(parseSpec(VolumeCreate, spec, "volume"), operation);
  }

  list(filters?: VolumeFilters): Volume[] {
    return this.#catalogue.list(filters);
  }

  inspect(name: string): Volume {
    return this.#catalogue.inspect(name);
  }

  listWithPlugins(filters: VolumeFilters, operation: Operation): Promise<VolumeListing> {
    return this.#catalogue.listWithPlugins(filters, operation);
  }

  inspectWithPlugins(name: string, operation: Operation): Promise<Volume> {
    return this.#catalogue.inspectWithPlugins(name, operation);
  }

  space(name: string, operation: Operation): Promise<VolumeSpace> {
    return this.#catalogue.space(name, operation);
  }

  remove(name: string, operation: Operation, options?: { readonly force?: boolean }): Promise<RemovalResult> {
    return this.#catalogue.remove(name, operation, options);
  }

  prune(options: VolumePruneOptions, operation: Operation): Promise<RemovalResult> {
    return this.#catalogue.prune(options, operation);
  }

  async rename(name: string, newName: string, operation: Operation): Promise<Volume> {
    const to = parseId(VolumeName, newName, "volume name");
    using _locks = await this.#room.locks.acquireAll([name, to].map(volumeLock), operation.signal);
    volumeRow(this.#room.store, name);
    await this.#access.unmountIdle(name, operation);
    await renameVolume(this.#room, name, to, this.#catalogue.users(name));
    return this.inspect(to);
  }

  async resize(name: string, size_bytes: number, operation: Operation): Promise<ResizedVolume> {
    using _lock = await this.#room.locks.acquire(volumeLock(name), operation.signal);
    const { pending } = await resizeVolume(this.#room, name, size_bytes, operation);
    return { ...this.inspect(name), pending };
  }

  async mount(name: string, client: string, operation: Operation): Promise<string> {
    await this.#lifecycle.plugins.adopt([name], operation);
    return await this.#clients.mount(name, client, operation);
  }

  unmount(name: string, client: string, operation: Operation): Promise<void> {
    return this.#clients.unmount(name, client, operation);
  }

  async backup(
    name: string,
    options: { readonly compression: "none" | "gzip" | "zstd" },
    operation: Operation,
  ): Promise<VolumeBackup> {
    await this.#lifecycle.plugins.adopt([name], operation);
    return await backupVolume(this.#room, { access: this.#access, copies: this.#copies }, name, options, operation);
  }

  async restore(
    name: string,
    archive: ByteStream,
    options: { readonly force: boolean },
    operation: Operation,
  ): Promise<Volume> {
    try {
      if (findVolumeRow(this.#room.store, name) === undefined) return await this.#restoreNew(name, archive, operation);
      using _lock = await this.#room.locks.acquire(volumeLock(name), operation.signal);
      const row = volumeRow(this.#room.store, name);
      await this.#access.unmountIdle(name, operation);
      await restoreVolume(this.#room, row, this.#catalogue.users(name), archive, options, operation);
      return this.inspect(name);
    } finally {
      if (!archive.locked) await archive.cancel().catch(() => {});
    }
  }

  async #restoreNew(name: string, archive: ByteStream, operation: Operation): Promise<Volume> {
    const row = this.#lifecycle.newRow({
      name: parseId(VolumeName, name, "volume name"),
      driver: "local",
      options: {},
      labels: {},
    });
    return await this.#catalogue.createWith(row, operation, async (made) => {
      const volume = namedVolume(made);
      await this.#room.local.create(volume, operation);
      await unpackArchive(this.#room, name, this.#room.local.mountpoint(volume), archive, operation);
    });
  }

  async snapshot(
    name: string,
    options: { readonly name?: string; readonly copy: boolean },
    operation: Operation,
  ): Promise<VolumeSnapshot> {
    const snapshot = parseId(VolumeName, options.name ?? timeName(), "snapshot name");
    using _lock = await this.#room.locks.acquire(volumeLock(name), operation.signal);
    return await this.#withData(
      name,
      options.copy,
      operation,
      (data) =>
        makeSnapshot(this.#room, this.#copies, { volume: name, name: snapshot, copy: options.copy, data }, operation),
    );
  }

  snapshots(name: string): VolumeSnapshot[] {
    return listSnapshots(this.#room.store, name);
  }

  async removeSnapshot(name: string, snapshot: string, operation: Operation): Promise<void> {
    using _lock = await this.#room.locks.acquire(volumeLock(name), operation.signal);
    await removeSnapshot(this.#room, name, snapshot, operation);
  }

  /** The new volume's lock comes first here, in the order of the names everywhere: no two clones wait for each other. */
  async clone(
    name: string,
    to: { readonly name: string; readonly snapshot?: string; readonly labels?: Record<string, string> },
    options: { readonly copy: boolean },
    operation: Operation,
  ): Promise<Volume> {
    const attempted = `Cannot clone volume "${name}"`;
    const source = volumeRow(this.#room.store, name);
    assertLocal(attempted, source);
    const row = this.#lifecycle.newRow({
      name: parseId(VolumeName, to.name, "volume name"),
      driver: "local",
      options: JSON.parse(source.options),
      labels: to.labels ?? {},
    });
    return await this.#catalogue.createWith(row, operation, async (made) => {
      const staging = await Deno.makeTempDir({ dir: this.#room.layout.staging, prefix: "clone-" });
      const frozen = `${staging}/frozen`;
      const sized = JSON.parse(source.options).size !== undefined;
      try {
        const from = to.snapshot === undefined
          ? await this.#withData(name, options.copy, operation, async (data) => {
            await this.#copies.copy(namedVolume(source), data, frozen, { ...options, frozen: false }, operation);
            return frozen;
          })
          : snapshotPath(this.#room, source, to.snapshot);
        const volume = namedVolume(made);
        await this.#copies.fill(volume, from, (body) => this.#mounted(volume.name, body, operation), operation);
      } finally {
        const undoing: Operation = { signal: AbortSignal.timeout(600_000), progress: () => {} };
        if (kindOf(frozen) !== "absent") await this.#room.local.trees.remove(frozen, { sized }, undoing);
        await this.#room.engine.removeTree(staging, undoing);
      }
    });
  }

  /** With a volume's data in sight: where it can be, or has to be because all files will be read. */
  async #withData<T>(
    name: string,
    needed: boolean,
    operation: Operation,
    body: (data: string | undefined) => Promise<T>,
  ): Promise<T> {
    const volume = namedVolume(volumeRow(this.#room.store, name));
    assertLocal(`Cannot copy volume "${name}"`, volumeRow(this.#room.store, name));
    const { local } = this.#room;
    if (!local.needsMount(volume)) return await body(local.mountpoint(volume));
    if (!needed) return await body(local.isMounted(volume) ? local.mountpoint(volume) : undefined);
    const user = { id: `copy-${crypto.randomUUID()}`, name: "a copy" };
    const paths = await this.#access.acquire(user, [name], operation);
    try {
      return await body(paths.get(name));
    } finally {
      await this.#access.release(user.id, { ...operation, signal: AbortSignal.timeout(60_000) });
    }
  }

  /** A volume that is being made is in no list yet: mounted for this one purpose. */
  async #mounted(name: string, body: (data: string) => Promise<void>, operation: Operation): Promise<void> {
    const volume = namedVolume(findVolumeRow(this.#room.store, name)!);
    const path = await this.#room.local.mount(volume, operation);
    await body(path);
    if (this.#room.local.needsMount(volume)) await this.#room.local.unmount(volume, operation);
  }
}

/** A snapshot without a name gets the time: `20260102T030405Z`. */
function timeName(): string {
  return new Date().toISOString().replace(/\.\d+/, "").replaceAll(/[-:]/g, "");
}
