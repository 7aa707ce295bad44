/** Volumes as the API and the command line see them. */
import { z } from "zod";
import { VolumeName } from "../ids.ts";
import { Labels } from "./labels.ts";

/** Body of `POST /v1/volumes`. */
export const VolumeCreate = z.strictObject({
  name: VolumeName.optional().describe("Absent: an anonymous volume with a random name"),
  driver: z.string().max(255).default("local"),
  options: z.record(z.string().max(255), z.string().max(4096)).default({}),
  labels: Labels.default({}),
}).meta({ id: "VolumeCreate" });
/** See the schema of the same name. */
export type VolumeCreate = z.infer<typeof VolumeCreate>;

/** A volume. */
export const Volume = z.object({
  name: z.string(),
  driver: z.string(),
  options: z.record(z.string(), z.string()),
  labels: z.record(z.string(), z.string()),
  mountpoint: z.string(),
  anonymous: z.boolean(),
  created_at: z.iso.datetime(),
  used_by: z.array(z.string()).describe("Names of the containers that use it"),
}).meta({ id: "Volume" });
/** See the schema of the same name. */
export type Volume = z.infer<typeof Volume>;
