/** Looks for what no workload has in the volume manager's directories: directories and mounts that a row once named. */
import { dirname, join } from "@std/path/posix";
import { mountsBelow } from "../core/mountinfo.ts";
import type { Operation } from "../core/operation.ts";
import type { RootLayout } from "../core/root_layout.ts";
import { readMountTable } from "../host/mount_table.ts";
import type { Mounter } from "../host/mounter.ts";
import type { CurableFinding } from "./finding.ts";

/** What the check needs. */
export interface WorkloadCheckRoom {
  readonly layout: RootLayout;
  readonly mounter: Mounter;
  /** Whether the manager has, or wants, something in a directory directly below `ROOT/pods` or `ROOT/plugins/PLUGIN`. */
  readonly owns: (path: string) => boolean;
}

/** The findings. Repair unmounts and removes empty directories; nothing that holds a file is touched. */
export async function checkWorkloads(room: WorkloadCheckRoom, operation: Operation): Promise<CurableFinding[]> {
  const { pods, plugins } = room.layout;
  const places = await namesIn(pods);
  for (const plugin of await namesIn(plugins)) places.push(...await namesIn(plugin));
  return places.filter((path) => !room.owns(path)).map((path) => ({
    kind: "orphan-directory",
    object: path,
    message: "It belongs to no workload. Repair unmounts what is mounted there and removes what is empty",
    repair: () => clear(room, path, operation),
  }));
}

async function clear({ layout, mounter }: WorkloadCheckRoom, path: string, operation: Operation): Promise<void> {
  const mounts = mountsBelow(readMountTable(), path).map(({ target }) => target);
  await mounter.unmount(mounts.reverse(), { signal: operation.signal });
  await removeEmpty(path);
  const above = dirname(path);
  if (above !== layout.pods && (await namesIn(above)).length === 0) await Deno.remove(above);
}

/** Directories only, from the inside out. @throws where one holds something else: it stays. */
async function removeEmpty(path: string): Promise<void> {
  for await (const entry of Deno.readDir(path)) if (entry.isDirectory) await removeEmpty(join(path, entry.name));
  await Deno.remove(path);
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(directory))).map(({ name }) => join(directory, name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw error;
  }
}
