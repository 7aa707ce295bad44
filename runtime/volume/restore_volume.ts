/** A volume gets the content of an archive, in one step: it has all of it, or what it had before. */
import { decompressed, foundCompression, MAGIC_BYTES, streamOf } from "../../drivers/storage/layer/byte_streams.ts";
import type { TarStream } from "../../drivers/storage/layer/types.ts";
import { prepareImageRoot } from "../../drivers/volume/named/local/local_driver.ts";
import { planLocal } from "../../drivers/volume/named/local/local_options.ts";
import { kindOf } from "../../drivers/volume/named/local/local_place.ts";
import { byteStringFromText } from "../core/bytes.ts";
import { LaminaError } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import { withDirectory } from "../host/btrfs_calls.ts";
import { syncDirectory } from "../host/durable.ts";
import { hostError } from "../host/errno_errors.ts";
import { faultPoint } from "../host/faults.ts";
import { exchangeAt } from "../host/fs_change_calls.ts";
import { beginIntent, endIntent, type Intent } from "../store/journal.ts";
import { assertLocal, refuseUsed, type VolumeRoom } from "./volume_room.ts";
import { findVolumeRow, mountedUsersOfVolume, namedVolume, type VolumeRow } from "./volume_rows.ts";

/** What a restore may do to a volume that exists. */
export interface RestoreOptions {
  /** Replace what is in it, and do so although containers use it, as long as none is mounted. */
  readonly force: boolean;
}

/**
 * Replaces what a volume holds; the caller holds its lock, and has it unmounted.
 *
 * @param users Who uses it, on record or now.
 * @throws `CONFLICT` (in use, not empty), `UNSUPPORTED` (its data lies elsewhere), `INVALID_ARGUMENT` (truncated,
 * malformed or hostile archive), `RESOURCE_EXHAUSTED`; the volume is as it was then.
 */
export async function restoreVolume(
  room: VolumeRoom,
  row: VolumeRow,
  users: readonly string[],
  archive: TarStream,
  options: RestoreOptions,
  operation: Operation,
): Promise<void> {
  const attempted = `Cannot restore volume "${row.name}"`;
  assertLocal(attempted, row);
  const volume = namedVolume(row);
  if (planLocal(volume).kind === "mount") {
    throw new LaminaError(
      "UNSUPPORTED",
      `${attempted}: its data is on what its options name, and cannot be replaced in one step. Restore into a volume ` +
        "without type and device, or unpack the archive there yourself",
    );
  }
  await refuse(room, row, users, options, attempted, operation);
  const intent = await room.store.write((tx) => beginIntent(tx, "volume.restore", row.name, {}));
  faultPoint("volume.restore_begun");
  try {
    await room.local.makeNext(volume, operation);
    await fillNext(room, row, archive, operation);
    faultPoint("volume.restore_unpacked");
    await swap(room, row);
    faultPoint("volume.restore_swapped");
  } catch (error) {
    await recoverRestore(room, intent, { signal: AbortSignal.timeout(600_000), progress: () => {} });
    throw hostError(error, attempted);
  }
  await recoverRestore(room, intent, operation);
  room.events.emit({ kind: "volume", action: "restore", id: row.name, name: row.name });
}

/** What is called `next` is, before the exchange, not whole, and after it what was replaced. */
export async function recoverRestore(room: VolumeRoom, intent: Intent, operation: Operation): Promise<void> {
  const row = findVolumeRow(room.store, intent.object);
  if (row !== undefined) {
    const volume = namedVolume(row);
    const { next } = room.local.place(volume);
    await room.local.trees.remove(next, { sized: planLocal(volume).kind === "sized" }, operation);
  }
  await room.store.write((tx) => endIntent(tx, intent), { frees: true });
}

/** Unpacks an archive, compressed or not, into a directory. @throws as {@linkcode restoreVolume}; what came so far is there then */
export async function unpackArchive(
  room: VolumeRoom,
  name: string,
  directory: string,
  archive: TarStream,
  operation: Operation,
): Promise<void> {
  const reader = archive.getReader();
  const head = await firstBytes(reader, operation.signal);
  if (head.length === 0) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `The archive for volume "${name}" is empty: it ends before its first byte`,
    );
  }
  let read_bytes = 0;
  const all = async function* () {
    try {
      yield head;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        read_bytes += value.length;
        operation.progress({ phase: "restore", id: name, current: head.length + read_bytes });
        yield value;
      }
    } finally {
      await reader.cancel().catch(() => {});
    }
  };
  const compression = foundCompression(head, "the archive");
  const plain = compression === "none" ? all() : decompressed(all(), compression, "the archive");
  const stream = streamOf(plain, { signal: operation.signal });
  await room.engine.unpackInto({ stream, root: directory, path: "/" }, operation);
}

async function firstBytes(
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  while (length < MAGIC_BYTES) {
    signal.throwIfAborted();
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
  }
  const head = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    head.set(chunk, at);
    at += chunk.length;
  }
  return head;
}

async function refuse(
  room: VolumeRoom,
  row: VolumeRow,
  users: readonly string[],
  { force }: RestoreOptions,
  attempted: string,
  operation: Operation,
): Promise<void> {
  const mounted = mountedUsersOfVolume(room.store, row.name);
  if (mounted.length > 0) {
    throw new LaminaError(
      "CONFLICT",
      `${attempted}: container "${mounted[0]}" has it mounted. Unmount the container first`,
      { details: { volume: row.name, used_by: mounted.slice(0, 100) } },
    );
  }
  if (!force) refuseUsed(attempted, row.name, users);
  room.local.refuseMounts(namedVolume(row));
  if (force || await isEmpty(room, row, operation)) return;
  throw new LaminaError(
    "CONFLICT",
    `${attempted}: it is not empty, and a restore replaces all that it holds. --force does that`,
    { details: { volume: row.name } },
  );
}

async function isEmpty(room: VolumeRoom, row: VolumeRow, operation: Operation): Promise<boolean> {
  const place = room.local.place(row);
  const nothingIn = (path: string) => {
    try {
      for (const _ of Deno.readDirSync(path)) return false;
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return true;
      throw hostError(error, `Cannot look into volume "${row.name}"`);
    }
  };
  if (!place.isImage) return nothingIn(place.data);
  await room.local.mountImage(place.image, place.data, operation);
  try {
    return nothingIn(place.data);
  } finally {
    await room.local.unmountPath(place.data, operation);
  }
}

async function fillNext(room: VolumeRoom, row: VolumeRow, archive: TarStream, operation: Operation): Promise<void> {
  const { next } = room.local.place(row);
  if (kindOf(next) === "directory") return await unpackArchive(room, row.name, next, archive, operation);
  // In the staging directory, which every start unmounts and empties.
  const target = await Deno.makeTempDir({ dir: room.layout.staging, prefix: "restore-" });
  try {
    await room.local.mountImage(next, target, operation);
    try {
      await prepareImageRoot(target);
      await unpackArchive(room, row.name, target, archive, operation);
    } finally {
      await room.local.unmountPath(target, { ...operation, signal: AbortSignal.timeout(120_000) });
    }
  } finally {
    await Deno.remove(target);
  }
}

/** The only step that anybody can see. */
async function swap(room: VolumeRoom, row: VolumeRow): Promise<void> {
  const { directory, isImage } = room.local.place(row);
  await syncDirectory(directory);
  await withDirectory(byteStringFromText(directory), (fd) => {
    exchangeAt(fd, byteStringFromText(isImage ? "image" : "_data"), byteStringFromText("next"));
  });
  await syncDirectory(directory);
}
