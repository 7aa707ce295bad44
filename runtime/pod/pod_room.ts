/** What pods are brought up with. */
import type { NodeView } from "../volume/claims/selectors.ts";
import type { VolumeManager } from "../volume/manager/port.ts";
import type { ObjectEvent, ObjectStore } from "../objects/port.ts";
import type { ContainerService, ImageService } from "../services.ts";
import type { Slots } from "./slots.ts";

/** See the head of the file. */
export interface PodRoom {
  readonly objects: ObjectStore & {
    /** Called for each event, counted or new. @returns stops it. */
    watchEvents(listener: (event: ObjectEvent) => void): () => void;
  };
  readonly manager: Pick<VolumeManager, "desire" | "release" | "ready" | "gone" | "objectChanged">;
  readonly containers: Pick<ContainerService, "create" | "mount" | "unmount" | "inspect" | "remove" | "list">;
  readonly images: Pick<ImageService, "inspect">;
  readonly node: NodeView;
  /** How many containers are made or removed at a time. */
  readonly slots: Slots;
}

/** Set by the store in every pod; taken away when nothing of it is left on the node. */
export const POD_FINALIZER = "lamina.dev/volumes";
