/** Whether what is mounted at a container's rootfs is the container's, or something that somebody else put there. */
import type { StorageDriver } from "../../drivers/storage/port.ts";
import { isLaminaError, LaminaError } from "../core/errors.ts";
import type { MountEntry } from "../core/mountinfo.ts";
import type { RootLayout } from "../core/root_layout.ts";
import { currentMountTable, mountIdentityIfThere } from "../host/mount_table.ts";
import { rwLayerKey } from "./container_rows.ts";

/** See the head of the file. */
export class OwnRoots {
  readonly #driver: StorageDriver;
  readonly #layout: RootLayout;
  /** The kernel's ids of mounts that were seen to be the containers' own. */
  readonly #known = new Map<string, bigint>();

  constructor(room: { readonly driver: StorageDriver; readonly layout: RootLayout }) {
    this.#driver = room.driver;
    this.#layout = room.layout;
  }

  /** Notes that this process has just mounted the root of a container. */
  remember(id: string): void {
    const found = mountIdentityIfThere(this.#layout.rootfs(id));
    if (found?.isRoot) this.#known.set(id, found.id);
  }

  forget(id: string): void {
    this.#known.delete(id);
  }

  /** What somebody else has mounted at the rootfs, over the container's own root or in its place. */
  foreignAt(id: string): MountEntry | undefined {
    const rootfs = this.#layout.rootfs(id);
    const found = mountIdentityIfThere(rootfs);
    if (!found?.isRoot || this.#known.get(id) === found.id) return undefined;
    // By an earlier process, or not by us at all: the table tells what it is.
    const table = currentMountTable();
    const top = table.findLast((entry) => entry.target === rootfs && !entry.deleted);
    if (top === undefined) return undefined;
    const others = table.filter((entry) => entry.target !== rootfs);
    try {
      if (!this.#driver.isShownBy(rwLayerKey(id), top, others)) return top;
    } catch (error) {
      // Its RW layer is gone: `check` says so, and what is mounted may be what is left of it.
      if (!isLaminaError(error, "NOT_FOUND")) throw error;
      return undefined;
    }
    this.#known.set(id, found.id);
    return undefined;
  }

  /** @throws `CONFLICT` naming what somebody else has mounted there. */
  refuseForeign(id: string, attempted: "mount" | "unmount"): void {
    const foreign = this.foreignAt(id);
    if (foreign === undefined) return;
    const advice = attempted === "unmount" ? "Unmount that first, or detach all with --lazy" : "Unmount that first";
    throw new LaminaError(
      "CONFLICT",
      `Cannot ${attempted} container ${
        id.slice(0, 12)
      }: somebody else has mounted ${foreign.source} (${foreign.type}) ` +
        `at ${foreign.target}. ${advice}`,
      { details: { target: foreign.target, source: foreign.source, type: foreign.type } },
    );
  }
}
