/** Changes how much an existing container may take. */
import { LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { ContainerUpdate } from "../core/specs/container.ts";
import type { ContainerRoom } from "./container_room.ts";
import { type ContainerRow, rwLayerKey, specOf } from "./container_rows.ts";
import { rwLimits } from "./storage_options.ts";

/**
 * Gives the RW layer another limit. The limit, the snapshot's row and the container's spec change in one commit.
 *
 * @throws `INVALID_ARGUMENT` (less than it takes already, an option that cannot be changed), `UNSUPPORTED`.
 */
export async function updateContainer(
  { driver, events }: ContainerRoom,
  row: ContainerRow,
  { storage_options: asked }: ContainerUpdate,
  operation: Operation,
): Promise<void> {
  const attempted = `Cannot update container "${row.name}"`;
  const other = Object.keys(asked).find((option) => option !== "size");
  if (other !== undefined || asked.size === undefined) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `${attempted}: ${
        other === undefined ? "nothing is to be changed" : `${JSON.stringify(other.slice(0, 80))} cannot be changed`
      }. Give --storage-opt size=…`,
    );
  }
  const { size_bytes } = rwLimits(asked, driver, attempted);
  const spec = specOf(row);
  const changed = { ...spec, storage_options: { ...spec.storage_options, size: asked.size } };
  await driver.setLimit(rwLayerKey(row.id), size_bytes!, operation, {
    alongside: (tx) => void tx.run("UPDATE containers SET spec = ? WHERE id = ?", JSON.stringify(changed), row.id),
  });
  const { id, name } = row;
  events.emit({ kind: "container", action: "update", id, name, attributes: { size: asked.size } });
}
