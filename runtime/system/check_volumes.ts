/** Compares the catalogue of volumes with their directories. No repair deletes anything here but what nobody was told of. */
import { join } from "@std/path/posix";
import { planLocal } from "../../drivers/volume/named/local/local_options.ts";
import { kindOf, LocalPlace } from "../../drivers/volume/named/local/local_place.ts";
import { VolumeName } from "../core/ids.ts";
import type { Operation } from "../core/operation.ts";
import { detachLoop, loopsOf } from "../host/block_devices.ts";
import { hostError } from "../host/errno_errors.ts";
import { volumeLock, type VolumeRoom } from "../volume/volume_room.ts";
import { findVolumeRow, insertVolumeRow, namedVolume, readyVolumeRows, type VolumeRow } from "../volume/volume_rows.ts";
import { listSnapshots } from "../volume/volume_snapshots.ts";
import type { CurableFinding } from "./finding.ts";
import type { SystemRoom } from "./system_room.ts";

/** The findings. Volumes that an operation holds right now are left out. */
export async function checkVolumes(system: SystemRoom, operation: Operation): Promise<CurableFinding[]> {
  const room = system.volumes;
  const findings: CurableFinding[] = [];
  for (const row of readyVolumeRows(room.store)) {
    if (row.driver !== "local" || room.locks.isBusy(volumeLock(row.name))) continue;
    findings.push(...await checkVolume(room, row, operation));
  }
  for (const name of system.volumeAccess.idle()) {
    findings.push({
      kind: "unwanted-mount",
      object: `volume ${name}`,
      message: "It is mounted though nobody uses it",
      repair: () => system.volumeAccess.unmountIdle(name, operation),
    });
  }
  return [...findings, ...await unknownDirectories(room)];
}

async function checkVolume(room: VolumeRoom, row: VolumeRow, operation: Operation): Promise<CurableFinding[]> {
  const volume = namedVolume(row);
  const place = room.local.place(volume);
  const object = `volume ${row.name}`;
  const plan = planLocal(volume);
  const findings: CurableFinding[] = [];
  if (kindOf(place.data) !== "directory") {
    findings.push({
      kind: "missing-volume",
      object,
      message: `Its directory ${place.data} is gone. Put it back, or repair makes an empty one`,
      repair: place.isImage
        ? () => Deno.mkdir(place.data, { mode: 0o700 })
        : () => room.local.create(volume, operation),
    });
  } else if (plan.kind === "sized") {
    const path = place.isImage ? place.image : place.data;
    const { capacity_bytes } = await (await room.local.trees.backingOf(path)).usage(path, operation);
    // Limits are kept in whole KiB.
    if (capacity_bytes === 0 || capacity_bytes < plan.size_bytes - 1024) {
      findings.push({
        kind: "missing-limit",
        object,
        message:
          `It should have at most ${plan.size_bytes} bytes, and what is enforced is ${capacity_bytes || "nothing"}. ` +
          "Back it up, and restore it into a new volume",
      });
    }
  }
  if (kindOf(place.next) !== "absent") {
    findings.push({
      kind: "leftover",
      object: place.next,
      message: "An operation left this behind",
      repair: () => room.local.trees.remove(place.next, { sized: plan.kind === "sized" }, operation),
    });
  }
  return [...findings, ...strayLoops(room, volume.name), ...missingSnapshots(room, row)];
}

/** A loop device frees itself with its last mount, unless somebody holds it. */
function strayLoops(room: VolumeRoom, name: string): CurableFinding[] {
  const place = new LocalPlace(room.layout, name);
  if (!place.isImage || room.local.isMounted({ name, options: {} })) return [];
  return loopsOf(place.image).map((device) => ({
    kind: "stray-loop",
    object: device,
    message: `It shows the image of volume ${name}, which is not mounted`,
    repair: () => Promise.resolve(detachLoop(device)),
  }));
}

function missingSnapshots(room: VolumeRoom, row: VolumeRow): CurableFinding[] {
  const place = room.local.place(row);
  const known = listSnapshots(room.store, row.name).map(({ name }) => name);
  const missing = known.filter((name) => kindOf(place.snapshot(name)) === "absent").map((name) => ({
    kind: "missing-snapshot",
    object: `snapshot ${name} of volume ${row.name}`,
    message: `${place.snapshot(name)} is gone. Remove the snapshot`,
  }));
  if (kindOf(place.snapshots) !== "directory") return missing;
  const unknown = [...Deno.readDirSync(place.snapshots)].filter(({ name }) => !known.includes(name)).map((
    { name },
  ) => ({
    kind: "unknown-file",
    object: place.snapshot(name),
    message: "This is no snapshot that the catalogue knows. Move it away",
  }));
  return [...missing, ...unknown];
}

async function unknownDirectories(room: VolumeRoom): Promise<CurableFinding[]> {
  const { store, layout, locks } = room;
  const findings: CurableFinding[] = [];
  for (const name of await directoryNames(layout.volumes)) {
    if (findVolumeRow(store, name) !== undefined || locks.isBusy(volumeLock(name))) continue;
    const object = join(layout.volumes, name);
    const place = new LocalPlace(layout, name);
    // What an image's size was, nobody can tell.
    if (!VolumeName.safeParse(name).success || kindOf(place.data) !== "directory" || place.isImage) {
      findings.push({
        kind: "unknown-file",
        object,
        message: "This is no volume and nothing that Lamina made. Move it away",
      });
      continue;
    }
    const row = { name, driver: "local", options: {}, labels: {}, anonymous: false };
    findings.push({
      kind: "unknown-volume",
      object,
      message: "The catalogue does not know this volume. Repair adds it, with its data as it is",
      repair: () => store.write((tx) => insertVolumeRow(tx, row, "ready")),
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
