/** What lies beside a provisioned volume or snapshot: `volume.json`, written before the directory gets its name. */
import { join } from "@std/path/posix";
import * as z from "zod";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { writeFileDurably } from "../../../runtime/host/durable.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import type { SizedUsage } from "../sized/port.ts";

const RECORD_FILE = "volume.json";

const Record = z.object({
  format: z.literal(1),
  /** `snapshot`: nobody writes to it. */
  kind: z.enum(["volume", "snapshot"]),
  backing: z.enum(["quota", "btrfs", "image"]),
  fs_type: z.enum(["ext4", "xfs", "none"]),
  /** What was promised. Of a snapshot: what a volume made of it must have at least. */
  size_bytes: z.number(),
  /** More may be promised than there is. */
  overprovision: z.boolean(),
  /**
   * Its blocks are shared with others: what it may still take when these, or it, are written to. Absent: it shares
   * none, and takes its size less what it has.
   */
  shared_bytes: z.number().optional(),
});
/** See the head of the file. */
export type VolumeRecord = z.infer<typeof Record>;

/** Where the tree of a volume is, in the volume's directory. */
export function treeOf(directory: string, { backing }: Pick<VolumeRecord, "backing">): string {
  return join(directory, backing === "image" ? "image" : "data");
}

/** Replaces it durably. */
export async function writeRecord(directory: string, record: VolumeRecord): Promise<void> {
  await writeFileDurably(join(directory, RECORD_FILE), JSON.stringify(record, undefined, 2) + "\n");
}

/** `undefined`: there is no such directory, or nothing of ours in it. @throws `DATA_LOSS` when it makes no sense. */
export async function readRecord(directory: string): Promise<VolumeRecord | undefined> {
  const path = join(directory, RECORD_FILE);
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return undefined;
    throw hostError(error, `Cannot read ${path}`, { path });
  }
  try {
    return Record.parse(JSON.parse(text));
  } catch (error) {
    throw new LaminaError(
      "DATA_LOSS",
      `Cannot use the volume in ${directory}: ${path} is damaged. Restore it, or move the directory elsewhere`,
      { cause: error, details: { path } },
    );
  }
}

/** What a volume may still take of the disk because it was promised. Pure. */
export function promised_bytes(record: VolumeRecord, { allocated_bytes }: SizedUsage): number {
  if (record.overprovision) return 0;
  return record.shared_bytes ?? Math.max(0, record.size_bytes - allocated_bytes);
}
