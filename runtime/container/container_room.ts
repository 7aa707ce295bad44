/** What containers are made with. */
import type { LayerEngine } from "../../drivers/storage/layer/engine.ts";
import type { StorageDriver } from "../../drivers/storage/port.ts";
import type { EventSink } from "../core/event_bus.ts";
import type { KeyedLock } from "../core/keyed_lock.ts";
import type { RootLayout } from "../core/root_layout.ts";
import type { Mounter } from "../host/mounter.ts";
import type { Store } from "../store/store.ts";
import type { VolumeLifecycle } from "../volume/volume_lifecycle.ts";

/** Everything that the verbs of containers work with. */
export interface ContainerRoom {
  readonly store: Store;
  readonly layout: RootLayout;
  readonly driver: StorageDriver;
  readonly mounter: Mounter;
  readonly engine: LayerEngine;
  readonly locks: KeyedLock;
  readonly events: EventSink;
  readonly volumes: VolumeLifecycle;
}

/** Lock of one container, by id. Taken before the locks of volumes. */
export function containerLock(id: string): string {
  return `container:${id}`;
}

/** Lock of a name that is about to be given. */
export function containerNameLock(name: string): string {
  return `container-name:${name}`;
}
