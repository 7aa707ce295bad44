/**
 * The steps that take a volume down: unmount and tear down, unmount the device, detach. They need no spec, find what is
 * not there to be success, and leave alone what others have mounted.
 */
import { dirname } from "@std/path/posix";
import { isLaminaError, LaminaError } from "../../core/errors.ts";
import { mountsBelow } from "../../core/mountinfo.ts";
import type { Operation } from "../../core/operation.ts";
import { faultPoint } from "../../host/faults.ts";
import type { ActualDevice, ActualVolume, ActualWorld, Place } from "./actual_world.ts";
import type { UnmountGathering } from "./gathering.ts";
import type { ManagerRoom } from "./manager_room.ts";
import { describeMount, topMount } from "./presence.ts";

/** Mounts can be stacked at one place, after a crash: how often is looked again. */
const MAX_ROUNDS = 8;

/** See the head of the file. */
export class UnmountSteps {
  readonly #room: ManagerRoom;
  readonly #actual: ActualWorld;
  readonly #boot: string;

  constructor(room: ManagerRoom, actual: ActualWorld) {
    this.#room = room;
    this.#actual = actual;
    this.#boot = room.host.bootId();
  }

  /** Unmounts a volume of a workload and takes away what was made for it. */
  async unmountVolume(entry: ActualVolume, gathering: UnmountGathering, operation: Operation): Promise<void> {
    if (entry.isInPlace) {
      gathering.leave();
      return this.#actual.removeVolume(entry);
    }
    let waits = true;
    try {
      const plugin = this.#room.plugins.byName(entry.plugin);
      // Whatever comes of it: it cannot be counted on any more.
      if (entry.state === "Mounted") entry.state = "Uncertain";
      const targets = await this.#targetsOf(entry, operation);
      waits = false;
      if (targets.length > 0) await this.#unmount(entry, targets, gathering, operation);
      else gathering.leave();
      await this.#unmountRest(entry, operation);
      faultPoint("manager.unmounted");
      await plugin.tearDown({ name: entry.volume, workloadUid: entry.workloadUid, path: entry.path }, operation);
      const { host, layout } = this.#room;
      host.removePlace(entry.path);
      host.removeEmptyAbove(dirname(entry.path), layout.pods);
    } finally {
      if (waits) gathering.leave();
    }
    faultPoint("manager.torn_down");
    await this.#room.journal.forgetVolume(entry);
    this.#actual.removeVolume(entry);
  }

