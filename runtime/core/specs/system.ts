/** The daemon itself as the API and the command line see it. */
import * as z from "zod";
import { ERROR_CODES } from "../errors.ts";

/** Body of every failed call. */
export const ErrorBody = z.object({
  code: z.enum(ERROR_CODES),
  message: z.string(),
  details: z.record(z.string(), z.unknown()),
}).meta({ id: "ErrorBody" });

/** Something that happened. `GET /v1/events` streams these, one JSON a line. */
export const Event = z.object({
  sequence: z.int(),
  time: z.iso.datetime(),
  kind: z.enum(["image", "container", "volume", "union", "system"]),
  action: z.string().describe("import, create, mount, unmount, commit, remove, tag, untag, ready, …"),
  id: z.string(),
  name: z.string().optional(),
  attributes: z.record(z.string(), z.string()),
}).meta({ id: "Event" });
/** See the schema of the same name. */
export type Event = z.infer<typeof Event>;

/** A line of an NDJSON stream: progress, then exactly one result or error. */
export const StreamLine = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("progress"),
    phase: z.string(),
    id: z.string(),
    current: z.number(),
    total: z.number().optional(),
    unit: z.enum(["bytes", "entries", "steps"]).optional(),
    message: z.string().optional(),
  }),
  z.object({ type: z.literal("result"), result: z.unknown() }),
  z.object({ type: z.literal("error"), error: ErrorBody }),
]).meta({ id: "StreamLine" });
/** See the schema of the same name. */
export type StreamLine = z.infer<typeof StreamLine>;

/** `GET /v1/info`. */
export const Info = z.object({
  version: z.string(),
  pid: z.int(),
  root: z.string(),
  storage_driver: z.string(),
  storage_status: z.record(z.string(), z.string()),
  mounter: z.string(),
  images: z.int(),
  layers: z.int(),
  containers: z.int(),
  mounted_containers: z.int(),
  volumes: z.int(),
  volume_drivers: z.array(z.string()).describe("local, and the volume plugins that are found now"),
  kernel: z.string(),
  architecture: z.string(),
  os: z.string(),
  rootless: z.boolean(),
  started_at: z.iso.datetime(),
}).meta({ id: "Info" });
/** See the schema of the same name. */
export type Info = z.infer<typeof Info>;

/** `GET /v1/df`. */
export const DiskUsage = z.object({
  filesystem: z.object({
    total_bytes: z.int(),
    used_bytes: z.int(),
    available_bytes: z.int(),
    inodes: z.int(),
    inodes_available: z.int(),
  }).describe("Of the root directory"),
  images: z.array(
    z.object({ id: z.string(), references: z.array(z.string()), size_bytes: z.int(), unique_bytes: z.int() }),
  ),
  layers_bytes: z.int(),
  containers: z.array(z.object({
    name: z.string(),
    rw_bytes: z.int(),
    rw_inodes: z.int(),
    limit_bytes: z.int().optional().describe("Absent: none"),
    limit_inodes: z.int().optional().describe("Absent: none"),
  })),
  volumes: z.array(z.object({
    name: z.string(),
    size_bytes: z.int(),
    inodes: z.int(),
    limit_bytes: z.int().optional().describe("Enforced"),
    used_by: z.int(),
  })),
  reclaimable_bytes: z.int().describe("Images and volumes that nothing uses"),
}).meta({ id: "DiskUsage" });
/** See the schema of the same name. */
export type DiskUsage = z.infer<typeof DiskUsage>;

/** `POST /v1/check`. */
export const CheckResult = z.object({
  findings: z.array(z.object({
    kind: z.string(),
    object: z.string(),
    message: z.string(),
    repairable: z.boolean(),
    repaired: z.boolean(),
  })),
  checked: z.record(z.string(), z.int()).describe("How many of each kind were looked at"),
}).meta({ id: "CheckResult" });
/** See the schema of the same name. */
export type CheckResult = z.infer<typeof CheckResult>;

/** One question that `lamina doctor` asked the host. */
export const DoctorItem = z.object({
  subject: z.string(),
  status: z.enum(["ok", "warning", "missing"]),
  found: z.string(),
  advice: z.string().optional(),
}).meta({ id: "DoctorItem" });
/** See the schema of the same name. */
export type DoctorItem = z.infer<typeof DoctorItem>;
