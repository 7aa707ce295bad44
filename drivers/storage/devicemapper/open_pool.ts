/** Opens the pool that the options name: makes it on its first use, adopts it where it is active, mends its metadata. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { writeDevice } from "../../../runtime/host/block_devices.ts";
import {
  createMapperDevice,
  findMapperDevice,
  mapperNode,
  type MapperTarget,
  mapperTargetsOf,
  reloadMapperDevice,
  removeMapperDevice,
} from "../../../runtime/host/device_mapper.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import { mendMetadata } from "./mend_metadata.ts";
import { openLvmPool } from "./lvm_pool.ts";
import type { DevicemapperSettings } from "./options.ts";
import { checkedLabel, type KnownPool, type OpenPool } from "./pool_owner.ts";
import {
  BLOCK_SECTORS,
  HEADER_BYTES,
  LABEL_BYTES,
  LABEL_OFFSETS_BYTES,
  metadataSectors,
  newestLabel,
  placesOf,
  type PoolLabel,
  type PoolPlaces,
  SECTOR_BYTES,
} from "./pool_layout.ts";
import { isBlank, openPlace, type PoolPlace, readLabel, refuseUsed, writeLabel } from "./pool_place.ts";
import { readPoolStatus, ThinPool } from "./thin_pool.ts";

/** See the head of the file. @throws see {@linkcode openPlace}; `CONFLICT` (another's pool), `UNSUPPORTED` (its version). */
export async function openPool(
  settings: DevicemapperSettings,
  known: KnownPool,
  operation: Operation,
): Promise<OpenPool> {
  const { backing } = settings;
  if (backing.kind === "lvm") return await openLvmPool(backing, known, operation);
  const holdsData = known.holdsData && known.pool !== undefined;
  const place = await openPlace(backing, known.directory, holdsData);
  try {
    const capacity_bytes = backing.kind === "loop" ? backing.max_bytes : place.size_bytes();
    const found = checkedLabel(newestLabel(readLabel(place.path)), place.shown, known);
    const label = found ?? makePool(place, capacity_bytes, known);
    return await new OwnPool(place, label, found === undefined).open(operation);
  } catch (error) {
    place[Symbol.dispose]();
    throw error;
  }
}

