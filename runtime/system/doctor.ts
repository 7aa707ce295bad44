/** What the host has, what it lacks, and what to do about it. */
import type { Operation } from "../core/operation.ts";
import type { DoctorItem } from "../core/specs/system.ts";
import { fileSystemStatus } from "../host/disk.ts";
import {
  effectiveCapabilities,
  inUserNamespace,
  isRoot,
  kernelAtLeast,
  kernelVersion,
  knownFileSystems,
  mountProgramVersion,
} from "../host/host_facts.ts";
import { examineDrivers } from "./examine_drivers.ts";
import { examineUnions } from "./examine_unions.ts";
import type { SystemRoom } from "./system_room.ts";

/** Below this a root has no room for an image. */
const LOW_SPACE_BYTES = 1 << 30;

/** Every question with its answer; asks the storage drivers to try themselves out. */
export async function examineHost(room: SystemRoom, operation: Operation): Promise<DoctorItem[]> {
  return [
    kernel(),
    privileges(),
    ...disk(room.containers.layout.root),
    await mountProgram(operation),
    ...fileSystems(),
    ...await examineDrivers(room, operation),
    ...examineUnions(),
    ...room.problems.map(({ object, message }): DoctorItem => ({
      subject: `recovery of ${object}`,
      status: "warning",
      found: message,
      advice: 'Remove the cause, then "lamina check --repair" or start again',
    })),
  ];
}

function kernel(): DoctorItem {
  const found = kernelVersion();
  if (kernelAtLeast(5, 6)) return { subject: "kernel", status: "ok", found };
  return { subject: "kernel", status: "missing", found, advice: "Linux 5.6 or newer is needed (openat2)" };
}

function privileges(): DoctorItem {
  const rootless = !isRoot() || inUserNamespace();
  const capabilities = effectiveCapabilities();
  const found = `${rootless ? "rootless" : "root"}, capabilities ${[...capabilities].join(" ") || "none"}`;
  if (!capabilities.has("sys_admin")) {
    return { subject: "privileges", status: "missing", found, advice: "Mounting needs CAP_SYS_ADMIN: run as root" };
  }
  if (!capabilities.has("mknod")) {
    return {
      subject: "privileges",
      status: "warning",
      found,
      advice: "Device nodes of images are skipped (CAP_MKNOD)",
    };
  }
  return { subject: "privileges", status: "ok", found };
}

function disk(root: string): DoctorItem[] {
  const status = fileSystemStatus(root);
  const free = `${status.type}, ${Math.floor(status.available_bytes / 2 ** 20)} MiB available at ${root}`;
  const low = status.available_bytes < LOW_SPACE_BYTES;
  const items: DoctorItem[] = [{
    subject: "disk",
    status: low ? "warning" : "ok",
    found: free,
    ...(low ? { advice: 'Free some space: "lamina image prune", "lamina volume prune"' } : {}),
  }];
  if (status.totalInodes > 0 && status.freeInodes < status.totalInodes / 20) {
    items.push({
      subject: "inodes",
      status: "warning",
      found: `${status.freeInodes} of ${status.totalInodes} are free`,
      advice: "Layers have many small files: remove images, or use a file system with more inodes",
    });
  }
  return items;
}

async function mountProgram(operation: Operation): Promise<DoctorItem> {
  const version = await mountProgramVersion(operation.signal);
  if (version !== undefined) return { subject: "mount(8)", status: "ok", found: `util-linux ${version}` };
  return {
    subject: "mount(8)",
    status: "missing",
    found: "not installed, or not from util-linux",
    advice: "Install util-linux (Debian: apt-get install mount), or use --mounter libc",
  };
}

function fileSystems(): DoctorItem[] {
  const known = knownFileSystems();
  return ["overlay", "tmpfs"].map((type) =>
    known.has(type)
      ? { subject: `file system ${type}`, status: "ok", found: "the kernel has it" }
      : { subject: `file system ${type}`, status: "warning", found: "not loaded", advice: `modprobe ${type}` }
  );
}
