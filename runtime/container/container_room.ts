/** What containers are made with. */
import type { LayerEngine } from "../../drivers/storage/layer/engine.ts";
import type { StorageDriver } from "../../drivers/storage/port.ts";
import type { EventSink } from "../core/event_bus.ts";
import type { KeyedLock } from "../core/keyed_lock.ts";
import type { RootLayout } from "../core/root_layout.ts";
import type { Mounter } from "../host/mounter.ts";
import type { Store } from "../store/store.ts";
import type { KeptRoots } from "../volume/manager/port.ts";
import type { VolumeAccess } from "../volume/volume_access.ts";
import type { VolumeLifecycle } from "../volume/volume_lifecycle.ts";
import type { MountSources } from "./mount_sources.ts";

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
  readonly access: VolumeAccess;
  readonly sources: MountSources;
  /** Told of roots that shall stay mounted. Absent: nobody watches them. */
  readonly kept?: KeptRoots;
}

/** Lock of one container, by id. Taken before the locks of volumes. */
export function containerLock(id: string): string {
  return `container:${id}`;
}

/** Held while views of images are made for a container that is not there yet. */
export function viewLock(containerId: string): string {
  return `container-view:${containerId}`;
}

/** Lock of a name that is about to be given. */
export function containerNameLock(name: string): string {
  return `container-name:${name}`;
}
