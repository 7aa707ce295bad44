/** Volumes of workloads as the API and the command line see them. */
import * as z from "zod";

/** State of one volume of one workload. */
export const VolumeStatus = z.object({
  workload: z.object({
    kind: z.enum(["pod", "container", "client"]),
    uid: z.string(),
    name: z.string().describe("namespace/name of a pod, name of a container"),
  }).readonly(),
  volume: z.string().describe("Its name in the workload"),
  plugin: z.string(),
  state: z.enum(["NotMounted", "Mounted", "Uncertain"]),
  path: z.string().describe("Where its files are when it is mounted"),
  last_error: z.string().optional().describe("Of the step that is being retried"),
}).readonly().meta({ id: "VolumeStatus" });
/** See the schema of the same name. */
export type VolumeStatus = z.infer<typeof VolumeStatus>;

/** A step that runs or waits for its next try. */
export const OperationStatus = z.object({
  key: z.string().describe("UID/VOLUME, PLUGIN VOLUME-ID of a device, or the id of a container"),
  name: z.string().describe(
    "attach, mount_device, volume_mount, volume_unmount, unmount_device, detach, expand, root_mount",
  ),
  plugin: z.string(),
  state: z.enum(["running", "backoff"]),
  attempts: z.int(),
  since: z.iso.datetime(),
  next_at: z.iso.datetime().optional(),
  last_error: z.string().optional(),
}).readonly().meta({ id: "OperationStatus" });
/** See the schema of the same name. */
export type OperationStatus = z.infer<typeof OperationStatus>;
