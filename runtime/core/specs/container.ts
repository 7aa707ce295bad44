/** Containers as the API, the command line and the database see them. */
import { z } from "zod";
import { ContainerName, VolumeName } from "../ids.ts";

const absolutePath = z.string().max(4096).regex(/^\/[^\0]*$/, "must be an absolute path");
/** Where something is mounted inside the container: absolute, not `/`. Resolved inside the root at mount time. */
const target = absolutePath.refine((path) => !/^[/.]*$/.test(path), 'must not be "/"')
  .refine((path) => !path.split("/").includes(".."), 'must not contain ".."');

/** A host directory, file or socket. */
export const BindMountSpec = z.strictObject({
  type: z.literal("bind"),
  source: absolutePath.describe("Path on the host"),
  target,
  read_only: z.boolean().default(false),
  create_source: z.boolean().default(false).describe("Make a missing source directory (0755), as -v does"),
}).meta({ id: "BindMountSpec" });

/** A named volume; made on first use. */
export const VolumeMountSpec = z.strictObject({
  type: z.literal("volume"),
  source: VolumeName.describe("Name of the volume"),
  target,
  read_only: z.boolean().default(false),
}).meta({ id: "VolumeMountSpec" });

/** Memory that vanishes with the mount. */
export const TmpfsMountSpec = z.strictObject({
  type: z.literal("tmpfs"),
  target,
  size_bytes: z.int().positive().optional(),
  mode: z.int().min(0).max(0o7777).default(0o1777),
  read_only: z.boolean().default(false),
}).meta({ id: "TmpfsMountSpec" });

/** What is mounted into a container's root. */
export const MountSpec = z.discriminatedUnion("type", [BindMountSpec, VolumeMountSpec, TmpfsMountSpec]).meta({
  id: "MountSpec",
});
/** See the schema of the same name. */
export type MountSpec = z.infer<typeof MountSpec>;

/** Labels: at most 256, keys up to 256 and values up to 4096 characters. */
export const Labels = z.record(z.string().min(1).max(256), z.string().max(4096)).refine(
  (labels) => Object.keys(labels).length <= 256,
  "at most 256 labels",
);

/** Body of `POST /v1/containers`. */
export const ContainerCreate = z.strictObject({
  image: z.string().min(1).max(512).describe("Reference, id or unique id prefix (12+ digits) of an image"),
  name: ContainerName.optional().describe("Absent: a name is made up from the id"),
  mounts: z.array(MountSpec).max(1000).default([]),
  read_only: z.boolean().default(false).describe("The root is read-only; volumes keep their own mode"),
  auto_remove: z.boolean().default(false).describe("Remove the container when it is unmounted (--rm)"),
  labels: Labels.default({}),
  storage_options: z.record(z.string(), z.string()).default({}).describe("size=… and inodes=… limit the RW layer"),
}).meta({ id: "ContainerCreate" });
/** See the schema of the same name. */
export type ContainerCreate = z.infer<typeof ContainerCreate>;

/** One mount of the OCI runtime spec. */
export const RuntimeSpecMount = z.object({
  destination: z.string(),
  type: z.string(),
  source: z.string(),
  options: z.array(z.string()),
}).meta({ id: "RuntimeSpecMount" });

/** A line of `container ls`. */
export const ContainerSummary = z.object({
  id: z.string(),
  name: z.string(),
  image: z.string().describe("What the creator called it"),
  image_id: z.string(),
  created_at: z.iso.datetime(),
  mounted: z.boolean().describe("Whether the root is mounted now, as the kernel says"),
  rootfs: z.string().describe("Where the root is or will be mounted"),
  read_only: z.boolean(),
  auto_remove: z.boolean(),
  labels: z.record(z.string(), z.string()),
  storage_options: z.record(z.string(), z.string()),
  storage_driver: z.string(),
  mounts: z.array(MountSpec),
}).meta({ id: "ContainerSummary" });
/** See the schema of the same name. */
export type ContainerSummary = z.infer<typeof ContainerSummary>;

/** A container, whole. `GET /v1/containers/{container}`. */
export const Container = ContainerSummary.extend({
  oci: z.object({
    root: z.object({ path: z.string(), readonly: z.boolean() }),
    mounts: z.array(RuntimeSpecMount),
    process: z.object({
      args: z.array(z.string()),
      env: z.array(z.string()),
      cwd: z.string(),
      user: z.string(),
    }).describe("From the image's config"),
  }).describe("Parts of an OCI runtime-spec config.json. The volumes are mounted in the root already"),
  size: z.object({ rw_bytes: z.int(), rw_inodes: z.int() }).optional().describe("Only with ?size=true"),
}).meta({ id: "Container" });
/** See the schema of the same name. */
export type Container = z.infer<typeof Container>;

/** A line of `diff`: `A` added, `C` changed, `D` deleted. */
export const ContainerChange = z.object({ kind: z.enum(["A", "C", "D"]), path: z.string() }).meta({
  id: "ContainerChange",
});
/** See the schema of the same name. */
export type ContainerChange = z.infer<typeof ContainerChange>;

/** What a path inside a container is. Body of `GET /v1/containers/{container}/stat`. */
export const PathStat = z.object({
  name: z.string().describe("Base name"),
  kind: z.enum(["file", "directory", "symlink", "other"]),
  size_bytes: z.int(),
  mode: z.int().describe("Permission bits"),
  modified_at: z.iso.datetime(),
  link_target: z.string().optional(),
}).meta({ id: "PathStat" });
/** See the schema of the same name. */
export type PathStat = z.infer<typeof PathStat>;

/** Body of `POST /v1/containers/{container}/commit`. */
export const ContainerCommit = z.strictObject({
  reference: z.string().max(512).optional().describe("name:tag of the new image"),
  author: z.string().max(1024).optional(),
  message: z.string().max(4096).optional(),
  changes: z.array(z.string().max(4096)).max(100).default([]).describe(
    "CMD, ENTRYPOINT, ENV, LABEL, USER, WORKDIR, VOLUME, EXPOSE lines as in a Dockerfile",
  ),
}).meta({ id: "ContainerCommit" });
/** See the schema of the same name. */
export type ContainerCommit = z.infer<typeof ContainerCommit>;
