/** Mounts as a container keeps them, from mounts as they are asked for. */
import type { MountRequest } from "../../../runtime/core/model/mount.ts";
import { type ContainerMount, MountSpec } from "../../../runtime/core/specs/mount.ts";
import type { MountPlaces } from "../../../runtime/container/mount_plan.ts";
import { resolveMounts } from "../../../runtime/container/resolve_mounts.ts";

/** See the head of the file. Anonymous volumes are called `anonymous-N`. */
export function containerMounts(requests: readonly MountRequest[]): readonly ContainerMount[] {
  let count = 0;
  return resolveMounts({ mounts: requests.map((request) => MountSpec.parse(request)), volumes: [] }, {
    imageVolumes: [],
    borrowed: [],
    anonymousName: () => `anonymous-${count++}`,
    imageId: (reference) => `sha256:${reference}`,
  }).mounts;
}

/** Volumes and images as they would lie in the root `/r`. */
export const places: MountPlaces = {
  volume: (name) => `/r/volumes/${name}/_data`,
  image: (index) => `/r/containers/x/image-${index}`,
};
