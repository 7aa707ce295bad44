/** Body of `POST /containers/create`: what matters for storage is checked, the rest is kept as it came. */
import * as z from "zod";

const texts = z.array(z.string().max(65536)).max(10_000);
/** Docker takes one word instead of a list. */
const words = texts.or(z.string().max(65536).transform((word) => [word]));
const map = z.record(z.string(), z.string());
const set = z.record(z.string(), z.unknown());

/** One of `HostConfig.Mounts`. */
export const MountBody = z.looseObject({
  Type: z.string().max(32).nullish(),
  Source: z.string().max(10_000).nullish(),
  Target: z.string().max(10_000).nullish(),
  ReadOnly: z.boolean().nullish(),
  Consistency: z.string().max(32).nullish(),
  BindOptions: z.looseObject({
    Propagation: z.string().max(32).nullish(),
    NonRecursive: z.boolean().nullish(),
    CreateMountpoint: z.boolean().nullish(),
    ReadOnlyNonRecursive: z.boolean().nullish(),
    ReadOnlyForceRecursive: z.boolean().nullish(),
  }).nullish(),
  VolumeOptions: z.looseObject({
    NoCopy: z.boolean().nullish(),
    Labels: map.nullish(),
    Subpath: z.string().max(4096).nullish(),
    DriverConfig: z.looseObject({ Name: z.string().max(255).nullish(), Options: map.nullish() }).nullish(),
  }).nullish(),
  ImageOptions: z.looseObject({ Subpath: z.string().max(4096).nullish() }).nullish(),
  TmpfsOptions: z.looseObject({
    SizeBytes: z.int().min(0).nullish(),
    Mode: z.int().min(0).nullish(),
    Options: z.array(z.array(z.string().max(256)).max(2)).max(64).nullish(),
  }).nullish(),
});
/** See the schema of the same name. */
export type MountBody = z.output<typeof MountBody>;

/** What of the host a container gets. */
export const HostConfigBody = z.looseObject({
  Binds: texts.nullish(),
  Mounts: z.array(MountBody).max(1000).nullish(),
  Tmpfs: map.nullish(),
  VolumesFrom: texts.nullish(),
  VolumeDriver: z.string().max(255).nullish(),
  StorageOpt: map.nullish(),
  ReadonlyRootfs: z.boolean().nullish(),
  AutoRemove: z.boolean().nullish(),
  NetworkMode: z.string().max(300).nullish(),
});
/** See the schema of the same name. */
export type HostConfigBody = z.output<typeof HostConfigBody>;

/** What differs from the image's config. */
const configFields = {
  Image: z.string().max(512).nullish(),
  Hostname: z.string().max(253).nullish(),
  User: z.string().max(256).nullish(),
  Env: texts.nullish(),
  Cmd: words.nullish(),
  Entrypoint: words.nullish(),
  WorkingDir: z.string().max(4096).nullish(),
  Labels: map.nullish(),
  Volumes: set.nullish(),
};

/** The same for a commit, whose fields replace those of the container. */
export const ConfigBody = z.looseObject({ ...configFields, ExposedPorts: set.nullish() }).nullish();
/** See the schema of the same name. */
export type ConfigBody = z.output<typeof ConfigBody>;

/** See the head of the file. */
export const ContainerBody = z.looseObject({ ...configFields, HostConfig: HostConfigBody.nullish() });
/** See the schema of the same name. */
export type ContainerBody = z.output<typeof ContainerBody>;
