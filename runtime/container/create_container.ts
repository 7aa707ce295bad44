/** A container comes into being. */
import { isLaminaError, LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { Mount } from "../core/mount.ts";
import type { ContainerCreate } from "../core/specs/container.ts";
import type { ContainerMount } from "../core/specs/mount.ts";
import type { VolumeName } from "../core/ids.ts";
import { hostError } from "../host/errno_errors.ts";
import { faultPoint } from "../host/faults.ts";
import { lookUpImage } from "../image/image_lookup.ts";
import { findImage } from "../image/image_rows.ts";
import { beginIntent, endIntent, type Intent } from "../store/journal.ts";
import type { Transaction } from "../store/store.ts";
import { volumeLock } from "../volume/volume_lifecycle.ts";
import { findVolumeRow, type NewVolumeRow } from "../volume/volume_rows.ts";
import { containerNameLock, type ContainerRoom } from "./container_room.ts";
import { type ContainerSpec, insertContainer, rwLayerKey, volumesOf } from "./container_rows.ts";
import { type ResolvedMounts, resolveMounts } from "./resolve_mounts.ts";
import { rwLimits } from "./storage_options.ts";

/**
 * Makes a container: its RW layer, the volumes that it is the first to name, its row.
 *
 * The row appears in the commit that makes the RW layer appear, so without new volumes there is one commit and nothing
 * that a crash could leave half done: a layer's directory without a row is the driver's to delete. New volumes are
 * noted before, with an intent, and appear in that same commit.
 *
 * @param mounter Mounts the root meanwhile. Its failure is the caller's to see; when the creation fails, it is stopped.
 * @returns the container's id.
 * @throws before any effect: `NOT_FOUND` (image, bind source), `ALREADY_EXISTS` (name), `INVALID_ARGUMENT` (targets,
 * options), `UNSUPPORTED` (size), `CONFLICT` (volume is being removed).
 */
export async function createContainer(
  room: ContainerRoom,
  request: ContainerCreate,
  operation: Operation,
  mounter?: (id: string, spec: ContainerSpec, mounts: Mount[]) => { stop(): Promise<void> },
): Promise<string> {
  const { name: givenName, mounts: _, volumes: __, ...asked } = request;
  const limits = rwLimits(asked.storage_options, room.driver);
  const image = lookUpImage(room.store, asked.image).row;
  const resolved = resolveMounts(request, {
    imageVolumes: [],
    borrowed: [],
    anonymousName: randomName,
    imageId: (reference) => lookUpImage(room.store, reference).row.id,
  });
  const spec: ContainerSpec = { ...asked, mounts: resolved.mounts };
  const wanted = newVolumesOf(room, resolved);
  await checkBindSources(spec.mounts);
  const id = crypto.getRandomValues(new Uint8Array(32)).toHex();
  const name = givenName ?? id.slice(0, 12);
  const volumes = volumesOf(spec.mounts);
  using _locks = await room.locks.acquireAll(
    [containerNameLock(name), ...volumes.map(volumeLock)],
    operation.signal,
  );
  refuseTakenName(room, name);
  refuseVanishingVolumes(room, volumes);
  const begun = await beginVolumes(room, id, wanted);
  faultPoint("container.create_begun");
  try {
    if (begun !== undefined) {
      await room.volumes.makeDirectories(begun.missing);
      faultPoint("container.volumes_made");
    }
    await room.driver.prepare(rwLayerKey(id), image.top_layer ?? undefined, {
      ...limits,
      whenUsable: mounter && ((mounts) => mounter(id, spec, mounts)),
      alongside: (tx) => {
        // The image was found without its lock: it may have gone meanwhile.
        if (findImage(tx, image.id) === undefined) {
          throw new LaminaError("NOT_FOUND", `Cannot create the container: image "${spec.image}" was just removed`);
        }
        insertContainer(tx, { id, name, imageId: image.id, spec, mountWanted: mounter !== undefined });
        if (begun !== undefined) {
          room.volumes.finishCreate(tx, begun.missing);
          endIntent(tx, begun.intent);
        }
        faultPoint("container.prepared");
      },
    }, operation);
  } catch (error) {
    if (begun !== undefined) await undoVolumes(room, begun);
    throw error;
  }
  faultPoint("container.create_finished");
  if (begun !== undefined) room.volumes.announce(begun.missing);
  room.events.emit({ kind: "container", action: "create", id, name, attributes: { image: spec.image } });
  return id;
}

/** Undoes a creation that a crash interrupted. Its RW layer, if there is one, has no row and goes with the orphans. */
export async function recoverCreate(room: ContainerRoom, intent: Intent): Promise<void> {
  await undoVolumes(room, { intent, missing: intent.data.volumes as string[] });
}

interface BegunVolumes {
  readonly intent: Intent;
  readonly missing: readonly string[];
}

/** The rows of the volumes that a container may be the first to have. */
function newVolumesOf(room: ContainerRoom, resolved: ResolvedMounts): NewVolumeRow[] {
  return [...resolved.volumes].map(([name, wish]) => {
    const anonymous = resolved.mounts.some((mount) =>
      mount.type === "volume" && mount.source === name && mount.anonymous
    );
    const { driver = "local", options = {}, labels = {} } = wish ?? {};
    const row = room.volumes.newRow({ ...(anonymous ? {} : { name: name as VolumeName }), driver, options, labels });
    return { ...row, name };
  });
}

function randomName(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toHex();
}

async function beginVolumes(room: ContainerRoom, id: string, wanted: readonly NewVolumeRow[]): Promise<
  BegunVolumes | undefined
> {
  if (wanted.every(({ name }) => findVolumeRow(room.store, name) !== undefined)) return undefined;
  return await room.store.write((tx) => {
    const missing = room.volumes.beginMissing(tx, wanted);
    return { missing, intent: beginIntent(tx, "container.create", id, { volumes: missing }) };
  });
}

async function undoVolumes(room: ContainerRoom, begun: BegunVolumes): Promise<void> {
  const forget = await room.volumes.undoCreate(begun.missing);
  await room.store.write((tx: Transaction) => {
    forget(tx);
    endIntent(tx, begun.intent);
  }, { frees: true });
}

/** The sources of binds exist, or may be made when the container is mounted. */
async function checkBindSources(mounts: readonly ContainerMount[]): Promise<void> {
  for (const mount of mounts) {
    if (mount.type !== "bind") continue;
    const attempted = `Cannot create the container: cannot bind ${mount.source} at ${mount.target}`;
    try {
      await Deno.stat(mount.source);
    } catch (error) {
      const failure = hostError(error, attempted, { source: mount.source, target: mount.target });
      if (!isLaminaError(failure, "NOT_FOUND")) throw failure;
      if (!mount.create_source) {
        throw new LaminaError("NOT_FOUND", `${attempted}: the source does not exist. Make it first`, {
          cause: error,
          details: failure.details,
        });
      }
    }
  }
}

function refuseTakenName(room: ContainerRoom, name: string): void {
  const taken = room.store.get<{ id: string }>("SELECT id FROM containers WHERE name = ?", name);
  if (taken === undefined) return;
  throw new LaminaError(
    "ALREADY_EXISTS",
    `Cannot create container "${name}": ${taken.id.slice(0, 12)} has that name. Remove it or choose another name`,
    { details: { name, holder: taken.id } },
  );
}

function refuseVanishingVolumes(room: ContainerRoom, names: readonly string[]): void {
  for (const name of names) {
    // We hold its lock, so whatever is not ready was left so by a removal that failed.
    if ((findVolumeRow(room.store, name)?.state ?? "ready") === "ready") continue;
    throw new LaminaError(
      "CONFLICT",
      `Cannot create the container: volume "${name}" is being removed. "lamina check --repair" finishes that`,
      { details: { volume: name } },
    );
  }
}
