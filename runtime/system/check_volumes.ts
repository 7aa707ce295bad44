/** Compares the catalogue of volumes with their directories. No repair deletes anything here: it is user data. */
import { join } from "@std/path/posix";
import { parseId, VolumeName } from "../core/ids.ts";
import { hostError } from "../host/errno_errors.ts";
import { makeVolumeDirectories, volumeDirectoryExists } from "../volume/volume_directories.ts";
import { volumeLock } from "../volume/volume_lifecycle.ts";
import { findVolumeRow, insertVolumeRow, readyVolumeRows } from "../volume/volume_rows.ts";
import type { CurableFinding } from "./finding.ts";
import type { SystemRoom } from "./system_room.ts";

/** The findings. Volumes that an operation holds right now are left out. */
export async function checkVolumes({ containers: room }: SystemRoom): Promise<CurableFinding[]> {
  const { store, layout, locks } = room;
  const findings: CurableFinding[] = [];
  for (const { name, driver } of readyVolumeRows(store)) {
    if (driver !== "local" || locks.isBusy(volumeLock(name)) || await volumeDirectoryExists(layout, name)) continue;
    findings.push({
      kind: "missing-volume",
      object: `volume ${name}`,
      message: `Its directory ${layout.volumeData(name)} is gone. Put it back, or repair makes an empty one`,
      repair: () => makeVolumeDirectories(layout, [name]),
    });
  }
  for (const name of await directoryNames(layout.volumes)) {
    if (findVolumeRow(store, name) !== undefined || locks.isBusy(volumeLock(name))) continue;
    const object = join(layout.volumes, name);
    if (!VolumeName.safeParse(name).success || !await volumeDirectoryExists(layout, name)) {
      findings.push({
        kind: "unknown-file",
        object,
        message: "This is no volume and nothing that Lamina made. Move it away",
      });
      continue;
    }
    findings.push({
      kind: "unknown-volume",
      object,
      message: "The catalogue does not know this volume. Repair adds it, with its data as it is",
      repair: () =>
        store.write((tx) =>
          insertVolumeRow(tx, {
            name: parseId(VolumeName, name, "volume name"),
            driver: "local",
            options: {},
            labels: {},
            anonymous: false,
          }, "ready")
        ),
    });
  }
  return findings;
}

async function directoryNames(path: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name).sort();
  } catch (error) {
    throw hostError(error, `Cannot list ${path}`);
  }
}
