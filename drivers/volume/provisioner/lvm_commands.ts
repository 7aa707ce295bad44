/** lvm(8): what there is, and changes, with its failures in Lamina's codes. */
import * as z from "zod";
import { type ErrorCode, LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { runCommand } from "../../../runtime/host/command.ts";

const number = z.string().transform((text) => text === "" ? 0 : Number(text)).pipe(z.number());

const Report = z.object({
  report: z.array(z.object({
    lv: z.array(z.object({
      lv_name: z.string(),
      lv_size: number,
      lv_tags: z.string().transform((text) => text.split(",").filter(Boolean)),
      pool_lv: z.string(),
      data_percent: number,
      lv_path: z.string(),
      segtype: z.string(),
    })),
  })).min(1),
});
const FIELDS = "lv_name,lv_size,lv_tags,pool_lv,data_percent,lv_path,segtype";

/** One logical volume. */
export interface LogicalVolume {
  readonly name: string;
  readonly size_bytes: number;
  readonly tags: readonly string[];
  /** Name of its thin pool; empty for none. */
  readonly pool: string;
  /** How much of it has been given blocks of the pool; of a pool: how much is used. */
  readonly used_bytes: number;
  /** `/dev/VG/LV`; empty for one without a device. */
  readonly path: string;
  readonly is_pool: boolean;
}

/** The output of `lvs --reportformat json`. Pure. @throws `INTERNAL` */
export function parseVolumes(text: string): LogicalVolume[] {
  const parsed = Report.safeParse(JSON.parse(text));
  if (!parsed.success) {
    throw new LaminaError("INTERNAL", `lvs reports what nobody understands: ${parsed.error.message}`);
  }
  return parsed.data.report.flatMap(({ lv }) => lv).map((lv) => ({
    name: lv.lv_name,
    size_bytes: lv.lv_size,
    tags: lv.lv_tags,
    pool: lv.pool_lv,
    used_bytes: Math.round(lv.lv_size * lv.data_percent / 100),
    path: lv.lv_path,
    is_pool: lv.segtype === "thin-pool",
  }));
}

/** All logical volumes of a group. @throws `NOT_FOUND` (no such group), `UNSUPPORTED` (no lvm2). */
export async function listVolumes(group: string, operation: Operation): Promise<LogicalVolume[]> {
  const args = ["--reportformat", "json", "--units", "b", "--nosuffix", "-o", FIELDS, group];
  return parseVolumes(await lvm("lvs", args, `Cannot read the volume group ${group}`, operation));
}

const MEANINGS: readonly (readonly [RegExp, ErrorCode])[] = [
  [
    /insufficient free space|not enough free|exceeds.*size of|free space in volume group|out of data space/i,
    "RESOURCE_EXHAUSTED",
  ],
  [/not found|failed to find/i, "NOT_FOUND"],
  [/in use|is used by|contains a filesystem/i, "CONFLICT"],
  [/already exists/i, "ALREADY_EXISTS"],
];

/** Runs one of lvm's commands. @returns its output. */
export async function lvm(
  program: string,
  args: readonly string[],
  attempted: string,
  { signal }: Operation,
): Promise<string> {
  let result;
  try {
    result = await runCommand(program, ["-q", ...args], { signal });
  } catch (error) {
    if (!(error instanceof LaminaError) || error.code !== "UNSUPPORTED") throw error;
    throw new LaminaError("UNSUPPORTED", `${attempted}: ${program} is missing. Install the package lvm2`, {
      cause: error,
    });
  }
  if (result.code === 0) return result.stdout;
  const found = result.stderr.trim().split("\n").map((line) => line.trim()).filter((line) => !/^WARNING/.test(line));
  const text = found.join("; ").slice(0, 500) || `${program} ended with status ${result.code}`;
  const code = MEANINGS.find(([pattern]) => pattern.test(text))?.[1] ?? "INTERNAL";
  throw new LaminaError(code, `${attempted}: ${text}`, { details: { program, status: result.code } });
}
