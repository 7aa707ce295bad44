/** Moving a root to another storage driver, as the API and the command line see it. */
import * as z from "zod";

const drivers = ["overlay", "vfs", "btrfs", "zfs", "devicemapper", "aufs"] as const;

/** Body of `POST /v1/migrate`. */
export const MigrationRequest = z.strictObject({
  to: z.enum(drivers).describe("The storage driver that gets the data"),
  storage_options: z.record(z.string(), z.string()).default({}).describe(
    "DRIVER.OPTION of that driver; a daemon needs them at each later start, too",
  ),
}).meta({ id: "MigrationRequest" });
/** See the schema of the same name. */
export type MigrationRequest = z.infer<typeof MigrationRequest>;

/** What was moved. */
export const MigrationResult = z.object({
  from: z.string(),
  to: z.string(),
  layers: z.int(),
  containers: z.int(),
  resumed: z.boolean().describe("An earlier attempt had been interrupted"),
  warning: z.string().optional().describe("What of the old data is left"),
}).meta({ id: "MigrationResult" });
/** See the schema of the same name. */
export type MigrationResult = z.infer<typeof MigrationResult>;
