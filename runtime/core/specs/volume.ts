/** Volumes as the API and the command line see them. */
import * as z from "zod";
import { VolumeName } from "../ids.ts";
import { Labels } from "./labels.ts";

/** Body of `POST /v1/volumes`. */
export const VolumeCreate = z.strictObject({
  name: VolumeName.optional().describe("Absent: an anonymous volume with a random name"),
  driver: z.string().min(1).max(255).default("local"),
  options: z.record(z.string().min(1).max(255), z.string().max(4096)).refine(
    (options) => Object.keys(options).length <= 64,
    "at most 64 options",
  ).default({}).describe("Of the driver; `local`: type, o, device, size, inodes"),
  labels: Labels.default({}),
}).meta({ id: "VolumeCreate" });
/** See the schema of the same name. */
export type VolumeCreate = z.infer<typeof VolumeCreate>;

/** A volume. */
export const Volume = z.object({
  name: z.string(),
  driver: z.string(),
  scope: z.enum(["local", "global"]).describe("global: every machine with the driver has it"),
  options: z.record(z.string(), z.string()).describe("As given; passwords masked"),
  labels: z.record(z.string(), z.string()),
  mountpoint: z.string().describe("Host path of its data; empty: known once it is mounted"),
  usable: z.boolean().describe("Its data can be looked at there now"),
  anonymous: z.boolean(),
  created_at: z.iso.datetime().optional().describe("Absent: only the plugin knows the volume, and does not tell"),
  used_by: z.array(z.string()).describe("Names of the containers, plugin clients and pods that use it"),
  status: z.record(z.string(), z.unknown()).optional().describe("What the plugin says about it, or error: why not"),
}).meta({ id: "Volume" });
/** See the schema of the same name. */
export type Volume = z.infer<typeof Volume>;

/** Space of a volume. */
export const VolumeSpace = z.object({
  used_bytes: z.int(),
  capacity_bytes: z.int().optional().describe("Absent: no limit of its own"),
  available_bytes: z.int().optional(),
  inodes_used: z.int().optional(),
}).meta({ id: "VolumeSpace" });
/** See the schema of the same name. */
export type VolumeSpace = z.infer<typeof VolumeSpace>;

/** `GET /v1/volumes/{volume}`. */
export const VolumeDetails = Volume.extend({
  space: VolumeSpace.optional().describe("With `size`"),
}).meta({ id: "VolumeDetails" });
/** See the schema of the same name. */
export type VolumeDetails = z.infer<typeof VolumeDetails>;

const values = z.array(z.string().max(4096)).max(100);

/** Which volumes; see `VolumeFilters` in `runtime/core/model/volume.ts`. */
export const VolumeFilters = z.strictObject({
  dangling: z.boolean().optional().describe("true: used by nobody"),
  driver: values.optional(),
  label: values.optional().describe("key or key=value; all of them"),
  not_label: values.optional().describe("none of these"),
  name: values.optional().describe("Regular expressions"),
}).meta({ id: "VolumeFilters" });

/** Body of a prune. */
export const VolumePrune = z.strictObject({
  all: z.boolean().default(false).describe("Also the volumes that somebody named"),
  filters: VolumeFilters.pick({ label: true, not_label: true }).default({}),
}).meta({ id: "VolumePrune" });

/** Body of a rename. */
export const VolumeRename = z.strictObject({ name: VolumeName.describe("The new one") }).meta({ id: "VolumeRename" });

/** Body of a resize. */
export const VolumeResize = z.strictObject({
  size_bytes: z.int().positive().max(2 ** 53 - 1).describe("At least what it has"),
}).meta({ id: "VolumeResize" });

/** A volume that has grown. */
export const ResizedVolume = Volume.extend({
  pending: z.boolean().describe("Its file system takes the new size at its next mount only"),
}).meta({ id: "ResizedVolume" });
/** See the schema of the same name. */
export type ResizedVolume = z.infer<typeof ResizedVolume>;

/** Body of a snapshot. */
export const VolumeSnapshotRequest = z.strictObject({
  name: VolumeName.optional().describe("Absent: the time"),
  copy: z.boolean().default(false).describe("Copy the files where the file system cannot share them"),
}).meta({ id: "VolumeSnapshotRequest" });

/** Body of a clone. */
export const VolumeClone = z.strictObject({
  name: VolumeName.describe("Of the new volume"),
  snapshot: VolumeName.optional().describe("Absent: the volume as it is"),
  copy: z.boolean().default(false).describe("Copy the files where the file system cannot share them"),
  labels: Labels.default({}),
}).meta({ id: "VolumeClone" });

/** A frozen state of a volume. */
export const VolumeSnapshot = z.object({
  volume: z.string(),
  name: z.string(),
  created_at: z.iso.datetime(),
  method: z.enum(["shared", "copy"]).describe("shared: its blocks are the volume's as long as neither changes"),
}).meta({ id: "VolumeSnapshot" });
/** See the schema of the same name. */
export type VolumeSnapshot = z.infer<typeof VolumeSnapshot>;

/** Compression of a backup. */
export const BackupCompression = z.enum(["none", "gzip", "zstd"]).meta({ id: "BackupCompression" });
/** See the schema of the same name. */
export type BackupCompression = z.infer<typeof BackupCompression>;
