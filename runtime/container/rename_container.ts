/** A container gets another name. */
import { LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { Reader } from "../store/store.ts";
import { containerNameLock, type ContainerRoom } from "./container_room.ts";
import type { ContainerRow } from "./container_rows.ts";

/**
 * Renames a container, mounted or not; the caller holds its lock. Its own name again is success.
 *
 * @throws `ALREADY_EXISTS`
 */
export async function renameContainer(
  room: ContainerRoom,
  row: ContainerRow,
  name: string,
  operation: Operation,
): Promise<ContainerRow> {
  if (name === row.name) return row;
  using _lock = await room.locks.acquire(containerNameLock(name), operation.signal);
  refuseTakenName(room.store, name, "rename");
  await room.store.write((tx) => tx.run("UPDATE containers SET name = ? WHERE id = ?", name, row.id));
  room.events.emit({ kind: "container", action: "rename", id: row.id, name, attributes: { old_name: row.name } });
  return { ...row, name };
}

/** @throws `ALREADY_EXISTS` naming who has it. */
export function refuseTakenName(reader: Reader, name: string, attempted: "create" | "rename"): void {
  const taken = reader.get<{ id: string }>("SELECT id FROM containers WHERE name = ?", name);
  if (taken === undefined) return;
  const what = attempted === "create" ? `create container "${name}"` : `rename a container to "${name}"`;
  throw new LaminaError(
    "ALREADY_EXISTS",
    `Cannot ${what}: ${taken.id.slice(0, 12)} has that name. Remove it or choose another name`,
    { details: { name, holder: taken.id } },
  );
}
