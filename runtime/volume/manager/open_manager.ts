/** The manager of a root, on this machine. */
import type { LayerEngine } from "../../../drivers/storage/layer/engine.ts";
import type { ObjectLookup, VolumePlugin } from "../../../drivers/volume/port.ts";
import type { RootLayout } from "../../core/root_layout.ts";
import type { Mounter } from "../../host/mounter.ts";
import type { Store } from "../../store/store.ts";
import { StoreJournal } from "./journal.ts";
import { type ManagerHost, thisHost } from "./manager_host.ts";
import type { WorkloadEvent } from "./manager_room.ts";
import { PluginRegistry } from "./registry.ts";
import { Manager } from "./volume_manager.ts";

/** What a manager is made of. */
export interface ManagerParts {
  readonly store: Store;
  readonly layout: RootLayout;
  readonly mounter: Mounter;
  readonly engine: Pick<LayerEngine, "setGroup">;
  readonly plugins: Iterable<VolumePlugin>;
  readonly objects: ObjectLookup;
  readonly report: (event: WorkloadEvent) => void;
  /** Roots of containers that bind this path, or something below it. */
  readonly rootsThatBind?: (path: string) => string[];
  /** Default: this machine. */
  readonly host?: ManagerHost;
}

/**
 * Makes a manager and lets it take over what an earlier process left. Nothing is unmounted before `desiredIsComplete`.
 * Disposing it cancels what runs; what is mounted stays so.
 */
export function openManager(parts: ManagerParts): Manager {
  const { store, layout, mounter, engine, plugins, objects, report, rootsThatBind, host = thisHost } = parts;
  for (const path of [layout.pods, layout.plugins]) host.makePlace(path, "directory");
  const manager = new Manager({
    layout,
    journal: new StoreJournal(store),
    mounter,
    host,
    plugins: new PluginRegistry(plugins),
    objects,
    groups: engine,
    rootsThatBind,
    report,
  });
  manager.recover();
  return manager;
}
