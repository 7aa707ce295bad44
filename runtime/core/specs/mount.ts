/** What is mounted into a container's root: as it is asked for, and as it is kept and shown. */
import * as z from "zod";
import { VolumeName } from "../ids.ts";
import { isTmpfsOption } from "../tmpfs_options.ts";
import { Labels } from "./labels.ts";

const absolutePath = z.string().max(4096).regex(/^\/[^\0]*$/, "must be an absolute path");

/** Where something is mounted inside the container: absolute, not `/`. Resolved inside the root at mount time. */
export const MountTarget = absolutePath.refine((path) => !/^[/.]*$/.test(path), 'must not be "/"')
  .refine((path) => !path.split("/").includes(".."), 'must not contain ".."');

/** A path below the top of a volume or an image. */
const subpath = z.string().min(1).max(4096).regex(/^[^/\0][^\0]*$/, "must be a relative path")
  .refine((path) => !path.split("/").includes(".."), 'must not contain ".."');

const relabel = z.enum(["z", "Z"]).describe("SELinux label asked for; refused where SELinux is enabled");

/** A host directory, file or socket. */
export const BindMountSpec = z.strictObject({
  type: z.literal("bind"),
  source: absolutePath.describe("Path on the host"),
  target: MountTarget,
  read_only: z.boolean().default(false),
  create_source: z.boolean().default(false).describe("Make a missing source directory (0755), as -v does"),
  propagation: z.enum(["private", "rprivate", "shared", "rshared", "slave", "rslave"]).default("rprivate").describe(
    "Whether mounts that come later travel between host and container; r: also those below",
  ),
  recursive: z.enum(["enabled", "disabled", "writable", "readonly"]).default("enabled").describe(
    "Mounts below the source: enabled shows them, and read_only covers them where the kernel can; readonly insists on " +
      "that; writable leaves them as they are; disabled leaves them out",
  ),
  subpath: subpath.optional().describe("Path beneath the source that is shown instead; must exist, no links lead out"),
  device: z.boolean().optional().describe(
    "The source is a device node, and shall be one in the container: a runtime is told of it in linux.devices",
  ),
  relabel: relabel.optional(),
}).meta({ id: "BindMountSpec" });

/** A volume: a named one, made on first use, or an anonymous one of the container's own. */
export const VolumeMountSpec = z.strictObject({
  type: z.literal("volume"),
  source: VolumeName.optional().describe("Name of the volume; absent: an anonymous volume is made"),
  target: MountTarget,
  read_only: z.boolean().default(false),
  subpath: subpath.optional().describe("Directory or file of the volume that is shown; must exist, no links lead out"),
  no_copy: z.boolean().default(false).describe("Do not fill an empty volume with what the image has at the target"),
  volume: z.strictObject({
    driver: z.string().min(1).max(255).optional(),
    options: z.record(z.string().min(1).max(255), z.string().max(4096)).default({}),
    labels: Labels.default({}),
  }).optional().describe(
    "Of the volume that this mount makes. One that exists must have this driver and these options",
  ),
  relabel: relabel.optional(),
}).meta({ id: "VolumeMountSpec" });

/** Memory that vanishes with the mount. */
export const TmpfsMountSpec = z.strictObject({
  type: z.literal("tmpfs"),
  target: MountTarget,
  size_bytes: z.int().positive().optional(),
  mode: z.int().min(0).max(0o7777).default(0o1777),
  options: z.array(z.string().max(64).refine(isTmpfsOption, "is no tmpfs option that is known here")).max(32).default(
    [],
  ).describe("exec, suid, dev, noatime, uid=, gid=, nr_inodes=, …; noexec, nosuid and nodev hold unless named"),
  read_only: z.boolean().default(false),
}).meta({ id: "TmpfsMountSpec" });

/** The files of another image, read-only. */
export const ImageMountSpec = z.strictObject({
  type: z.literal("image"),
  source: z.string().min(1).max(512).describe("Reference, id or unique id prefix of an image"),
  target: MountTarget,
  subpath: subpath.optional().describe("Directory or file of the image that is shown"),
}).meta({ id: "ImageMountSpec" });

/** What is mounted into a container's root, as it is asked for. */
export const MountSpec = z.discriminatedUnion("type", [
  BindMountSpec,
  VolumeMountSpec,
  TmpfsMountSpec,
  ImageMountSpec,
]).meta({ id: "MountSpec" });
/** See the schema of the same name. */
export type MountSpec = z.infer<typeof MountSpec>;

/** Who asked for a mount: the request itself, the image's VOLUME, or a container named in `volumes_from`. */
const from = z.enum(["request", "image", "volumes_from"]);

/** A mount of a container that exists. */
export const ContainerMount = z.discriminatedUnion("type", [
  BindMountSpec.extend({ from }).meta({ id: "BindMount" }),
  VolumeMountSpec.omit({ volume: true }).extend({
    source: VolumeName,
    anonymous: z.boolean().describe("Its name was made up; it goes with the container where that is asked for"),
    from,
  }).meta({ id: "VolumeMount" }),
  TmpfsMountSpec.extend({ from }).meta({ id: "TmpfsMount" }),
  ImageMountSpec.extend({ image_id: z.string().describe("Digest of the image's config"), from }).meta({
    id: "ImageMount",
  }),
]).meta({ id: "ContainerMount" });
/** See the schema of the same name. */
export type ContainerMount = z.infer<typeof ContainerMount>;
