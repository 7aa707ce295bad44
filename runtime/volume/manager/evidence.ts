/**
 * What of the mount table a failure has to do with: somebody else's mount in the way, or upon it. When that changes, the
 * next try comes at once instead of after its backoff.
 */
import type { LaminaError } from "../../core/errors.ts";
import { mountsBelow } from "../../core/mountinfo.ts";
import type { ActualWorld, Place } from "./actual_world.ts";
import type { ManagerRoom } from "./manager_room.ts";
import type { PlannedOperation } from "./states.ts";

interface Worlds {
  readonly room: Pick<ManagerRoom, "host">;
  readonly actual: ActualWorld;
}

/** Absent: the failure has nothing to do with mounts. */
export function evidenceOf(error: LaminaError, planned: PlannedOperation, worlds: Worlds): string | undefined {
  if (error.code !== "CONFLICT") return undefined;
  return mountsAround(planned, worlds);
}

/** The mounts at and below the paths of the operation's volume or device, and those of the same device elsewhere. */
export function mountsAround(planned: Pick<PlannedOperation, "volume" | "device">, worlds: Worlds): string | undefined {
  const { actual, room } = worlds;
  const entry = planned.device !== undefined
    ? actual.devices.get(planned.device)
    : actual.volumes.get(planned.volume ?? "");
  if (entry === undefined) return undefined;
  const table = room.host.mountTable();
  const seen = entry.places.map((place: Place) => place.seen).filter((place) => place !== undefined);
  const around = [
    ...mountsBelow(table, entry.path),
    ...table.filter(({ device, root }) => seen.some((place) => place.device === device && place.root === root)),
  ];
  return around.map(({ id, target }) => `${id} ${target}`).join("\n");
}
