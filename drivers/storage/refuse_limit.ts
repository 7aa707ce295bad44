/** A limit is enforced or refused, never ignored. */
import { LaminaError } from "../../runtime/core/errors.ts";
import type { SnapshotKey } from "../../runtime/core/ids.ts";
import type { StorageDriver } from "./port.ts";

/**
 * Refuses what a driver cannot enforce.
 *
 * @throws `UNSUPPORTED` that says why, as far as the driver's status does.
 */
export function refuseLimit(
  driver: Pick<StorageDriver, "name" | "capabilities" | "status">,
  key: SnapshotKey,
  size_bytes: number | undefined,
  inodes?: number,
): void {
  const { quota, inodeQuota } = driver.capabilities;
  const bytesRefused = size_bytes !== undefined && !quota;
  if (!bytesRefused && (inodes === undefined || inodeQuota === true)) return;
  const why = driver.status.quota === undefined ? "" : ` (${driver.status.quota})`;
  throw new LaminaError(
    "UNSUPPORTED",
    `Cannot limit snapshot "${key}" to ${bytesRefused ? `${size_bytes} bytes` : `${inodes} inodes`}: the storage ` +
      `driver ${driver.name} cannot enforce that here${why}. Leave the limit out, or use a driver or file system with quotas`,
  );
}
