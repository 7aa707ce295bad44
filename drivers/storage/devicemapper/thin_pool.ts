/**
 * A thin pool that is open: its state, the messages that make and delete thin devices, and the devices while they are in
 * use. Which file systems are on them, and whose they are, is others' business.
 */
import { LaminaError } from "../../../runtime/core/errors.ts";
import { flushDevice } from "../../../runtime/host/block_devices.ts";
import { commandOutput } from "../../../runtime/host/command.ts";
import {
  createMapperDevice,
  findMapperDevice,
  type MapperDevice,
  mapperDevices,
  mapperNode,
  mapperTargetsOf,
  messageMapperDevice,
  reloadMapperDevice,
  removeMapperDevice,
} from "../../../runtime/host/device_mapper.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import { SECTOR_BYTES } from "./pool_layout.ts";
import { parsePoolStatus, parsePoolTable, parseThinList, type PoolStatus } from "./pool_text.ts";

/** The pool's own thin devices, at the end of the 24 bits that an id has. */
export const THIN = { label: 0xffffff, base: [0xfffffe, 0xfffffd] as const, firstOwn: 0xfffffd };

/** See the head of the file. */
export class ThinPool {
  /**
   * @param name Name of the mapper device with the target `thin-pool`.
   * @param prefix How the names of its thin devices begin, e.g. `lamina-1a2b3c4d`.
   */
  constructor(readonly name: string, readonly prefix: string) {}

  /** @throws `UNAVAILABLE` when the kernel has given the pool up, or it is gone. */
  status(): PoolStatus {
    const status = readPoolStatus(this.name);
    if (typeof status === "object") return status;
    throw new LaminaError(
      "UNAVAILABLE",
      `Cannot use the thin pool ${this.name}: ${
        status === "failed" ? "the kernel has given it up after an error of its disk" : "it is not there any more"
      }. See the kernel's log, bring the disk back and start Lamina again`,
      { details: { pool: this.name } },
    );
  }

  /** Bytes of a data block. */
  get block_bytes(): number {
    const [target] = mapperTargetsOf(this.name, "table");
    return (parsePoolTable(target?.parameters ?? "")?.blockSectors ?? 0) * SECTOR_BYTES;
  }

  /** An empty device. @throws `ALREADY_EXISTS` */
  createThin(thin: number): void {
    this.#message(`create_thin ${thin}`, `Cannot make the thin device ${thin}`);
  }

  /** A device with the content of `origin`, which nobody writes to meanwhile. @throws `ALREADY_EXISTS`, `NOT_FOUND` */
  createSnapshot(thin: number, origin: number): void {
    this.#message(`create_snap ${thin} ${origin}`, `Cannot make the thin device ${thin} on ${origin}`);
  }

  /** Absent is success. @throws `CONFLICT` while it is active. */
  delete(thin: number): void {
    this.#message(`delete ${thin}`, `Cannot delete the thin device ${thin}`, "ENODATA");
  }

  /** Raises the transaction id to `id`; a higher one stays. */
  setTransactionId(id: number): void {
    const { transactionId } = this.status();
    if (transactionId >= id) return;
    this.#message(`set_transaction_id ${transactionId} ${id}`, `Cannot set the transaction id of the pool`);
  }

  /** Ids of all thin devices of the pool. @throws `UNSUPPORTED` without thin-provisioning-tools. */
  async list(signal: AbortSignal): Promise<number[]> {
    const [target] = mapperTargetsOf(this.name, "table");
    const metadata = parsePoolTable(target?.parameters ?? "")?.metadata;
    if (metadata === undefined) throw new LaminaError("INTERNAL", `Cannot list the devices of the pool ${this.name}`);
    try {
      messageMapperDevice(this.name, "reserve_metadata_snap");
    } catch (error) {
      // Left by a process that was killed while it listed.
      if (!isErrno(error, "EBUSY")) throw hostError(error, `Cannot list the devices of the pool ${this.name}`);
      messageMapperDevice(this.name, "release_metadata_snap");
      messageMapperDevice(this.name, "reserve_metadata_snap");
    }
    try {
      const device = `/dev/block/${metadata}`;
      const node = await Deno.lstat(device).then(() => device, () => `/dev/dm-${metadata.split(":")[1]}`);
      const args = ["--metadata-snap", "--no-headers", "-o", "DEV", node];
      return parseThinList(await commandOutput("thin_ls", args, { signal, maxOutput_bytes: 1 << 28 }));
    } finally {
      messageMapperDevice(this.name, "release_metadata_snap");
    }
  }

