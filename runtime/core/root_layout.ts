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
 * ROOT/unions/ID/N               helper binds of a branch union
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
  get unions(): string {
    return join(this.root, "unions");
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
  volumeData(name: string): string {
    return join(this.volumes, name, "_data");
  }
}
