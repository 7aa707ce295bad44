/** Mounting images, and letting their file systems fill them. */
import type { Operation } from "../../../runtime/core/operation.ts";
import type { MountEntry } from "../../../runtime/core/mountinfo.ts";
import { deviceSize_bytes, loopsOf, refreshLoop } from "../../../runtime/host/block_devices.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { effectiveCapabilities } from "../../../runtime/host/host_facts.ts";
import { holdLoop } from "../../../runtime/host/image_files.ts";
import { currentMountTable } from "../../../runtime/host/mount_table.ts";
import type { Mounter } from "../../../runtime/host/mounter.ts";
import { fileSystemOn, growFileSystem, growUnmounted, mountOptions } from "../../storage/devicemapper/file_systems.ts";
import type { ImageFileSystem } from "./port.ts";

const MIB = 1 << 20;

/** What is mounted where. */
export interface ImageMountRequest {
  /** Canonical path of the image, or of a block device. */
  readonly source: string;
  /** An existing directory. */
  readonly target: string;
  readonly fs_type: ImageFileSystem;
  readonly read_only: boolean;
  /** More options, as in fstab. */
  readonly options?: readonly string[];
}

/**
 * Mounts an image or device that {@linkcode SizedBacking.make} or the lvm provisioner made, and lets its file system
 * fill it. The loop device frees itself with the last mount; an image that has one keeps that one.
 *
 * @throws what {@linkcode Mounter.mount} throws.
 */
export async function mountImage(request: ImageMountRequest, mounter: Mounter, operation: Operation): Promise<void> {
  const { source, target, fs_type, read_only } = request;
  let device: { readonly path: string } & Partial<Disposable> = { path: source };
  try {
    if (Deno.statSync(source).isFile) device = holdLoop(source);
  } catch (error) {
    throw hostError(error, `Cannot show ${source} as a device`, { path: source });
  }
  try {
    // Online, ext4 only grows for CAP_SYS_RESOURCE.
    const offline = fs_type === "ext4" && !read_only && !mayGrowOnline() && !fillsDevice(device.path);
    if (offline && mountOfImage(source) === undefined) await growUnmounted(device.path, operation);
    const options = [...mountOptions(fs_type, read_only ? "ro" : "rw", false), ...request.options ?? []];
    await mounter.mount([{ type: fs_type, source: device.path, target, options }], { signal: operation.signal });
    if (!read_only && !offline && !fillsDevice(device.path)) {
      await growFileSystem(fs_type, device.path, target, operation);
    }
  } finally {
    device[Symbol.dispose]?.();
  }
}

/** Where the file system of an image, or of a device, is mounted to be written to; anywhere, if only read-only. */
export function mountOfImage(source: string): MountEntry | undefined {
  const devices = new Set([source, ...Deno.statSync(source).isFile ? loopsOf(source) : []].map(deviceNumber));
  const mounts = currentMountTable().filter((entry) => devices.has(entry.device) && entry.root === "/");
  return mounts.find(({ options }) => options.includes("rw")) ?? mounts[0];
}

/**
 * Lets the file system of an image or device fill it, if it is mounted. Online.
 *
 * @returns false: it is not mounted and has to grow at its next mount.
 */
export async function fillDevice(source: string, operation: Operation): Promise<boolean> {
  const found = fileSystemOn(source);
  // A bare device.
  if (found === undefined) return true;
  const mount = mountOfImage(source);
  if (mount === undefined || !mount.options.includes("rw")) return fillsDevice(source);
  const device = Deno.statSync(source).isFile ? loopsOf(source)[0]! : source;
  if (device !== source) refreshLoop(device);
  if (found.fs === "ext4" && !mayGrowOnline()) return fillsDevice(device);
  if (!fillsDevice(device)) await growFileSystem(found.fs, device, mount.target, operation);
  return true;
}

/** Why a file system that is mounted did not fill its device; nothing is in the way of one that is not mounted. */
export function growthObstacle(source: string): string | undefined {
  const mount = mountOfImage(source);
  if (mount === undefined) return undefined;
  if (!mount.options.includes("rw")) return `it is mounted read-only at ${mount.target}`;
  return mayGrowOnline() ? undefined : `this process lacks CAP_SYS_RESOURCE, without which no mounted ext4 grows`;
}

/** Whether the file system of an image or device reaches its end, as its superblock on disk tells. */
export function fillsDevice(source: string): boolean {
  const found = fileSystemOn(source);
  if (found === undefined) return true;
  const device_bytes = deviceSize_bytes(source);
  // It leaves out a last group of blocks that would hold little more than its own tables.
  return device_bytes - found.size_bytes < (device_bytes < 512 * MIB ? 1 : 4) * MIB;
}

function mayGrowOnline(): boolean {
  return effectiveCapabilities().has("sys_resource");
}

function deviceNumber(path: string): string {
  const { rdev } = Deno.statSync(path);
  // As stat(2) packs it: 12 bits of major from bit 8, minor in the rest.
  return `${((rdev ?? 0) >> 8) & 0xfff}:${((rdev ?? 0) & 0xff) | (((rdev ?? 0) >> 12) & 0xfff00)}`;
}