  /** Brings a device to its node, or finds it there. */
  activate(thin: number, size_bytes: number, options: { readonly readOnly: boolean }): MapperDevice {
    const name = this.nameOf(thin);
    const found = this.#keep(findMapperDevice(name));
    if (found !== undefined) {
      // A process that was killed while it looked for the size has left it short.
      const [target] = mapperTargetsOf(name, "table");
      if (target?.length !== Math.floor(size_bytes / SECTOR_BYTES)) this.resize(thin, size_bytes, options);
      return found;
    }
    try {
      return createMapperDevice(name, `LAMINA-${name}`, [this.#target(thin, size_bytes)], options);
    } catch (error) {
      if (isErrno(error, "ENODATA", "EINVAL", "ENODEV")) {
        // Says why, if it is the pool.
        this.status();
        throw new LaminaError("DATA_LOSS", `Cannot reach the thin device ${thin}: the pool ${this.name} has none`, {
          cause: error,
        });
      }
      throw hostError(error, `Cannot reach the thin device ${thin} of the pool ${this.name}`);
    }
  }

  /** Gives an active device another size. */
  resize(thin: number, size_bytes: number, options: { readonly readOnly: boolean } = { readOnly: false }): void {
    try {
      reloadMapperDevice(this.nameOf(thin), [this.#target(thin, size_bytes)], options);
    } catch (error) {
      throw hostError(error, `Cannot resize the thin device ${thin} to ${size_bytes} bytes`);
    }
  }

  /** Whether a device has a node, and who uses it. */
  find(thin: number): MapperDevice | undefined {
    return findMapperDevice(this.nameOf(thin));
  }

  /**
   * Takes the node away. One that somebody still has open goes when that ends (deferred removal).
   *
   * @returns Whether it is gone now.
   */
  deactivate(thin: number): boolean {
    const name = this.nameOf(thin);
    try {
      removeMapperDevice(name);
      return true;
    } catch (error) {
      if (!isErrno(error, "EBUSY")) throw hostError(error, `Cannot take away the device ${name}`);
      removeMapperDevice(name, { deferred: true });
      return findMapperDevice(name) === undefined;
    }
  }

  /** Waits until the content of an active device, and the pool's knowledge of it, are on the disk. */
  flush(thin: number): void {
    const device = this.find(thin);
    if (device === undefined) return;
    try {
      flushDevice(mapperNode(device));
    } catch (error) {
      throw hostError(error, `Cannot write out the thin device ${thin}`);
    }
  }

  /** Thin devices that have a node: id by `MAJOR:MINOR`. */
  active(): Map<string, number> {
    const found = new Map<string, number>();
    for (const [name, { major, minor }] of mapperDevices()) {
      const thin = this.thinOf(name);
      if (thin !== undefined) found.set(`${major}:${minor}`, thin);
    }
    return found;
  }

  /** Name of a thin device's mapper device. */
  nameOf(thin: number): string {
    return `${this.prefix}-${thin}`;
  }

  /** The reverse. */
  thinOf(name: string): number | undefined {
    const rest = name.startsWith(`${this.prefix}-`) ? name.slice(this.prefix.length + 1) : "";
    return /^\d{1,8}$/.test(rest) ? Number(rest) : undefined;
  }

  /** Takes back what an earlier {@linkcode deactivate} has put off. */
  #keep(device: MapperDevice | undefined): MapperDevice | undefined {
    if (!device?.deferredRemove) return device;
    try {
      messageMapperDevice(device.name, "@cancel_deferred_remove");
      return findMapperDevice(device.name);
    } catch (error) {
      if (isErrno(error, "ENXIO")) return undefined;
      throw hostError(error, `Cannot keep the device ${device.name}`);
    }
  }

  #target(thin: number, size_bytes: number) {
    const pool = findMapperDevice(this.name);
    if (pool === undefined) this.status();
    const { major, minor } = pool!;
    return {
      start: 0,
      length: Math.floor(size_bytes / SECTOR_BYTES),
      type: "thin",
      parameters: `${major}:${minor} ${thin}`,
    };
  }

  #message(message: string, attempted: string, fine?: string): void {
    try {
      messageMapperDevice(this.name, message);
    } catch (error) {
      if (fine !== undefined && isErrno(error, fine)) return;
      const { mode, needsCheck } = this.status();
      if (mode !== "rw" || needsCheck) {
        throw new LaminaError(
          mode === "out_of_data_space" ? "RESOURCE_EXHAUSTED" : "UNAVAILABLE",
          `${attempted}: the pool ${this.name} is ${
            mode === "out_of_data_space" ? "full. Remove something or extend it" : "read-only after an error in its " +
              "metadata. Unmount what uses it and start Lamina again: it then checks and repairs the metadata"
          }`,
          { cause: error, details: { pool: this.name, mode } },
        );
      }
      throw hostError(error, attempted, { pool: this.name });
    }
  }
}

/** State of the pool of that name; `undefined` when there is none. */
export function readPoolStatus(name: string): PoolStatus | "failed" | undefined {
  try {
    const [target] = mapperTargetsOf(name, "status");
    return target?.type === "thin-pool" ? parsePoolStatus(target.parameters) : undefined;
  } catch (error) {
    if (isErrno(error, "ENXIO")) return undefined;
    throw hostError(error, `Cannot read the state of the pool ${name}`);
  }
}
