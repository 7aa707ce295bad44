/** A volume as one archive: of one instant where that can be had, otherwise saying that it is not. */
import type { LocalCopies } from "../../drivers/volume/named/local/local_copies.ts";
import { kindOf } from "../../drivers/volume/named/local/local_place.ts";
import { isLaminaError } from "../core/errors.ts";
import type { VolumeConsistency } from "../core/model/volume.ts";
import type { Operation } from "../core/operation.ts";
import { onEnd } from "../core/streams.ts";
import type { BackupCompression } from "../core/specs/volume.ts";
import type { ByteStream, VolumeBackup } from "../services.ts";
import type { VolumeAccess } from "./volume_access.ts";
import { volumeLock, type VolumeRoom } from "./volume_room.ts";
import { mountedUsersOfVolume, namedVolume, type VolumeRow, volumeRow } from "./volume_rows.ts";

/** Where the files of a backup are, until they are read. */
interface Source extends AsyncDisposable {
  readonly path: string;
}

/**
 * Archives a volume with everything that belongs to its files. Used by mounted containers it is frozen first, where its
 * file system can do that; its lock is held until then, not until the archive is read.
 *
 * @throws `NOT_FOUND`, and what mounting throws.
 */
export async function backupVolume(
  room: VolumeRoom,
  parts: { readonly access: VolumeAccess; readonly copies: LocalCopies },
  name: string,
  options: { readonly compression: BackupCompression },
  operation: Operation,
): Promise<VolumeBackup> {
  const row = volumeRow(room.store, name);
  const users = [...mountedUsersOfVolume(room.store, name), ...parts.access.usersOf(name)];
  let source: Source, consistency: VolumeConsistency;
  const warnings: string[] = [];
  {
    using _lock = await room.locks.acquire(volumeLock(name), operation.signal);
    const frozen = users.length === 0 ? undefined : await freeze(room, parts.copies, row, operation);
    source = frozen ?? await mounted(parts.access, name, operation);
    consistency = frozen?.consistency ?? (users.length === 0 ? "unused" : "live");
  }
  if (consistency === "live") {
    warnings.push(
      `Volume "${name}" is in use (${users.slice(0, 3).join(", ")}) and its file system has no snapshots: files that ` +
        "change while they are read may not fit together. Stop what writes to it, or back up a volume on btrfs or xfs",
    );
  }
  const plain = counted(room.engine.tar({ kind: "tree", root: source.path, path: "/" }, operation), name, operation);
  const { compression } = options;
  const quiet = { ...operation, progress: () => {} };
  const bytes = compression === "none" ? plain : room.engine.compress(plain, compression, quiet);
  // Around everything: whoever gives up at any point ends the reading first, and then what was read goes.
  const stream = onEnd(bytes, async () => await source[Symbol.asyncDispose](), operation.signal);
  return { stream, consistency, warnings };
}

/** A frozen copy in the staging directory; `undefined` where blocks cannot be shared. */
async function freeze(
  room: VolumeRoom,
  copies: LocalCopies,
  row: VolumeRow,
  operation: Operation,
): Promise<(Source & { readonly consistency: VolumeConsistency }) | undefined> {
  if (row.driver !== "local") return undefined;
  const volume = namedVolume(row);
  if (!await copies.canShare(volume)) return undefined;
  const directory = await Deno.makeTempDir({ dir: room.layout.staging, prefix: "backup-" });
  const copy = `${directory}/copy`, shown = `${directory}/shown`;
  const sized = volume.options.size !== undefined;
  const remove = async () => {
    const undoing: Operation = { signal: AbortSignal.timeout(600_000), progress: () => {} };
    if (kindOf(shown) === "directory") await room.local.unmountPath(shown, undoing);
    await room.local.trees.remove(copy, { sized }, undoing);
    await room.engine.removeTree(directory, undoing);
  };
  try {
    const oneInstant = room.local.isFrozenAtOnce(volume);
    await copies.copy(volume, room.local.mountpoint(volume), copy, { copy: false, frozen: false }, operation);
    const isImage = kindOf(copy) === "file";
    if (isImage) {
      await Deno.mkdir(shown);
      await room.local.mountImage(copy, shown, operation);
    }
    return {
      path: isImage ? shown : copy,
      consistency: oneInstant ? "snapshot" : "copy",
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    await remove();
    if (isLaminaError(error, "UNSUPPORTED")) return undefined;
    throw error;
  }
}

/** The volume itself, mounted as long as it is read. */
async function mounted(access: VolumeAccess, name: string, operation: Operation): Promise<Source> {
  const user = { id: `backup-${crypto.randomUUID()}`, name: "a backup" };
  const path = (await access.acquire(user, [name], operation, { hold: true })).get(name)!;
  return {
    path,
    [Symbol.asyncDispose]: () => access.release(user.id, { signal: AbortSignal.timeout(60_000), progress: () => {} }),
  };
}

function counted(stream: ByteStream, id: string, operation: Operation): ByteStream {
  let current = 0;
  return stream.pipeThrough(
    new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform(chunk, controller) {
        current += chunk.length;
        operation.progress({ phase: "backup", id, current });
        controller.enqueue(chunk);
      },
    }),
  );
}
