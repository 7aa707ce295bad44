/** The disks of iSCSI sessions, as sysfs shows them. */
import { join } from "@std/path/posix";

/** Where the kernel has it. */
export const SYSFS = "/sys";

/** One disk that a target gives to this machine through one session. */
export interface IscsiDisk {
  /** E.g. `session3`. */
  readonly session: string;
  readonly lun: number;
  /** E.g. `sdb`. */
  readonly name: string;
}

/** The disks of all sessions with a target. @param sysfs Of tests. */
export function iscsiDisks(target: string, sysfs = SYSFS): IscsiDisk[] {
  const sessions = join(sysfs, "class/iscsi_session");
  return namesIn(sessions)
    .filter((session) => textOf(join(sessions, session, "targetname")) === target)
    .flatMap((session) => {
      const device = join(sessions, session, "device");
      // targetHOST:CHANNEL:TARGET/HOST:CHANNEL:TARGET:LUN/block/NAME
      return namesIn(device).filter((name) => name.startsWith("target")).flatMap((targetName) =>
        namesIn(join(device, targetName)).flatMap((address) => {
          const lun = /^\d+:\d+:\d+:(\d+)$/.exec(address)?.[1];
          if (lun === undefined) return [];
          return namesIn(join(device, targetName, address, "block")).map((name) => ({
            session,
            lun: Number(lun),
            name,
          }));
        })
      );
    });
}

/** What one disk that comes over several paths is used as: its multipath device, if there is one. */
export function multipathOf(disks: readonly string[], sysfs = SYSFS): string | undefined {
  for (const disk of disks) {
    for (const holder of namesIn(join(sysfs, "block", disk, "holders"))) {
      if (textOf(join(sysfs, "block", holder, "dm/uuid"))?.startsWith("mpath-")) return `/dev/${holder}`;
    }
  }
  return undefined;
}

/** Takes a disk away from this machine; the target keeps it. Gone already: success. */
export async function deleteScsiDisk(name: string, sysfs = SYSFS): Promise<void> {
  try {
    await Deno.writeTextFile(join(sysfs, "block", name, "device/delete"), "1", { create: false });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function namesIn(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}

function textOf(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
