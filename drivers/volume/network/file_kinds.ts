/** Network file systems as mounts: nfs, cephfs, glusterfs. Pure; {@linkcode NetworkFilePlugin} performs them. */
import { parseSpec } from "../../../runtime/core/specs/parse_spec.ts";
import { persistentNetworkSources } from "../../../runtime/core/specs/kube/volume_sources.ts";
import { isReadOnlyDevice } from "../device_use.ts";
import type { VolumeSpec } from "../port.ts";
import type { SecretReference } from "./secrets.ts";

/** A network file system, before anything is done for it. */
export interface NetworkMount {
  /** For mount(8). */
  readonly type: string;
  readonly source: string;
  /** Nothing in them is secret. */
  readonly options: readonly string[];
  /** A secret's value that mount(8) is to find in a file, whose path is the value of `option`. */
  readonly secret?: { readonly reference: SecretReference; readonly option: string };
}

/** One of these kinds. */
export interface NetworkFileKind {
  /** Of the plugin. */
  readonly name: string;
  /** Key of `VolumeSpec.source`. */
  readonly source: string;
  /** What mount(8) needs, and Debian's package of it. */
  readonly helper: { readonly program: string; readonly package: string };
  mount(spec: VolumeSpec): NetworkMount;
}

/** `SERVER:/PATH` by mount.nfs. */
export const nfsKind: NetworkFileKind = {
  name: "kubernetes.io/nfs",
  source: "nfs",
  helper: { program: "mount.nfs", package: "nfs-common" },
  mount(spec) {
    const { server, path, readOnly } = parseSpec(persistentNetworkSources.nfs, spec.source.nfs, named(spec));
    return { type: "nfs", source: `${hostOf(server)}:${path}`, options: optionsOf(spec, readOnly) };
  },
};

/** `MONITOR,MONITOR:/PATH` by mount.ceph. */
export const cephFsKind: NetworkFileKind = {
  name: "kubernetes.io/cephfs",
  source: "cephfs",
  helper: { program: "mount.ceph", package: "ceph-common" },
  mount(spec) {
    const { monitors, path, user, secretFile, secretRef, readOnly } = parseSpec(
      persistentNetworkSources.cephfs,
      spec.source.cephfs,
      named(spec),
    );
    const options = [`name=${user}`, ...secretRef === undefined ? [`secretfile=${secretFile}`] : []];
    return {
      type: "ceph",
      source: `${monitors.join(",")}:${path.startsWith("/") ? path : `/${path}`}`,
      options: optionsOf(spec, readOnly, options),
      ...(secretRef !== undefined && { secret: { reference: secretRef, option: "secretfile" } }),
    };
  },
};

/**
 * `HOST:VOLUME` by mount.glusterfs. In Kubernetes `endpoints` names an object with the servers' addresses; here it is
 * the servers themselves, separated by commas: the first is asked, the others stand in for it.
 */
export const glusterKind: NetworkFileKind = {
  name: "kubernetes.io/glusterfs",
  source: "glusterfs",
  helper: { program: "mount.glusterfs", package: "glusterfs-client" },
  mount(spec) {
    const { endpoints, path, readOnly } = parseSpec(
      persistentNetworkSources.glusterfs,
      spec.source.glusterfs,
      named(spec),
    );
    const [first, ...others] = endpoints.split(",").map((host) => host.trim()).filter(Boolean);
    const backups = others.length === 0 ? [] : [`backup-volfile-servers=${others.join(":")}`];
    return {
      type: "glusterfs",
      source: `${first ?? endpoints}:${path.replace(/^\/+/, "")}`,
      options: optionsOf(spec, readOnly, ["log-level=ERROR", ...backups]),
    };
  },
};

function optionsOf(spec: VolumeSpec, readOnly: boolean, own: readonly string[] = []): string[] {
  return [...(readOnly || isReadOnlyDevice(spec) ? ["ro"] : []), ...own, ...spec.mount_options];
}

/** An IPv6 address is put in brackets: its colons are not the one before the path. */
function hostOf(server: string): string {
  return server.includes(":") && !server.startsWith("[") ? `[${server}]` : server;
}

function named(spec: VolumeSpec): string {
  return `volume "${spec.name}"`;
}
