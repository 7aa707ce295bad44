/** A container comes into being. */
import { isLaminaError, LaminaError } from "../core/errors.ts";
import type { VolumeName } from "../core/ids.ts";
import type { Operation } from "../core/operation.ts";
import type { Mount } from "../core/mount.ts";
import type { ContainerCreate } from "../core/specs/container.ts";
import type { ContainerMount } from "../core/specs/mount.ts";
import { hostError } from "../host/errno_errors.ts";
import { faultPoint } from "../host/faults.ts";
import { selinuxEnabled } from "../host/host_facts.ts";
import { lookUpImage } from "../image/image_lookup.ts";
import { findImage } from "../image/image_rows.ts";
import type { Intent } from "../store/journal.ts";
import { volumeLock } from "../volume/volume_lifecycle.ts";
import { borrowedMounts } from "./borrowed_mounts.ts";
import { containerNameLock, type ContainerRoom } from "./container_room.ts";
import { type ContainerSpec, insertContainer, rwLayerKey, volumesOf } from "./container_rows.ts";
import {
  begunVolumesOf,
  finishVolumes,
  makeVolumes,
  newVolumesOf,
  refuseUnfitVolumes,
  undoVolumes,
} from "./new_volumes.ts";
import { refuseTakenName } from "./rename_container.ts";
import { type ResolvedMounts, resolveMounts } from "./resolve_mounts.ts";
import { rwLimits } from "./storage_options.ts";

/**
 * Makes a container: its RW layer, the volumes that it is the first to name, its row.
 *
 * The row appears in the commit that makes the RW layer appear, so without new volumes there is one commit and nothing
 * that a crash could leave half done: a layer's directory without a row is the driver's to delete. New volumes are
 * noted before, with an intent, and appear in that same commit, with what the image has for them in them.
 *
 * @param mounter Mounts the root meanwhile. Its failure is the caller's to see; when the creation fails, it is stopped.
 * @returns the container's id.
 * @throws before any effect: `NOT_FOUND` (image, bind source, container of `volumes_from`), `ALREADY_EXISTS` (name),
 * `INVALID_ARGUMENT` (targets, options), `UNSUPPORTED` (size, SELinux labels), `CONFLICT` (volume is being removed, or
 * has another driver or other options).
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
    imageVolumes: volumesOfConfig(image.config),
    borrowed: borrowedMounts(room.store, asked.volumes_from),
    anonymousName: () => randomHex(),
    imageId: (reference) => lookUpImage(room.store, reference).row.id,
  });
  const spec: ContainerSpec = { ...asked, mounts: resolved.mounts };
  refuseLabels(spec.mounts);
  await room.volumes.plugins.adopt(namesWithoutDriver(resolved), operation);
  const wanted = newVolumesOf(room, resolved);
  await checkBindSources(spec.mounts);
  const id = randomHex();
  const name = givenName ?? id.slice(0, 12);
  using _locks = await room.locks.acquireAll(
    [containerNameLock(name), ...volumesOf(spec.mounts).map(volumeLock)],
    operation.signal,
  );
  refuseTakenName(room.store, name, "create");
  refuseUnfitVolumes(room, spec.mounts, resolved.volumes);
  const begun = await makeVolumes(room, { id, topLayer: image.top_layer, mounts: spec.mounts }, wanted, operation);
  try {
    await room.driver.prepare(rwLayerKey(id), image.top_layer ?? undefined, {
      ...limits,
      whenUsable: mounter && ((mounts) => mounter(id, spec, mounts)),
      alongside: (tx) => {
        // The images were found without their locks: they may have gone meanwhile.
        for (const imageId of [image.id, ...imagesOf(spec.mounts)]) {
          if (findImage(tx, imageId) !== undefined) continue;
          const shown = imageId === image.id ? spec.image : imageId;
          throw new LaminaError("NOT_FOUND", `Cannot create the container: image "${shown}" was just removed`);
        }
        insertContainer(tx, { id, name, imageId: image.id, spec, mountWanted: mounter !== undefined });
        if (begun !== undefined) finishVolumes(room, tx, begun);
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
  await undoVolumes(room, begunVolumesOf(intent));
}

/** Targets that the config of an image names as VOLUMEs. */
function volumesOfConfig(config: Uint8Array): string[] {
  const { config: process } = JSON.parse(new TextDecoder().decode(config)) as { config?: { Volumes?: unknown } | null };
  const volumes = process?.Volumes;
  if (typeof volumes !== "object" || volumes === null) return [];
  const targets = Object.keys(volumes);
  if (targets.length <= 1000 && targets.every((target) => target.length <= 4096 && !target.includes("\0"))) {
    return targets;
  }
  throw new LaminaError(
    "INVALID_ARGUMENT",
    "Cannot create the container: the image's VOLUMEs are too many or too long",
  );
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

function refuseLabels(mounts: readonly ContainerMount[]): void {
  const labelled = mounts.find((mount) => "relabel" in mount && mount.relabel !== undefined);
  if (labelled === undefined || !selinuxEnabled()) return;
  throw new LaminaError(
    "UNSUPPORTED",
    `Cannot create the container: the mount at ${labelled.target} asks for an SELinux label (z or Z), which Lamina does ` +
      "not set. Leave it out, and label the files with chcon",
    { details: { target: labelled.target } },
  );
}

/** Volumes by name only: a plugin may have them already. */
function namesWithoutDriver({ mounts, volumes }: ResolvedMounts): string[] {
  const anonymous = new Set(
    mounts.flatMap((mount) => mount.type === "volume" && mount.anonymous ? [mount.source] : []),
  );
  return [...volumes].filter(([name, wish]) => wish?.driver === undefined && !anonymous.has(name as VolumeName))
    .map(([name]) => name);
}

function imagesOf(mounts: readonly ContainerMount[]): string[] {
  return mounts.flatMap((mount) => mount.type === "image" ? [mount.image_id] : []);
}

function randomHex(): string {
  return crypto.getRandomValues(new Uint8Array(32)).toHex();
}
