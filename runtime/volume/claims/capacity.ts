/** What can still be provisioned, and what the volumes hold: asked of the provisioners now. */
import { messageOf } from "../../core/errors.ts";
import type { Capacity, ClassCapacity, VolumeCapacity } from "../../core/model/capacity.ts";
import type { Operation } from "../../core/operation.ts";
import type { ClaimRoom } from "./claim_room.ts";
import { type Class, classOf, PROVISIONED_BY, type Volume, volumeOf } from "./views.ts";

/** See `ClaimService` in `runtime/services.ts`. */
export class Claims {
  constructor(readonly room: ClaimRoom) {}

  async capacity(operation: Operation): Promise<Capacity> {
    const { objects } = this.room;
    const classes: ClassCapacity[] = [];
    for (const object of objects.list("StorageClass")) classes.push(await this.#class(classOf(object), operation));
    const volumes: VolumeCapacity[] = [];
    for (const object of objects.list("PersistentVolume")) {
      volumes.push(await this.#volume(volumeOf(object), operation));
    }
    return { classes, volumes };
  }

  async #class({ name, provisioner, parameters }: Class, operation: Operation): Promise<ClassCapacity> {
    const told = { storage_class: name, provisioner };
    const found = this.room.provisioners.get(provisioner);
    if (found === undefined) return { ...told, error: `there is no provisioner "${provisioner}" here` };
    try {
      return { ...told, ...await found.capacity(parameters, operation) };
    } catch (error) {
      operation.signal.throwIfAborted();
      return { ...told, error: messageOf(error) };
    }
  }

  async #volume(volume: Volume, operation: Operation): Promise<VolumeCapacity> {
    const { name, capacity_bytes, claim, phase = "" } = volume;
    const told = {
      name,
      ...(claim === undefined ? {} : { claim: `${claim.namespace}/${claim.name}` }),
      storage_class: volume.class,
      phase,
      capacity_bytes,
    };
    const provisioner = this.room.provisioners.get(volume.annotations[PROVISIONED_BY] ?? "");
    try {
      const usage = await provisioner?.usage?.(volume.source, operation);
      return usage === undefined ? told : { ...told, used_bytes: usage.used_bytes };
    } catch {
      operation.signal.throwIfAborted();
      // It may be on its way out; who mounts it is told what is wrong with it.
      return told;
    }
  }
}
