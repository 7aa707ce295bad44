/**
 * The kernel's device mapper, through the ioctls of `/dev/mapper/control`: what dmsetup does, without a process for each
 * step. Devices are used by their node `/dev/dm-N`, which the kernel makes itself (devtmpfs), so that neither udev nor a
 * link has to be waited for.
 *
 * Calls are synchronous: they take microseconds, and those that write the pool's metadata what a disk takes for a flush.
 */
import { byteStringFromText } from "../core/bytes.ts";
import { checked, cString, ErrnoError, isErrno, lastErrno, libc } from "./libc.ts";
import { AT_FDCWD, O_CLOEXEC, O_RDWR } from "./openat2.ts";

/** One line of a table: from `start` on, `length` sectors of 512 bytes are what `type` makes of `parameters`. */
export interface MapperTarget {
  readonly start: number;
  readonly length: number;
  /** `linear`, `thin-pool`, `thin`, `error`, … */
  readonly type: string;
  readonly parameters: string;
}

/** A device as the kernel knows it. */
export interface MapperDevice {
  readonly name: string;
  readonly major: number;
  readonly minor: number;
  /** How many have it open: mounts, other devices, programs. */
  readonly openCount: number;
  readonly readOnly: boolean;
  readonly suspended: boolean;
  readonly deferredRemove: boolean;
}

const CONTROL = "/dev/mapper/control";
const HEADER_BYTES = 312;
const TARGET_BYTES = 40;

const call = (number: number) => BigInt((3 * 2 ** 30) + (HEADER_BYTES << 16) + (0xfd << 8) + number);
const commands = {
  VERSION: call(0),
  LIST_DEVICES: call(2),
  DEV_CREATE: call(3),
  DEV_REMOVE: call(4),
  DEV_SUSPEND: call(6),
  DEV_STATUS: call(7),
  TABLE_LOAD: call(9),
  TABLE_STATUS: call(12),
  LIST_VERSIONS: call(13),
  TARGET_MSG: call(14),
} as const;

const READONLY = 1 << 0;
const SUSPEND = 1 << 1;
const STATUS_TABLE = 1 << 4;
const BUFFER_FULL = 1 << 8;
const DEFERRED_REMOVE = 1 << 17;

/** Path of a device's node. */
export function mapperNode(device: { readonly minor: number }): string {
  return `/dev/dm-${device.minor}`;
}

/**
 * Versions of the targets that the kernel has loaded, e.g. `thin-pool` → `1.22.0`.
 *
 * @throws {@linkcode ErrnoError} `ENOENT`, `ENODEV` or `ENXIO` when the kernel has no device mapper.
 */
export function mapperTargets(): Map<string, string> {
  const targets = new Map<string, string>();
  const { view, data } = control("LIST_VERSIONS", {});
  for (let at = 0;;) {
    const next = view.getUint32(data + at, true);
    const version = [4, 8, 12].map((offset) => view.getUint32(data + at + offset, true)).join(".");
    const name = textAt(view, data + at + 16);
    if (name !== "") targets.set(name, version);
    if (next === 0) return targets;
    at += next;
  }
}

/** All devices, by name. */
export function mapperDevices(): Map<string, { readonly major: number; readonly minor: number }> {
  const devices = new Map<string, { major: number; minor: number }>();
  const { view, data } = control("LIST_DEVICES", {});
  for (let at = 0;;) {
    const number = view.getBigUint64(data + at, true);
    const next = view.getUint32(data + at + 8, true);
    const name = textAt(view, data + at + 12);
    if (name !== "") devices.set(name, deviceNumber(number));
    if (next === 0) return devices;
    at += next;
  }
}

/** One device, if there is one of that name. */
export function findMapperDevice(name: string): MapperDevice | undefined {
  try {
    return deviceOf(name, control("DEV_STATUS", { name }).view);
  } catch (error) {
    if (isErrno(error, "ENXIO")) return undefined;
    throw error;
  }
}

/**
 * Makes a device and brings it to life. Nothing is left of it when that fails.
 *
 * @throws {@linkcode ErrnoError}: `EBUSY` for a name that exists; what the target says of its parameters.
 */
export function createMapperDevice(
  name: string,
  uuid: string,
  table: readonly MapperTarget[],
  options: { readonly readOnly?: boolean } = {},
): MapperDevice {
  control("DEV_CREATE", { name, uuid });
  try {
    loadTable(name, table, options.readOnly ?? false);
    return deviceOf(name, control("DEV_SUSPEND", { name }).view);
  } catch (error) {
    removeMapperDevice(name);
    throw error;
  }
}

/** Replaces the table of a living device, e.g. by a longer one; what is mounted from it stays. */
export function reloadMapperDevice(
  name: string,
  table: readonly MapperTarget[],
  options: { readonly readOnly?: boolean } = {},
): void {
  loadTable(name, table, options.readOnly ?? false);
  control("DEV_SUSPEND", { name, flags: SUSPEND });
  control("DEV_SUSPEND", { name });
}

