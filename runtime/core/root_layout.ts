/**
 * Directories of a root. All are 0700 but the way to a rootfs, which container processes of other users pass (0711).
 *
 * ```
 * ROOT/lock                      flock'ed by the one process that has the root open; holds its pid
 * ROOT/lamina.db                 the store
 * ROOT/reserve                   space that is given up so that deleting works on a full disk
 * ROOT/drivers/NAME/…            one storage driver's own
 * ROOT/recipes/CHAINID           how to put a layer's original archive together again
 * ROOT/containers/ID/rootfs      where a container's root is mounted
 * ROOT/volumes/NAME/_data        the data of a local volume
 * ROOT/volume-limits/…           which project quotas are those of volumes
 * ROOT/persistent/NAME/…         volumes and snapshots that lamina.dev/local has made
 * ROOT/volume-plugins/PLUGIN/VOLUME   where a volume of a Docker volume plugin is mounted
 * ROOT/unions/ID/N               helper binds of a branch union
 * ROOT/pods/UID/volumes/PLUGIN/NAME   a volume of a pod (or container) as the volume manager sets it up; `/` as `~`
 * ROOT/plugins/PLUGIN/ID/mount   where a volume's device is mounted once for all of its workloads
 * ROOT/staging/…                 whatever an operation has not finished; emptied at each start
 * ROOT/trash/…                   renamed here, then deleted; emptied at each start
 * ```
 */
import { join } from "@std/path/posix";

/** Absolute paths inside a root. */
export class RootLayout {
  /** @param root Absolute path. */
  constructor(readonly root: string) {}

  get lockFile(): string {
    return join(this.root, "lock");
  }
  get database(): string {
    return join(this.root, "lamina.db");
  }
  get reserve(): string {
    return join(this.root, "reserve");
  }
  get recipes(): string {
    return join(this.root, "recipes");
  }
  get containers(): string {
    return join(this.root, "containers");
  }
  get volumes(): string {
    return join(this.root, "volumes");
  }
  get volumeLimits(): string {
    return join(this.root, "volume-limits");
  }
  get persistent(): string {
    return join(this.root, "persistent");
  }
  get volumePlugins(): string {
    return join(this.root, "volume-plugins");
  }
  get unions(): string {
    return join(this.root, "unions");
  }
  get pods(): string {
    return join(this.root, "pods");
  }
  get plugins(): string {
    return join(this.root, "plugins");
  }
  get staging(): string {
    return join(this.root, "staging");
  }
  get trash(): string {
    return join(this.root, "trash");
  }
  /** The storage driver's own directory. */
  driver(name: string): string {
    return join(this.root, "drivers", name);
  }
  /** @param chainId With or without `sha256:`. */
  recipe(chainId: string): string {
    return join(this.recipes, chainId.replace(/^sha256:/, ""));
  }
  rootfs(containerId: string): string {
    return join(this.containers, containerId, "rootfs");
  }
  /** @param uid Of a pod, or id of a container. */
  workloadVolume(uid: string, plugin: string, volume: string): string {
    return join(this.pods, uid, "volumes", plugin.replaceAll("/", "~"), volume);
  }

  /** Whether a path is in a volume of a pod, of one of Kubernetes' kinds: what is there is the pod's alone. */
  isInPodVolume(path: string): boolean {
    return path.startsWith(`${this.pods}/`) && path.includes("/volumes/kubernetes.io~");
  }
  /** @param id Of the volume, safe as a file name. */
  deviceMount(plugin: string, id: string): string {
    return join(this.plugins, plugin.replaceAll("/", "~"), id, "mount");
  }
  volumeData(name: string): string {
    return join(this.volumes, name, "_data");
  }
}
