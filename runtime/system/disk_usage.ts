/** Who takes how much of the disk. */
import type { Operation } from "../core/operation.ts";
import type { DiskUsage } from "../core/specs/system.ts";
import { isLaminaError } from "../core/errors.ts";
import type { SnapshotKey } from "../core/ids.ts";
import type { StorageDriver } from "../../drivers/storage/port.ts";
import { readyContainerRows, rwLayerKey } from "../container/container_rows.ts";
import { fileSystemStatus } from "../host/disk.ts";
import { listImages } from "../image/list_images.ts";
import { readyVolumeRows, usersOfVolumes, type VolumeRow } from "../volume/volume_rows.ts";
import type { SystemRoom } from "./system_room.ts";

interface TreeSize {
  readonly size_bytes: number;
  readonly inodes: number;
}

/** What `df` shows. RW layers and volumes are measured now, layers when they were made. */
export async function diskUsage(room: SystemRoom, operation: Operation): Promise<DiskUsage> {
  const { store, layout, driver } = room.containers;
  const status = fileSystemStatus(layout.root);
  const containers = [];
  for (const row of readyContainerRows(store)) {
    const key = rwLayerKey(row.id);
    const { size_bytes, inodes } = await sizeOf(driver.usage(key, operation));
    containers.push({ name: row.name, rw_bytes: size_bytes, rw_inodes: inodes, ...await limitsOf(driver, key) });
  }
  const users = usersOfVolumes(store);
  const volumes = [];
  for (const row of readyVolumeRows(store)) {
    volumes.push({
      name: row.name,
      ...await volumeSpace(room, row, operation),
      used_by: users.get(row.name)?.length ?? 0,
    });
  }
  const unusedVolumes_bytes = volumes.filter(({ used_by }) => used_by === 0).reduce((sum, v) => sum + v.size_bytes, 0);
  return {
    filesystem: {
      total_bytes: status.total_bytes,
      used_bytes: status.used_bytes,
      available_bytes: status.available_bytes,
      inodes: status.totalInodes,
      inodes_available: status.freeInodes,
    },
    images: listImages(store).map(({ id, references, size_bytes, unique_bytes }) => ({
      id,
      references,
      size_bytes,
      unique_bytes,
    })),
    layers_bytes: sumOfLayers(room, "1"),
    containers,
    volumes,
    reclaimable_bytes: unusedVolumes_bytes + sumOfLayers(
      room,
      "chain_id NOT IN (SELECT chain_id FROM image_layers JOIN containers USING (image_id))",
    ),
  };
}

async function limitsOf(
  driver: StorageDriver,
  key: SnapshotKey,
): Promise<Pick<DiskUsage["containers"][number], "limit_bytes" | "limit_inodes">> {
  try {
    const { limit_bytes, limit_inodes } = await driver.stat(key);
    return {
      ...(limit_bytes === undefined ? {} : { limit_bytes }),
      ...(limit_inodes === undefined ? {} : { limit_inodes }),
    };
  } catch (error) {
    if (isLaminaError(error, "NOT_FOUND")) return {};
    throw error;
  }
}

/** What went while we looked, or a plugin does not tell now, takes nothing. */
async function volumeSpace(
  room: SystemRoom,
  row: VolumeRow,
  operation: Operation,
): Promise<TreeSize & { limit_bytes?: number }> {
  try {
    const { driver, volume } = room.containers.volumes.find(row);
    const space = await driver.usage?.(volume, operation);
    return {
      size_bytes: space?.used_bytes ?? 0,
      inodes: space?.inodes_used ?? 0,
      ...(space?.capacity_bytes === undefined ? {} : { limit_bytes: space.capacity_bytes }),
    };
  } catch (error) {
    operation.signal.throwIfAborted();
    if (row.driver === "local" && !isLaminaError(error, "NOT_FOUND")) throw error;
    return { size_bytes: 0, inodes: 0 };
  }
}

/** What went while we looked takes nothing. */
async function sizeOf(measuring: Promise<TreeSize>): Promise<TreeSize> {
  try {
    const { size_bytes, inodes } = await measuring;
    return { size_bytes, inodes };
  } catch (error) {
    if (isLaminaError(error, "NOT_FOUND")) return { size_bytes: 0, inodes: 0 };
    throw error;
  }
}

function sumOfLayers(room: SystemRoom, condition: string): number {
  return room.containers.store.get<{ bytes: number }>(
    `SELECT coalesce(sum(size_bytes), 0) AS bytes FROM layers WHERE ${condition}`,
  )!.bytes;
}