/**
 * Removes a device; absent is success.
 *
 * @param options `deferred`: one that is in use goes when its last user does.
 * @throws {@linkcode ErrnoError} `EBUSY` when it is in use.
 */
export function removeMapperDevice(name: string, options: { readonly deferred?: boolean } = {}): void {
  try {
    control("DEV_REMOVE", { name, flags: options.deferred ? DEFERRED_REMOVE : 0 });
  } catch (error) {
    if (!isErrno(error, "ENXIO")) throw error;
  }
}

/** Sends a message to the first target of a device. Sector 0. */
export function messageMapperDevice(name: string, message: string): void {
  const text = new TextEncoder().encode(message);
  const payload = new Uint8Array(8 + text.length + 1);
  payload.set(text, 8);
  control("TARGET_MSG", { name, payload });
}

/** What the targets of a device say about themselves, or with `table` what they were made with. */
export function mapperTargetsOf(name: string, what: "status" | "table"): MapperTarget[] {
  const { view, data } = control("TABLE_STATUS", { name, flags: what === "table" ? STATUS_TABLE : 0 });
  const count = view.getUint32(20, true);
  const targets: MapperTarget[] = [];
  for (let i = 0, at = data; i < count; i++) {
    targets.push({
      start: Number(view.getBigUint64(at, true)),
      length: Number(view.getBigUint64(at + 8, true)),
      type: textAt(view, at + 24, 16),
      parameters: textAt(view, at + TARGET_BYTES).trim(),
    });
    // Counted from the first one.
    at = data + view.getUint32(at + 20, true);
  }
  return targets;
}

function loadTable(name: string, table: readonly MapperTarget[], readOnly: boolean): void {
  const encoder = new TextEncoder();
  const parameters = table.map((target) => encoder.encode(`${target.parameters}\0`));
  const sizes = parameters.map(({ length }) => TARGET_BYTES + (length + 7 & ~7));
  const payload = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const view = new DataView(payload.buffer);
  let at = 0;
  for (const [i, target] of table.entries()) {
    view.setBigUint64(at, BigInt(target.start), true);
    view.setBigUint64(at + 8, BigInt(target.length), true);
    view.setUint32(at + 20, sizes[i]!, true);
    payload.set(encoder.encode(target.type), at + 24);
    payload.set(parameters[i]!, at + TARGET_BYTES);
    at += sizes[i]!;
  }
  control("TABLE_LOAD", { name, payload, targets: table.length, flags: readOnly ? READONLY : 0 });
}

interface ControlRequest {
  readonly name?: string;
  readonly uuid?: string;
  readonly flags?: number;
  readonly targets?: number;
  readonly payload?: Uint8Array;
}

let controlFd: number | undefined;

function openControl(): number {
  if (controlFd !== undefined) return controlFd;
  const path = cString(byteStringFromText(CONTROL));
  return controlFd = checked(libc.openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0), "open", CONTROL);
}

function control(command: keyof typeof commands, request: ControlRequest): { view: DataView; data: number } {
  const fd = openControl();
  const payload = request.payload ?? new Uint8Array();
  for (let room = 16384;; room *= 4) {
    const buffer = new Uint8Array(HEADER_BYTES + payload.length + room);
    const view = new DataView(buffer.buffer);
    view.setUint32(0, 4, true);
    view.setUint32(12, buffer.length, true);
    view.setUint32(16, HEADER_BYTES, true);
    view.setUint32(20, request.targets ?? 0, true);
    view.setUint32(28, request.flags ?? 0, true);
    const encoder = new TextEncoder();
    encoder.encodeInto(request.name ?? "", buffer.subarray(48, 48 + 127));
    encoder.encodeInto(request.uuid ?? "", buffer.subarray(176, 176 + 128));
    buffer.set(payload, HEADER_BYTES);
    const pointer = BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(buffer)));
    if (libc.ioctl(fd, commands[command], pointer) !== 0) {
      const errno = lastErrno();
      throw new ErrnoError(`device mapper ${command}`, errno, request.name ?? "");
    }
    if ((view.getUint32(28, true) & BUFFER_FULL) !== 0 && room < 1 << 26) continue;
    return { view, data: view.getUint32(16, true) };
  }
}

function deviceOf(name: string, view: DataView): MapperDevice {
  const flags = view.getUint32(28, true);
  return {
    name,
    ...deviceNumber(view.getBigUint64(40, true)),
    openCount: view.getInt32(24, true),
    readOnly: (flags & READONLY) !== 0,
    suspended: (flags & SUSPEND) !== 0,
    deferredRemove: (flags & DEFERRED_REMOVE) !== 0,
  };
}

function deviceNumber(number: bigint): { major: number; minor: number } {
  return {
    major: Number((number >> 8n) & 0xfffn),
    minor: Number((number & 0xffn) | ((number >> 12n) & 0xfff00n)),
  };
}

function textAt(view: DataView, at: number, limit = 65536): string {
  const bytes = new Uint8Array(view.buffer, at, Math.min(limit, view.byteLength - at));
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