  /** With those of the workload's other volumes; out of sight if nobody answers and nobody cares. */
  async #unmount(
    entry: ActualVolume,
    targets: readonly string[],
    gathering: UnmountGathering,
    { signal }: Operation,
  ): Promise<void> {
    try {
      await gathering.join(targets, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!entry.isGivenUp || !isLaminaError(error, "DEADLINE_EXCEEDED", "UNAVAILABLE")) throw error;
      await this.#room.mounter.unmount(targets, { signal, force: true, lazy: true });
    }
  }

  /** Unmounts a device that no workload uses. */
  async unmountDevice(entry: ActualDevice, operation: Operation): Promise<void> {
    const { host, journal, plugins } = this.#room;
    const mounter = plugins.byName(entry.plugin).deviceMounter;
    const isInPlace = mounter?.placeOf !== undefined;
    if (isInPlace) entry.places.forEach((place) => this.#refuseOthers(place));
    else this.#refuseReferences(entry);
    entry.device = "Uncertain";
    const { volumeId, path, isGivenUp: force = false } = entry;
    await mounter?.unmountDevice({ volumeId, path, force }, operation);
    if (!isInPlace && host.mountIdAt(entry.path) !== undefined) {
      throw new LaminaError("CONFLICT", `Cannot unmount ${entry.path}: something is still mounted there`, {
        details: { path: entry.path },
      });
    }
    faultPoint("manager.device_unmounted");
    entry.device = "NotMounted";
    entry.places = [];
    if (entry.attach === "No") await this.#forget(entry);
    else await journal.putDevice(entry, this.#boot);
  }

  /** Takes a device away from this node. */
  async detach(entry: ActualDevice, operation: Operation): Promise<void> {
    const attacher = this.#room.plugins.byName(entry.plugin).attacher;
    if (entry.attach !== "No") {
      entry.attach = "Uncertain";
      await attacher?.detach(entry.volumeId, entry.devicePath ?? "", operation);
      entry.attach = "No";
    }
    await this.#forget(entry);
  }

  async #forget(entry: ActualDevice): Promise<void> {
    const { host, layout, plugins } = this.#room;
    if (plugins.byName(entry.plugin).deviceMounter?.placeOf === undefined) {
      host.removePlace(entry.path);
      host.removeEmptyAbove(dirname(entry.path), layout.plugins);
    }
    await this.#room.journal.forgetDevice(entry);
    this.#actual.devices.delete(entry.key);
  }

  /** What is mounted for a volume, topmost first. @throws `CONFLICT` when others' mounts are in its place. */
  async #targetsOf(entry: ActualVolume, operation: Operation): Promise<string[]> {
    const places: Place[] = [...entry.places];
    if (!places.some(({ target }) => target === entry.path)) {
      // Not known to be a mount point: after a crash it may be one all the same, with all that came with it.
      places.push({ target: entry.path, recursive: true });
    }
    const targets: string[] = [];
    for (const place of places) {
      const id = this.#room.host.mountIdAt(place.target);
      if (id === undefined) continue;
      if (place.mountId !== id) this.#refuseOthers(place);
      targets.push(...place.recursive ? await this.#below(place.target, operation) : [place.target]);
    }
    return [...new Set(targets)].sort((a, b) => b.length - a.length);
  }

  /** One more look: a crash can have left a mount upon a mount. */
  async #unmountRest(entry: ActualVolume, operation: Operation): Promise<void> {
    for (let round = 0;; round++) {
      const left = await this.#targetsOf(entry, operation);
      if (left.length === 0) return;
      if (round === MAX_ROUNDS) {
        throw new LaminaError("CONFLICT", `Cannot unmount ${left[0]}: something mounts it again and again`);
      }
      await this.#room.mounter.unmount(left, { signal: operation.signal });
    }
  }

  /** The mounts at and below a recursive bind, topmost first, so that unmounting them does not reach the source. */
  async #below(target: string, operation: Operation): Promise<string[]> {
    const entries = mountsBelow(this.#room.host.mountTable(), target);
    // A bind that still shares its mounts (killed between its two steps) would take the host's own along.
    if (entries.some(({ propagation }) => propagation.some((p) => p.startsWith("shared:")))) {
      const alone = { type: "none", source: "none", target, options: ["rprivate"] };
      await this.#room.mounter.mount([alone], { signal: operation.signal });
    }
    return entries.map((entry) => entry.target).reverse();
  }

  #refuseOthers({ target, seen, mountId }: Place): void {
    const top = topMount(this.#room.host.mountTable(), target);
    if (top === undefined || (seen === undefined && mountId === undefined)) return;
    if (seen === undefined ? BigInt(top.id) === mountId : top.device === seen.device && top.root === seen.root) return;
    throw new LaminaError(
      "CONFLICT",
      `Cannot unmount ${target}: somebody else has mounted ${describeMount(top)} there. Unmount that, then this goes ` +
        "on by itself",
      { details: { path: target } },
    );
  }

  /** @throws `CONFLICT` while the same file system is mounted elsewhere, too: the device is still in use. */
  #refuseReferences(entry: ActualDevice): void {
    const table = this.#room.host.mountTable();
    const own = topMount(table, entry.path);
    if (own === undefined) return;
    const place = entry.places.find(({ target }) => target === entry.path);
    if (place !== undefined) this.#refuseOthers(place);
    const others = table.filter(({ device, root, target, deleted }) =>
      device === own.device && root === own.root && target !== entry.path && !deleted
    );
    if (others.length === 0) return;
    const names = others.slice(0, 5).map(({ target }) => target);
    throw new LaminaError(
      "CONFLICT",
      `Cannot unmount the volume at ${entry.path}: it is mounted at ${names.join(", ")}, too. Unmount it there first`,
      { details: { path: entry.path, targets: names } },
    );
  }
}
