/** What the doctor says of the storage drivers: which one is used and why, what the others would need. */
import { optionsOf } from "../../drivers/storage/choose_driver.ts";
import type { DriverNeed, DriverProbe } from "../../drivers/storage/driver_factory.ts";
import { openMigration } from "../../drivers/storage/migration_intent.ts";
import { messageOf } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { DoctorItem } from "../core/specs/system.ts";
import type { SystemRoom } from "./system_room.ts";

/** One line for the driver in use, one for each driver of this program, and one for a migration that waits. */
export async function examineDrivers(room: SystemRoom, operation: Operation): Promise<DoctorItem[]> {
  const { containers: { layout, driver, store }, migration: { current, factories, storageOptions } } = room;
  const items: DoctorItem[] = [{
    subject: "storage driver",
    status: "ok",
    found: `${driver.name}: ${current.chosen.why}`,
  }];
  for (const factory of factories) {
    const subject = `storage driver ${factory.name}`;
    try {
      const options = optionsOf(factory.name, storageOptions);
      const probe = await factory.probe({ directory: layout.staging, options }, operation);
      items.push({ subject, ...describeProbe(probe) });
    } catch (error) {
      operation.signal.throwIfAborted();
      items.push({ subject, status: "warning", found: `cannot be tried: ${messageOf(error)}` });
    }
  }
  const open = openMigration(store)?.plan;
  if (open === undefined) return items;
  return [...items, {
    subject: "migration",
    status: "warning",
    found: `from ${open.from} to ${open.to} was interrupted`,
    advice: open.phase === "copy"
      ? `"lamina migrate --to ${open.to}" goes on, "lamina migrate --abort" deletes the copies`
      : `Start again: the old data of ${open.from} is deleted then`,
  }];
}

/** A probe as a line. Pure. */
export function describeProbe(probe: DriverProbe): Omit<DoctorItem, "subject"> {
  const can = ([
    ["copy on write", probe.capabilities.copyOnWrite],
    ["parallel unpacking", probe.capabilities.parallelApply],
    ["native diff", probe.capabilities.nativeDiff],
    ["rootless", probe.capabilities.rootless],
    ["size limits", probe.capabilities.quota],
    ["inode limits", probe.capabilities.inodeQuota === true],
  ] as const).filter(([, able]) => able).map(([name]) => name).join(", ");
  const found = probe.supported
    ? [`works here${can === "" ? "" : ` (${can})`}`, ...probe.reasons].join("; ")
    : probe.reasons.join("; ") || "does not work here";
  const advice = (probe.needs ?? []).map(describeNeed).filter(Boolean).join("; or ");
  return { status: probe.supported ? "ok" : "warning", found, ...(advice === "" ? {} : { advice }) };
}

/** What to do about one need, e.g. `modprobe zfs (CONFIG_X), apt-get install zfsutils-linux`. Pure. */
export function describeNeed(need: DriverNeed): string {
  const option = need.kernelOption === undefined ? "" : ` (kernel option ${need.kernelOption})`;
  const parts = [
    need.module === undefined ? "" : `modprobe ${need.module}${option}`,
    need.package === undefined ? "" : `install ${need.package} (Debian: apt-get install ${need.package})`,
    need.mountOption === undefined ? "" : `mount the root's file system with -o ${need.mountOption}`,
    need.fileSystem === undefined ? "" : `put the root on ${need.fileSystem}`,
  ].filter(Boolean);
  if (need.module === undefined && option !== "") parts.push(`a kernel with ${need.kernelOption}`);
  return parts.join(", ");
}
