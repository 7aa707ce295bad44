/** The mounts that a container gets from others: `volumes_from`. */
import { parseVolumesFrom } from "../core/volume_flag.ts";
import type { Reader } from "../store/store.ts";
import { lookUpContainer, specOf } from "./container_rows.ts";
import type { BorrowedMounts } from "./resolve_mounts.ts";

/** In the order given. @throws `NOT_FOUND` (container), `INVALID_ARGUMENT` (mode) */
export function borrowedMounts(reader: Reader, volumesFrom: readonly string[]): BorrowedMounts[] {
  return volumesFrom.map((text) => {
    const { container, read_only } = parseVolumesFrom(text);
    return { mounts: specOf(lookUpContainer(reader, container)).mounts, read_only };
  });
}
