/** The volumes that come with a container: noted, made, filled from the image, and taken back when it does not come. */
import { LaminaError } from "../core/errors.ts";
import type { VolumeName } from "../core/ids.ts";
import type { Operation } from "../core/operation.ts";
import type { ContainerMount } from "../core/specs/mount.ts";
import { faultPoint } from "../host/faults.ts";
import { beginIntent, endIntent, type Intent } from "../store/journal.ts";
import type { Transaction } from "../store/store.ts";
import { findVolumeRow, type NewVolumeRow, refuseOther } from "../volume/volume_rows.ts";
import type { ContainerRoom } from "./container_room.ts";
import { type CopyUp, copyUp, copyUpCandidates, finishCopyUp, isVolumeEmpty, openCopyUps } from "./copy_up.ts";
import type { ResolvedMounts, VolumeWish } from "./resolve_mounts.ts";
import { setFilled } from "./volume_contents.ts";

/** How long taking back may take. */
const UNDO_TIMEOUT_MS = 60_000;

/** What was noted before anything was made. */
export interface BegunVolumes {
  readonly intent: Intent;
  /** Did not exist before. */
  readonly missing: readonly string[];
  /** Those of them that get what the image has. */
  readonly copied: readonly string[];
  /** Existed before, empty, and get what the image has. */
  readonly filled: readonly string[];
}

/** The rows of the volumes that a container may be the first to have. @throws what the drivers say of their options */
export function newVolumesOf(room: ContainerRoom, resolved: ResolvedMounts): NewVolumeRow[] {
  const anonymous = new Set(
    resolved.mounts.flatMap((mount) => mount.type === "volume" && mount.anonymous ? [mount.source as string] : []),
  );
  return [...resolved.volumes].map(([name, wish]) => {
    const { driver = "local", options = {}, labels = {} } = wish ?? {};
    const given = anonymous.has(name) ? {} : { name: name as VolumeName };
    return { ...room.volumes.newRow({ ...given, driver, options, labels }), name };
  });
}

/**
 * Refuses volumes that are not what they should be; the caller holds their locks.
 *
 * @throws `CONFLICT`: being removed, another driver, other options; `NOT_FOUND`: a volume of another container went.
 */
export function refuseUnfitVolumes(
  room: ContainerRoom,
  mounts: readonly ContainerMount[],
  wishes: ReadonlyMap<string, VolumeWish | undefined>,
): void {
  for (const mount of mounts) {
    if (mount.type !== "volume") continue;
    const { source: name } = mount;
    const row = findVolumeRow(room.store, name);
    const details = { volume: name };
    if (row === undefined) {
      if (wishes.has(name)) continue;
      const message = `Cannot create the container: volume "${name}" of another container was just removed`;
      throw new LaminaError("NOT_FOUND", message, { details });
    }
    // We hold its lock, so whatever is not ready was left so by a removal that failed.
    if (row.state !== "ready") {
      throw new LaminaError(
        "CONFLICT",
        `Cannot create the container: volume "${name}" is being removed. "lamina check --repair" finishes that`,
        { details },
      );
    }
    const wish = wishes.get(name);
    if (wish === undefined) continue;
    const options = Object.keys(wish.options).length === 0 ? JSON.parse(row.options) : wish.options;
    refuseOther(row, { name, driver: wish.driver ?? row.driver, options });
  }
}

/**
 * Makes the volumes that are missing, and fills those that are empty from the image. The caller holds their locks. One
 * commit before, if there is anything to do; none and no wait otherwise.
 *
 * @returns undefined: there was nothing to do. Otherwise {@linkcode finishVolumes} belongs into the write that makes the
 * container visible, or {@linkcode undoVolumes} takes all back. When this throws, that was done.
 */
export async function makeVolumes(
  room: ContainerRoom,
  container: { readonly id: string; readonly topLayer: string | null; readonly mounts: readonly ContainerMount[] },
  wanted: readonly NewVolumeRow[],
  operation: Operation,
): Promise<BegunVolumes | undefined> {
  const candidates = copyUpCandidates(room, container.topLayer, container.mounts);
  await using view = candidates.length === 0
    ? undefined
    : await openCopyUps(room, container.id, container.topLayer!, candidates, operation);
  const isThere = (name: string) => findVolumeRow(room.store, name) !== undefined;
  const copyUps: CopyUp[] = [];
  for (const one of view?.all ?? []) {
    if (!isThere(one.volume) || await isVolumeEmpty(room, one.volume, container.id, operation)) copyUps.push(one);
  }
  if (copyUps.length === 0 && wanted.every(({ name }) => isThere(name))) return undefined;
  const begun = await room.store.write((tx): BegunVolumes => {
    const missing = room.volumes.beginMissing(tx, wanted);
    const copied = copyUps.filter(({ volume }) => missing.includes(volume)).map(({ volume }) => volume);
    const filled = copyUps.filter(({ volume }) => !missing.includes(volume)).map(({ volume }) => volume);
    const data = { volumes: missing, copied, filled };
    return { missing, copied, filled, intent: beginIntent(tx, "container.create", container.id, data) };
  });
  faultPoint("container.create_begun");
  try {
    await room.volumes.makeDirectories(begun.missing, operation);
    faultPoint("container.volumes_made");
    for (const one of copyUps) await copyUp(room, one, begun.copied.includes(one.volume), container.id, operation);
    if (copyUps.length > 0) faultPoint("container.copied_up");
  } catch (error) {
    await undoVolumes(room, begun);
    throw error;
  }
  return begun;
}

/** Makes the volumes visible, in the write that makes their container visible. */
export function finishVolumes(room: ContainerRoom, tx: Transaction, begun: BegunVolumes): void {
  room.volumes.finishCreate(tx, begun.missing);
  for (const name of [...begun.copied, ...begun.filled]) setFilled(tx, name);
  endIntent(tx, begun.intent);
}

/**
 * Takes back what was made. Volumes that were there before stay, with all that was copied into them or with nothing of
 * it; new ones go, with what was copied into them and nobody has seen yet.
 */
export async function undoVolumes(room: ContainerRoom, begun: BegunVolumes): Promise<void> {
  const operation: Operation = { signal: AbortSignal.timeout(UNDO_TIMEOUT_MS), progress: () => {} };
  const filled: string[] = [];
  for (const name of begun.filled) {
    if (findVolumeRow(room.store, name)?.state !== "ready") continue;
    await finishCopyUp(room, name, begun.intent.object, operation);
    if (!await isVolumeEmpty(room, name, begun.intent.object, operation)) filled.push(name);
  }
  const copied = begun.copied.filter((name) => findVolumeRow(room.store, name)?.state === "creating");
  const forget = await room.volumes.undoCreate(begun.missing.filter((name) => !copied.includes(name)));
  const removals: Intent[] = [];
  await room.store.write((tx) => {
    removals.length = 0;
    forget(tx);
    for (const name of filled) setFilled(tx, name);
    for (const name of copied) removals.push(room.volumes.beginRemove(tx, name));
    endIntent(tx, begun.intent);
  }, { frees: true });
  for (const removal of removals) await room.volumes.finishRemove(removal, operation);
}

/** What an intent of a container's creation says of its volumes. */
export function begunVolumesOf(intent: Intent): BegunVolumes {
  const { volumes = [], copied = [], filled = [] } = intent.data as Record<string, string[] | undefined>;
  return { intent, missing: volumes, copied, filled };
}
