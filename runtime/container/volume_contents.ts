/**
 * The data directory of a volume as copy-up sees it: empty or not, and filled so that a crash never leaves half of it.
 *
 * A volume that others may have mounted is filled in place, because its directory must stay the same: the copy is made
 * below it as {@linkcode COPYING}, synced, renamed to {@linkcode COPIED}, and then moved up entry by entry. Whatever was
 * renamed is complete, so that {@linkcode finishFilling} can go on after a crash.
 */
import { join } from "@std/path/posix";
import { copyRootAttributes } from "../../drivers/storage/root_attributes.ts";
import type { LayerEngine } from "../../drivers/storage/layer/engine.ts";
import { byteStringFromText } from "../core/bytes.ts";
import type { Operation } from "../core/operation.ts";
import { renameDurably, syncDirectory } from "../host/durable.ts";
import { hostError } from "../host/errno_errors.ts";
import { faultPoint } from "../host/faults.ts";
import { closeFd, openDirectoryAt, readDirectory, statxAtIfPresent } from "../host/fs_calls.ts";
import { type FileTime, renameNewAt, setTimesFd } from "../host/fs_change_calls.ts";
import { isErrno } from "../host/libc.ts";
import { AT_FDCWD } from "../host/openat2.ts";
import type { Reader, Transaction } from "../store/store.ts";

const COPYING = ".lamina-copy-up";
const COPIED = ".lamina-copied";
/** What a fresh file system has of its own. */
const NOTHING: ReadonlySet<string> = new Set(["lost+found", COPYING, COPIED]);

/** Whether nobody has put anything into a volume. */
export function isEmptyVolume(data: string): boolean {
  try {
    for (const { name } of Deno.readDirSync(data)) if (!NOTHING.has(name)) return false;
    return true;
  } catch (error) {
    throw hostError(error, `Cannot look into the volume at ${data}`);
  }
}

/** Copies the directory `source`, its own attributes included, into the empty volume at `data`. Durable. */
export async function fillVolume(
  engine: LayerEngine,
  source: string,
  data: string,
  operation: Operation,
): Promise<void> {
  const copying = join(data, COPYING);
  await engine.removeTree(copying, operation);
  await engine.copyTree(source, copying, operation);
  faultPoint("container.copy_up_staged");
  await renameDurably(copying, join(data, COPIED));
  faultPoint("container.copy_up_complete");
  await finishFilling(engine, data, operation);
}

/** Goes on with a copy that was complete, and deletes one that was not. */
export async function finishFilling(engine: LayerEngine, data: string, operation: Operation): Promise<void> {
  await engine.removeTree(join(data, COPYING), operation);
  const time = moveUp(data);
  if (time === undefined) return;
  copyRootAttributes(join(data, COPIED), data);
  await syncDirectory(data);
  faultPoint("container.copy_up_moved");
  // Not empty only where somebody was faster with one of the names: what they have stays, the image's goes.
  await engine.removeTree(join(data, COPIED), operation);
  setTime(data, time);
  await syncDirectory(data);
}

function setTime(directory: string, time: FileTime): void {
  const fd = openDirectoryAt(AT_FDCWD, byteStringFromText(directory));
  try {
    setTimesFd(fd, time);
  } finally {
    closeFd(fd);
  }
}

/** @returns when the original's top was last modified; undefined: there is no complete copy. */
function moveUp(data: string): FileTime | undefined {
  const top = openDirectoryAt(AT_FDCWD, byteStringFromText(data));
  try {
    const name = byteStringFromText(COPIED);
    const status = statxAtIfPresent(top, name);
    if (status?.type !== "directory") return undefined;
    const copied = openDirectoryAt(top, name);
    try {
      for (const entry of readDirectory(copied)) {
        try {
          renameNewAt(copied, entry, top, entry);
        } catch (error) {
          if (!isErrno(error, "EEXIST", "ENOTEMPTY")) throw error;
        }
      }
    } finally {
      closeFd(copied);
    }
    return { s: status.mtime_s, ns: status.mtime_ns };
  } catch (error) {
    throw hostError(error, `Cannot move what was copied into the volume at ${data}`);
  } finally {
    closeFd(top);
  }
}

/** Whether some container has filled the volume before: then it is never filled again, empty or not. */
export function isFilled(reader: Reader, volume: string): boolean {
  return reader.get("SELECT 1 FROM volume_contents WHERE volume = ?", volume) !== undefined;
}

/** Notes that a volume has what the image had. */
export function setFilled(tx: Transaction, volume: string): void {
  tx.run("INSERT OR IGNORE INTO volume_contents (volume) VALUES (?)", volume);
}
