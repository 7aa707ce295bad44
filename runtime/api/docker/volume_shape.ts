/** Volumes in Docker's shape. Pure. */
import type { Volume } from "../../core/model/volume.ts";
import { toTheSecond } from "./times.ts";

/** Use of a volume, only in `GET /system/df`. */
export interface VolumeUsage {
  readonly size_bytes: number;
  readonly users: number;
}

/** A volume as `GET /volumes` shows it. */
export function dockerVolume(volume: Volume, usage?: VolumeUsage): Record<string, unknown> {
  return {
    ...(volume.created_at === undefined ? {} : { CreatedAt: toTheSecond(volume.created_at) }),
    Driver: volume.driver,
    Labels: orNull(volume.labels),
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: orNull(volume.options),
    Scope: volume.scope,
    ...(volume.status === undefined ? {} : { Status: volume.status }),
    ...(usage === undefined ? {} : { UsageData: { Size: usage.size_bytes, RefCount: usage.users } }),
  };
}

/** Docker says null where there is nothing. */
function orNull(map: Readonly<Record<string, string>>): Readonly<Record<string, string>> | null {
  return Object.keys(map).length === 0 ? null : map;
}
