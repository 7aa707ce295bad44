/** An image archive that lies unpacked in a directory. */
import { join } from "@std/path/posix";
import type { FileRange } from "../../../drivers/storage/layer/types.ts";
import { LaminaError } from "../../core/errors.ts";
import { type ArchiveFiles, archivePath } from "./archive_files.ts";

/** Files of a directory. Links inside it are followed as long as they stay inside. */
export async function openDirectoryFiles(path: string): Promise<ArchiveFiles> {
  const top = await Deno.realPath(path);

  async function find(name: string): Promise<FileRange | undefined> {
    const relative = archivePath(name);
    if (relative === undefined) throw leadsOut(name);
    let real: string;
    try {
      real = await Deno.realPath(join(top, relative));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
      throw error;
    }
    // The bytes are checked against their digest later on; this is so that no message tells of files elsewhere.
    if (!real.startsWith(top === "/" ? "/" : `${top}/`)) throw leadsOut(name);
    const info = await Deno.lstat(real);
    if (!info.isFile) {
      throw new LaminaError("INVALID_ARGUMENT", `Cannot use ${path}: "${relative}" in it is no regular file`);
    }
    return { path: real, offset_bytes: 0, length_bytes: info.size };
  }

  function leadsOut(name: string): LaminaError {
    return new LaminaError("INVALID_ARGUMENT", `Cannot use ${path}: "${name}" in it leads out of the directory`);
  }

  async function topNames(): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const entry of Deno.readDir(top)) {
      names.push(entry.name);
      if (names.length >= 100_000) break;
    }
    return names.sort();
  }

  return { label: path, find, topNames };
}
