/** Containers as the API, the command line and the database see them. */
import * as z from "zod";
import { ContainerName } from "../ids.ts";
import { Labels } from "./labels.ts";
import { ContainerMount, MountSpec, MountTarget } from "./mount.ts";

/** How long the text of {@linkcode ContainerCreate}'s `engine` may be, in characters of JSON. */
const MAX_ENGINE_CHARACTERS = 2 ** 20;

/** What differs from the image's config for this container. Lamina runs nothing: it is shown in `oci`, and kept by commit. */
export const ContainerConfig = z.strictObject({
  entrypoint: z.array(z.string().max(65536)).max(1024).optional(),
  command: z.array(z.string().max(65536)).max(1024).optional().describe("Arguments of the entrypoint"),
  env: z.array(z.string().max(65536).regex(/^[^=\0]+=[^\0]*$/, "must be NAME=VALUE")).max(1024).default([]),
  working_directory: z.string().max(4096).regex(/^\/[^\0]*$/, "must be an absolute path").optional(),
  user: z.string().max(256).optional(),
  hostname: z.string().max(253).optional(),
}).meta({ id: "ContainerConfig" });

/** Body of `POST /v1/containers`. */
export const ContainerCreate = z.strictObject({
  image: z.string().min(1).max(512).describe("Reference, id or unique id prefix (12+ digits) of an image"),
  name: ContainerName.optional().describe("Absent: a name is made up from the id"),
  mounts: z.array(MountSpec).max(1000).default([]).describe("Each target once"),
  volumes: z.array(MountTarget).max(1000).default([]).describe(
    "Targets that get an anonymous volume unless something else is mounted there, as the VOLUMEs of an image",
  ),
  volumes_from: z.array(z.string().min(1).max(260)).max(100).default([]).describe(
    "Containers whose volumes and binds are mounted here too, each CONTAINER[:ro|rw]; later ones win, own mounts over all",
  ),
  read_only: z.boolean().default(false).describe("The root is read-only; volumes keep their own mode"),
  auto_remove: z.boolean().default(false).describe("Remove the container when it is unmounted (--rm)"),
  labels: Labels.default({}),
  storage_options: z.record(z.string(), z.string()).default({}).describe("size=… and inodes=… limit the RW layer"),
  config: ContainerConfig.prefault({}),
  engine: z.record(z.string(), z.unknown()).default({}).refine(
    (engine) => JSON.stringify(engine).length <= MAX_ENGINE_CHARACTERS,
    "must not have more than 1 MiB of JSON",
  ).describe("Kept as it is for the engine that made the container; at most 1 MiB"),
}).meta({ id: "ContainerCreate" });
/** See the schema of the same name. */
export type ContainerCreate = z.infer<typeof ContainerCreate>;

/** Body of `POST /v1/containers/{container}/rename`. */
export const ContainerRename = z.strictObject({ name: ContainerName }).meta({ id: "ContainerRename" });

/** Body of `POST /v1/containers/prune`: all that are not mounted and fulfil every condition. */
export const ContainerPrune = z.strictObject({
  label: z.array(z.string().max(4353)).max(100).default([]).describe("KEY or KEY=VALUE; each must hold"),
  not_label: z.array(z.string().max(4353)).max(100).default([]).describe("KEY or KEY=VALUE; none may hold"),
  until: z.iso.datetime().optional().describe("Created before"),
  volumes: z.boolean().default(false).describe("Their anonymous volumes go too, unless others have them"),
}).meta({ id: "ContainerPrune" });

/** One mount of the OCI runtime spec. */
export const RuntimeSpecMount = z.object({
  destination: z.string(),
  type: z.string(),
  source: z.string(),
  options: z.array(z.string()),
}).meta({ id: "RuntimeSpecMount" });

const deviceNumber = { type: z.enum(["b", "c"]), major: z.int().min(0), minor: z.int().min(0) };

/** One device of the OCI runtime spec. */
export const RuntimeSpecDevice = z.object({
  path: z.string(),
  ...deviceNumber,
  fileMode: z.int(),
  uid: z.int(),
  gid: z.int(),
}).meta({ id: "RuntimeSpecDevice" });

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
  volumes_from: z.array(z.string()),
  mounts: z.array(ContainerMount).describe("All of them, those from the image and from other containers too"),
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
    linux: z.object({
      devices: z.array(RuntimeSpecDevice),
      resources: z.object({
        devices: z.array(z.object({ allow: z.boolean(), ...deviceNumber, access: z.string() })),
      }),
    }).optional().describe("Raw devices, as nodes and as rules of the devices cgroup"),
  }).describe("Parts of an OCI runtime-spec config.json. The volumes are mounted in the root already"),
  config: ContainerConfig,
  engine: z.record(z.string(), z.unknown()),
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
  special: z.enum(["fifo", "socket", "block", "character"]).optional().describe("What `other` is"),
  size_bytes: z.int(),
  mode: z.int().describe("Permission bits"),
  modified_at: z.iso.datetime(),
  link_target: z.string().optional(),
}).meta({ id: "PathStat" });
/** See the schema of the same name. */
export type PathStat = z.infer<typeof PathStat>;

/** Body of `POST /v1/containers/{container}/update`. */
export const ContainerUpdate = z.strictObject({
  storage_options: z.record(z.string(), z.string()).default({}).describe("size=…: the new limit of the RW layer"),
}).meta({ id: "ContainerUpdate" });
/** See the schema of the same name. */
export type ContainerUpdate = z.infer<typeof ContainerUpdate>;

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