function makePool(place: PoolPlace, capacity_bytes: number, known: KnownPool): PoolLabel {
  refuseUsed(place);
  const sectors = metadataSectors(capacity_bytes);
  if (placesOf(place.size_bytes(), sectors).dataSectors < 2 * sectors / 8) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Cannot make a pool on ${place.shown}: its ${place.size_bytes()} bytes are too few. ${
        place.grow === undefined
          ? "Make it larger"
          : "Give more by devicemapper.loop_size, or less by devicemapper.loop_max_size: room for the metadata of that " +
            "size is set aside"
      }`,
    );
  }
  if (!isBlank(place.path)) {
    throw new LaminaError(
      "CONFLICT",
      `Cannot make a pool on ${place.shown}: there is something on it. If nobody needs that, clear its first and its ` +
        "last MiB with dd",
      { details: { device: place.shown } },
    );
  }
  const label: PoolLabel = {
    format: 1,
    pool: crypto.randomUUID(),
    store: known.store,
    root: known.directory,
    sequence: 0,
    places: { metadata: "a", metadata_sectors: sectors },
  };
  // Zeros at its beginning make the kernel start a new pool there. They come first: the label says that there is one.
  try {
    writeDevice(place.path, placesOf(place.size_bytes(), sectors).metadata.a * SECTOR_BYTES, new Uint8Array(4096));
  } catch (error) {
    throw hostError(error, `Cannot make a pool on ${place.shown}`);
  }
  writeLabel(place.path, label);
  return label;
}

/** A pool on a device or file that it has for itself. */
class OwnPool implements OpenPool {
  readonly pool: ThinPool;
  readonly shown: string;
  mended?: string;
  readonly #prefix: string;

  constructor(readonly place: PoolPlace, public label: PoolLabel, readonly isNew: boolean) {
    this.shown = place.shown;
    this.#prefix = `lamina-${label.pool.slice(0, 8)}`;
    this.pool = new ThinPool(`${this.#prefix}-pool`, this.#prefix);
  }

  async open(operation: Operation): Promise<this> {
    this.#refuseTwin();
    let status = readPoolStatus(this.pool.name);
    if (status === undefined) {
      if (findMapperDevice(`${this.#prefix}-data`) === undefined) refuseUsed(this.place);
      status = this.#activate();
    }
    const inOrder = typeof status === "object" && !status.needsCheck && status.mode !== "ro";
    if (!inOrder) await this.#mend(operation);
    return this;
  }

  save(label: Omit<PoolLabel, "sequence">): void {
    const next = { ...label, sequence: this.label.sequence + 1 };
    writeLabel(this.place.path, next);
    this.label = next;
  }

  hostRoom_bytes(): number {
    return this.place.hostRoom_bytes();
  }

  async grow(wanted_bytes: number): Promise<boolean> {
    const before_bytes = this.place.size_bytes();
    const now_bytes = await this.place.grow?.(wanted_bytes) ?? before_bytes;
    const places = this.#places(now_bytes);
    const [data] = mapperTargetsOf(`${this.#prefix}-data`, "table");
    if (data === undefined || data.length >= places.dataSectors) return false;
    try {
      reloadMapperDevice(`${this.#prefix}-data`, [this.#linear(places.dataStart, places.dataSectors)]);
      reloadMapperDevice(this.pool.name, [this.#poolTarget(places)]);
      return true;
    } catch (error) {
      throw hostError(error, `Cannot extend the pool on ${this.shown}`);
    }
  }

  close(): void {
    try {
      this.#remove();
    } catch (error) {
      // Somebody's file system is on one of its devices: the next start adopts it.
      if (!isErrno(error, "EBUSY")) throw hostError(error, `Cannot close the pool on ${this.shown}`);
    } finally {
      this.place[Symbol.dispose]();
    }
  }

  retire(): void {
    const attempted = `Cannot take away the pool on ${this.shown}`;
    try {
      this.#remove();
    } catch (error) {
      if (!isErrno(error, "EBUSY")) throw hostError(error, attempted);
      throw new LaminaError("CONFLICT", `${attempted}: one of its devices is in use. Unmount it first`, {
        cause: error,
        details: { pool: this.shown },
      });
    }
    const { metadata } = this.#places();
    try {
      // The label first: without it there is no pool, whatever else is left.
      for (const offset of LABEL_OFFSETS_BYTES) writeDevice(this.place.path, offset, new Uint8Array(LABEL_BYTES));
      for (const start of [metadata.a, metadata.b]) {
        writeDevice(this.place.path, start * SECTOR_BYTES, new Uint8Array(4096));
      }
      // What a file had there would look like somebody's.
      const tail_bytes = Math.min(HEADER_BYTES, this.place.size_bytes());
      writeDevice(this.place.path, this.place.size_bytes() - tail_bytes, new Uint8Array(tail_bytes));
    } catch (error) {
      throw hostError(error, attempted);
    }
  }

  /** A copy of a root has a pool of the same name. */
  #refuseTwin(): void {
    const data = findMapperDevice(`${this.#prefix}-data`);
    if (data === undefined) return;
    const [target] = mapperTargetsOf(data.name, "table");
    const used = target?.parameters.split(" ")[0];
    const rdev = Deno.statSync(this.place.path).rdev ?? 0;
    const ours = `${(rdev >> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >> 12) & 0xfff00)}`;
    if (used === ours) return;
    throw new LaminaError(
      "CONFLICT",
      `Cannot open the pool on ${this.shown}: a pool of the same identity is open on the device ${used}. One is a copy ` +
        "of the other; close the other one first",
      { details: { pool: this.shown } },
    );
  }

  #places(size_bytes = this.place.size_bytes()): PoolPlaces {
    return placesOf(size_bytes, this.label.places!.metadata_sectors);
  }

  #activate(): ReturnType<typeof readPoolStatus> {
    const places = this.#places();
    this.#ensure("meta", this.#linear(places.metadata[this.label.places!.metadata], places.metadataSectors));
    this.#ensure("data", this.#linear(places.dataStart, places.dataSectors));
    try {
      this.#ensure("pool", this.#poolTarget(places));
    } catch (error) {
      // What the kernel says to metadata that it cannot read.
      if (isErrno(error, "EINVAL", "EIO", "ENODATA", "EILSEQ")) return "failed";
      throw hostError(error, `Cannot open the pool on ${this.shown}`);
    }
    return readPoolStatus(this.pool.name);
  }

  async #mend(operation: Operation): Promise<void> {
    try {
      removeMapperDevice(this.pool.name);
    } catch (error) {
      if (!isErrno(error, "EBUSY")) throw hostError(error, `Cannot close the pool on ${this.shown}`);
      throw new LaminaError(
        "UNAVAILABLE",
        `Cannot use the pool on ${this.shown}: its metadata has to be checked, and its devices are in use. Unmount ` +
          "what is mounted from them and start again",
        { cause: error, details: { pool: this.shown } },
      );
    }
    const from = this.label.places!.metadata;
    const to = from === "a" ? "b" : "a";
    const places = this.#places();
    this.#ensure("meta", this.#linear(places.metadata[from], places.metadataSectors));
    this.#ensure("spare", this.#linear(places.metadata[to], places.metadataSectors));
    try {
      const node = (part: string) => mapperNode(findMapperDevice(`${this.#prefix}-${part}`)!);
      const { moved, message } = await mendMetadata(node("meta"), node("spare"), this.shown, operation);
      this.mended = message;
      if (moved) this.save({ ...this.label, places: { ...this.label.places!, metadata: to } });
    } finally {
      removeMapperDevice(`${this.#prefix}-spare`);
      removeMapperDevice(`${this.#prefix}-meta`);
    }
    const status = this.#activate();
    if (typeof status === "object" && status.mode !== "ro" && !status.needsCheck) return;
    throw new LaminaError(
      "DATA_LOSS",
      `Cannot open the pool on ${this.shown}: its metadata is damaged and could not be repaired. Restore it from a backup`,
      { details: { pool: this.shown } },
    );
  }

  #remove(): void {
    for (const part of ["pool", "data", "meta"]) removeMapperDevice(`${this.#prefix}-${part}`);
  }

  #ensure(part: "meta" | "data" | "pool" | "spare", target: MapperTarget): void {
    const name = `${this.#prefix}-${part}`;
    // Left by a process that was killed while it opened the pool; what it is made of may have moved since.
    if (findMapperDevice(name) !== undefined) removeMapperDevice(name);
    createMapperDevice(name, `LAMINA-${this.label.pool}-${part}`, [target]);
  }

  #linear(start: number, length: number): MapperTarget {
    return { start: 0, length, type: "linear", parameters: `${this.place.path} ${start}` };
  }

  #poolTarget({ dataSectors }: PoolPlaces): MapperTarget {
    const number = (part: string) => {
      const { major, minor } = findMapperDevice(`${this.#prefix}-${part}`)!;
      return `${major}:${minor}`;
    };
    // A full pool answers ENOSPC at once: waiting for a person, as the default does, would stop every container on it.
    const features = "2 skip_block_zeroing error_if_no_space";
    return {
      start: 0,
      length: dataSectors,
      type: "thin-pool",
      parameters: `${number("meta")} ${number("data")} ${BLOCK_SECTORS} 0 ${features}`,
    };
  }
}
