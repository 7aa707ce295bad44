/** A container as the API shows it. */
import type { Container, ContainerSummary } from "../core/model/container.ts";
import type { RootLayout } from "../core/root_layout.ts";
import type { Reader, Store } from "../store/store.ts";
import { type ContainerRow, findContainerRow, specOf } from "./container_rows.ts";
import { deviceNumber } from "../host/block_devices.ts";
import { type MountPlaces, planMounts, type PlannedMount } from "./mount_plan.ts";
import { type DeviceNode, type ImageProcess, runtimeSpecParts } from "./runtime_spec.ts";

/** How many images and containers are kept in the form in which they are shown. */
const MAX_KEPT = 10_000;

/** What never changes of a container. */
type Lasting = Omit<ContainerSummary, "mounted">;

/** Shows rows. What cannot change is kept: a list of a thousand containers is asked for often. */
export class ContainerViews {
  readonly #processes = new Map<string, ImageProcess>();
  readonly #shown = new Map<string, ContainerSummary>();
  /** The last list, and what it was made of. */
  #listed?: { readonly made: readonly unknown[]; readonly list: readonly ContainerSummary[] };

  constructor(
    private readonly store: Reader & Pick<Store, "commits">,
    private readonly layout: RootLayout,
    private readonly driver: { readonly name: string },
    private readonly placesOf: (id: string) => MountPlaces,
  ) {}

  /** @param mounted What the kernel says. */
  of(row: ContainerRow, mounted: boolean): Container {
    const spec = specOf(row);
    const planned = planMounts(spec.mounts, this.placesOf(row.id));
    const summary = this.#summaryOf(row);
    return {
      ...structuredClone(summary),
      mounted,
      oci: runtimeSpecParts(
        summary.rootfs,
        spec.read_only,
        planned,
        this.#process(row.image_id),
        spec.config,
        deviceNodes(planned),
      ),
      config: spec.config,
      engine: spec.engine,
    };
  }

  /**
   * All that exist for their users, oldest first.
   *
   * @param mounted Mount points, as the kernel says; the same set as long as they are the same.
   * @returns the same array as long as nothing has changed; frozen all through.
   */
  list(mounted: ReadonlySet<string>): readonly ContainerSummary[] {
    const driver = this.driver.name;
    const made = [this.store.commits, mounted, driver];
    if (this.#listed?.made.every((part, i) => part === made[i])) return this.#listed.list;
    const ids = this.store.all<{ id: string; name: string }>(
      "SELECT id, name FROM containers WHERE state = 'ready' ORDER BY created_at_ms, id",
    );
    const list = ids.map(({ id, name }) => {
      const known = this.#shown.get(id);
      const isMounted = mounted.has(known?.rootfs ?? this.layout.rootfs(id));
      const lasts = known?.name === name && known.storage_driver === driver;
      if (lasts && known.mounted === isMounted) return known;
      if (this.#shown.size >= MAX_KEPT) this.#shown.clear();
      // Read in the same turn of the event loop: the row is still there.
      const lasting: Lasting = lasts ? known : this.#summaryOf(findContainerRow(this.store, id)!);
      // The same object as long as nothing changes: its JSON is written once.
      const summary = deepFreeze({ ...lasting, mounted: isMounted });
      this.#shown.set(id, summary);
      return summary;
    });
    this.#listed = { made, list: Object.freeze(list) };
    return list;
  }

  /** Its row has changed. */
  forget(id: string): void {
    this.#shown.delete(id);
    // Somebody may have listed it between the commit and this.
    this.#listed = undefined;
  }

  #summaryOf(row: ContainerRow): Lasting {
    const spec = specOf(row);
    return {
      id: row.id,
      name: row.name,
      image: spec.image,
      image_id: row.image_id,
      created_at: new Date(row.created_at_ms).toISOString(),
      rootfs: this.layout.rootfs(row.id),
      read_only: spec.read_only,
      auto_remove: spec.auto_remove,
      labels: spec.labels,
      storage_options: spec.storage_options,
      storage_driver: this.driver.name,
      volumes_from: spec.volumes_from,
      mounts: [...spec.mounts],
    };
  }

  #process(imageId: string): ImageProcess {
    const known = this.#processes.get(imageId);
    if (known !== undefined) return known;
    const row = this.store.get<{ config: Uint8Array }>("SELECT config FROM images WHERE id = ?", imageId);
    const config = JSON.parse(new TextDecoder().decode(row?.config ?? new TextEncoder().encode("{}")));
    const process: ImageProcess = config.config ?? {};
    if (this.#processes.size >= MAX_KEPT) this.#processes.clear();
    this.#processes.set(imageId, process);
    return process;
  }
}

/** The devices as they are on the host now; one that is not there cannot be told. */
function deviceNodes(planned: readonly PlannedMount[]): DeviceNode[] {
  return planned.flatMap(({ device, target: path, mount }) => {
    const number = device && deviceNumber(mount.source);
    return number === undefined ? [] : [{ path, ...number, read_only: device!.read_only }];
  });
}

/** What several callers are given is nobody's to change. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}
