/** Clients of the volume plugin: they have volumes mounted, by an id of theirs, also over a restart of the daemon. */
import { LaminaError, messageOf } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import { hashText } from "./manager/hash_text.ts";
import type { VolumeAccess, VolumeUser } from "./volume_access.ts";
import { volumeLock, type VolumeRoom } from "./volume_room.ts";
import { volumeRow } from "./volume_rows.ts";

const LONGEST_ID = 256;

/** See the head of the file. */
export class VolumeClients {
  readonly #room: VolumeRoom;
  readonly #access: VolumeAccess;

  constructor(room: VolumeRoom, access: VolumeAccess) {
    this.#room = room;
    this.#access = access;
  }

  /** Notes the use before the volume is mounted: whatever a crash leaves, a mount never lacks its user. */
  async mount(name: string, client: string, operation: Operation): Promise<string> {
    checkId(client);
    using _lock = await this.#room.locks.acquire(volumeLock(name), operation.signal);
    volumeRow(this.#room.store, name);
    const { changes } = await this.#room.store.write((tx) =>
      tx.run("INSERT OR IGNORE INTO volume_users (volume, kind, id) VALUES (?, 'plugin', ?)", name, client)
    );
    try {
      const paths = await this.#access.acquire(user(client, name), [name], operation);
      return paths.get(name)!;
    } catch (error) {
      if (changes > 0) await this.#forget(name, client);
      throw error;
    }
  }

  /** See `VolumeService.unmount`. */
  async unmount(name: string, client: string, operation: Operation): Promise<void> {
    checkId(client);
    using _lock = await this.#room.locks.acquire(volumeLock(name), operation.signal);
    volumeRow(this.#room.store, name);
    await this.#access.release(user(client, name).id, operation);
    await this.#forget(name, client);
  }

  async #forget(name: string, client: string): Promise<void> {
    await this.#room.store.write(
      (tx) => tx.run("DELETE FROM volume_users WHERE volume = ? AND kind = 'plugin' AND id = ?", name, client),
      { frees: true },
    );
  }
}

/** After a start: clients still have what they had. What cannot be mounted now is told as an event and stays theirs. */
export async function rememberClients(room: VolumeRoom, access: VolumeAccess, operation: Operation): Promise<void> {
  const rows = room.store.all<{ volume: string; id: string }>(
    "SELECT volume, id FROM volume_users ORDER BY volume, id",
  );
  for (const { volume, id } of rows) {
    try {
      await access.acquire(user(id, volume), [volume], operation);
    } catch (error) {
      operation.signal.throwIfAborted();
      room.events.emit({
        kind: "volume",
        action: "mount_failed",
        id: volume,
        name: volume,
        attributes: { client: id, message: messageOf(error) },
      });
    }
  }
}

/** A user for each volume: clients come for one, and go, without a word about their others. */
function user(client: string, volume: string): VolumeUser {
  return { id: `plugin-${hashText(`${volume}/${client}`)}`, name: `plugin ${client}` };
}

function checkId(client: string): void {
  // deno-lint-ignore no-control-regex
  if (client !== "" && client.length <= LONGEST_ID && !/[\x00-\x1f\x7f]/.test(client)) return;
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot mount the volume for this client: its id must have 1 to ${LONGEST_ID} characters, none of them a control ` +
      "character",
  );
}
