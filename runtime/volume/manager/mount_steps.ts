/**
 * The steps that bring a volume up: attach, mount the device, set the volume up, grow it.
 *
 * Each writes its row before its first effect and is safe to be done again. What a failure means for the state is
 * decided here, because only the step knows how far it came.
 */
import { dirname } from "@std/path/posix";
import { failureClass, type SetUpRequest } from "../../../drivers/volume/port.ts";
import { abortable } from "../../core/keyed_lock.ts";
import { LaminaError, toLaminaError } from "../../core/errors.ts";
import { type Mount, mountAt } from "../../core/mount.ts";
import type { Operation } from "../../core/operation.ts";
import { faultPoint } from "../../host/faults.ts";
import type { ActualDevice, ActualVolume, ActualWorld, Place } from "./actual_world.ts";
import type { DesiredVolume } from "./desired_world.ts";
import type { MountGathering } from "./gathering.ts";
import type { ManagerRoom } from "./manager_room.ts";
import { describeMount, isBind, isMadeBy, isRecursive, topMount } from "./presence.ts";
import { bindSurvivors, bringBackParts, findParts, findSurvivors, type SurvivingPart } from "./surviving_mount.ts";

/** What taking back may last. */
const UNDO_MS = 30_000;

/** See the head of the file. */
export class MountSteps {
  readonly #room: ManagerRoom;
  readonly #actual: ActualWorld;
  readonly #boot: string;

  constructor(room: ManagerRoom, actual: ActualWorld) {
    this.#room = room;
    this.#actual = actual;
    this.#boot = room.host.bootId();
  }

  /** Brings the device to this node. */
  async attach(wanted: DesiredVolume, operation: Operation): Promise<void> {
    const { entry } = this.#actual.enterDevice(wanted);
    const before = entry.attach;
    entry.attach = "Uncertain";
    try {
      await this.#note(entry, before, () => entry.attach = before);
      entry.devicePath = await wanted.plugin.attacher!.attach(wanted.wanted.spec, operation);
    } catch (error) {
      // What failed for good now may have succeeded before: only what was not there is not there.
      const kind = failureClass(toLaminaError(error, "Cannot attach"));
      if (kind === "transient" || (kind === "final" && before === "No")) entry.attach = before;
      throw error;
    }
    // Detaching after a restart needs the device's name.
    await this.#room.journal.putDevice(entry, this.#boot);
    entry.attach = "Yes";
  }

  /** Mounts the device for all workloads of the volume. */
  async mountDevice(wanted: DesiredVolume, operation: Operation): Promise<void> {
    const { host } = this.#room;
    const { entry } = this.#actual.enterDevice(wanted);
    const before = entry.device;
    entry.device = "Uncertain";
    try {
      await this.#note(entry, before, () => entry.device = before);
      if (!wanted.isInPlace) host.makePlace(entry.path, "directory");
      this.#refuseOthers(entry.path, entry.places);
      await bindSurvivors(this.#room, findSurvivors(this.#room, this.#actual, entry), operation);
      const parts = findParts(this.#room, this.#actual, entry);
      await this.#forgetLost(entry);
      const { spec } = wanted.wanted;
      await wanted.plugin.deviceMounter!.mountDevice(
        { spec, path: entry.path, devicePath: entry.devicePath },
        operation,
      );
      if (parts.length > 0) await this.#bringBackParts(wanted, entry.path, parts, operation);
    } catch (error) {
      const kind = failureClass(toLaminaError(error, "Cannot mount the device"));
      if (kind === "final" && host.mountIdAt(entry.path) === undefined) entry.device = "NotMounted";
      if (kind === "transient") entry.device = before;
      throw error;
    }
    faultPoint("manager.device_mounted");
    if (wanted.isInPlace) entry.path = this.#actual.pathOf(wanted);
    entry.places = this.#placesNow([{ target: entry.path, recursive: false }]);
    entry.device = "GloballyMounted";
    entry.isGivenUp = false;
    if (wanted.isInPlace) this.#noteSeen(entry);
  }

  /** Makes the volume usable in its workload, or again what it is already. */
  async mountVolume(wanted: DesiredVolume, gathering: MountGathering, operation: Operation): Promise<void> {
    let waits = true;
    const leave = () => {
      if (waits) gathering.leave();
      waits = false;
    };
    if (wanted.isInPlace) {
      leave();
      return this.#useInPlace(wanted);
    }
    const { entry, isNew } = this.#actual.enterVolume(wanted);
    const before = entry.state;
    let setUp = false;
    try {
      // From now on it counts as one that may be there.
      if (before === "NotMounted") entry.state = "Uncertain";
      if (isNew) {
        await this.#putNew(entry);
        faultPoint("manager.row_written");
      }
      const { host } = this.#room;
      this.#needDevice(wanted);
      host.makePlace(dirname(entry.path), "directory");
      await bindSurvivors(this.#room, findSurvivors(this.#room, this.#actual, entry), operation);
      const parts = findParts(this.#room, this.#actual, entry);
      const mounts = (await wanted.plugin.setUp(this.#request(wanted, entry), operation) ?? [])
        .map((mount) => mountAt(mount, this.#targetIn(entry, mount)));
      setUp = true;
      faultPoint("manager.set_up");
      const missing = await this.#missing(wanted, entry, mounts, operation);
      if (missing.length > 0) {
        waits = false;
        await gathering.join(missing, operation.signal);
        faultPoint("manager.mounted");
      }
      leave();
      if (parts.length > 0) await this.#bringBackParts(wanted, entry.path, parts, operation);
      entry.places = this.#placesNow([
        ...mounts.map((mount) => ({ target: mount.target, recursive: isRecursive(mount) })),
        { target: entry.path, recursive: false },
      ], entry.places);
      // Otherwise what was bound is the empty directory that the device was mounted on.
      this.#needDevice(wanted);
      entry.isUnknown = false;
      await this.#applyGroup(wanted, entry, operation);
    } catch (error) {
      leave();
      // What is up stays what it is: a failed refresh harms nobody.
      if (entry.state === "Mounted") throw error;
      const kind = failureClass(toLaminaError(error, "Cannot mount"));
      const isThere = setUp || this.#room.host.mountIdAt(entry.path) !== undefined;
      if (isThere || kind === "uncertain") entry.state = "Uncertain";
      else entry.state = kind === "final" ? "NotMounted" : before;
      throw error;
    }
    if (entry.state !== "Mounted") entry.size_bytes = undefined;
    entry.revision = wanted.revision;
    entry.refresh = wanted.refresh;
    entry.state = "Mounted";
  }

  /** What its device's mount has made usable. Nothing to be undone, so no row: the device has one. */
  #useInPlace(wanted: DesiredVolume): void {
    this.#needDevice(wanted);
    const { entry } = this.#actual.enterVolume(wanted);
    entry.path = this.#actual.devices.get(wanted.deviceKey)!.path;
    entry.revision = wanted.revision;
    entry.refresh = wanted.refresh;
    entry.state = "Mounted";
  }

  /** Makes the volume as large as it is wanted; told only when it has grown. */
  async expand(wanted: DesiredVolume, operation: Operation): Promise<void> {
    const entry = this.#actual.volumes.get(wanted.key)!;
    const size_bytes = wanted.size_bytes!;
    const path = wanted.deviceMountable ? this.#actual.devices.get(wanted.deviceKey)!.path : entry.path;
    const { spec } = wanted.wanted;
    const before_bytes = entry.size_bytes;
    const grown = await wanted.plugin.expand!({ spec, path, size_bytes }, operation);
    // The others see the same device.
    for (const volume of this.#actual.volumes.values()) {
      if (volume.deviceKey === wanted.deviceKey) volume.size_bytes = size_bytes;
    }
    await this.#room.journal.putVolume(entry, this.#boot);
    // What comes up as large as it is wanted has not grown; what its provisioner has grown meanwhile has.
    if (grown !== true && (grown === false || before_bytes === undefined)) return;
    const { workload } = wanted;
    const message = `expand succeeded for volume "${spec.name}"`;
    this.#room.report({ workload, type: "Normal", reason: "FileSystemResizeSuccessful", message });
  }

  /** @throws `UNAVAILABLE` when somebody has unmounted the device that the volume is made from. */
  #needDevice({ deviceMountable, deviceKey }: DesiredVolume): void {
    const device = this.#actual.devices.get(deviceKey);
    if (!deviceMountable || device === undefined) return;
    const isThere = device.places.every(({ target, mountId }) => {
      const id = this.#room.host.mountIdAt(target);
      return id !== undefined && (mountId === undefined || mountId === id);
    });
    if (isThere && device.device === "GloballyMounted") return;
    device.device = "Uncertain";
    throw new LaminaError("UNAVAILABLE", `Somebody has unmounted or covered the volume's device at ${device.path}`, {
      details: { path: device.path, failure_class: "transient" },
    });
  }

  #request(wanted: DesiredVolume, entry: ActualVolume): SetUpRequest {
    const device = this.#actual.devices.get(wanted.deviceKey);
    return {
      spec: wanted.wanted.spec,
      workload: wanted.workload,
      path: entry.path,
      ...(wanted.deviceMountable && { deviceMountPath: device!.path }),
      ...(device?.devicePath !== undefined && { devicePath: device.devicePath }),
      ...(wanted.wanted.fsGroup !== undefined && { fsGroup: wanted.wanted.fsGroup }),
      objects: this.#room.objects,
    };
  }

  /** Commits the row of a volume that nothing was done for yet. */
  async #putNew(entry: ActualVolume): Promise<void> {
    try {
      await this.#room.journal.putVolume(entry, this.#boot);
    } catch (error) {
      this.#actual.removeVolume(entry);
      throw error;
    }
  }

  /** Commits that something may be there from now on. */
  async #note(entry: ActualDevice, before: "No" | "Yes" | ActualDevice["device"], undo: () => void): Promise<void> {
    if (before !== "No" && before !== "NotMounted") return;
    try {
      await this.#room.journal.putDevice(entry, this.#boot);
    } catch (error) {
      undo();
      if (entry.attach === "No" && entry.device === "NotMounted") this.#actual.devices.delete(entry.key);
      throw error;
    }
    faultPoint("manager.row_written");
  }

  #targetIn(entry: ActualVolume, mount: Mount): string {
    if (mount.target === "" || mount.target === entry.path) return entry.path;
    if (mount.target.startsWith(`${entry.path}/`)) return mount.target;
    throw new LaminaError(
      "INTERNAL",
      `The volume plugin ${entry.plugin} wants to mount at ${mount.target}, outside of ${entry.path}`,
    );
  }

  /** Those that are to be mounted; their mount points are there then. */
  async #missing(
    wanted: DesiredVolume,
    entry: ActualVolume,
    mounts: readonly Mount[],
    operation: Operation,
  ): Promise<Mount[]> {
    const missing: Mount[] = [];
    for (const mount of mounts) {
      if (missing.length === 0 && await this.#isThere(wanted, entry, mount, operation)) continue;
      // Below a mount that is still to come there is nothing to be made.
      if (missing.some(({ target }) => mount.target.startsWith(`${target}/`))) {
        missing.push(mount);
        continue;
      }
      const kind = isBind(mount)
        ? await abortable(this.#room.host.kindOf(mount.source), operation.signal)
        : "directory";
      this.#room.host.makePlace(mount.target, kind);
      missing.push(mount);
    }
    // A mount that somebody has taken away is expected no more until it is back.
    if (missing.length > 0) {
      entry.places = entry.places.filter(({ target }) => missing.every((m) => m.target !== target));
    }
    return missing;
  }

  async #isThere(
    wanted: DesiredVolume,
    entry: ActualVolume,
    mount: Mount,
    operation: Operation,
  ): Promise<boolean> {
    const { host, mounter } = this.#room;
    const { signal } = operation;
    const id = host.mountIdAt(mount.target);
    if (id === undefined) return false;
    const table = host.mountTable();
    const top = topMount(table, mount.target);
    if (top === undefined) return false;
    const source = isBind(mount) ? await abortable(host.canonical(mount.source), signal) : mount.source;
    if (isMadeBy(top, mount, source, table)) return true;
    const place = entry.places.find(({ target }) => target === mount.target);
    const isOurs = place === undefined
      ? entry.isUnknown
      : place.mountId === id || (place.seen?.device === top.device && place.seen.root === top.root);
    if (!isOurs) throw takenPlace(mount.target, describeMount(top));
    // Of what is up nobody takes anything away. Otherwise it is what was made from a device that is another one now.
    if (entry.state === "Mounted") return true;
    // Or the device has just been taken away, and this still shows it.
    this.#needDevice(wanted);
    await mounter.unmount([mount.target], { signal });
    return await this.#isThere(wanted, entry, mount, operation);
  }

  /** @throws `CONFLICT` when another mount is where ours was seen. */
  #refuseOthers(path: string, places: readonly Place[]): void {
    const place = places.find(({ target }) => target === path);
    const id = place && this.#room.host.mountIdAt(path);
    if (id === undefined || id === place!.mountId) return;
    const entry = topMount(this.#room.host.mountTable(), path);
    const { seen, mountId } = place!;
    const isOurs = seen === undefined
      ? mountId === undefined
      : entry?.device === seen.device && entry.root === seen.root;
    if (entry === undefined || isOurs) return;
    throw takenPlace(path, describeMount(entry));
  }

  /** Until all parts are in it the new volume is nobody's: half of it would be taken for the whole. */
  async #bringBackParts(
    { workload, wanted }: DesiredVolume,
    path: string,
    parts: readonly SurvivingPart[],
    operation: Operation,
  ): Promise<void> {
    const { mounter, report } = this.#room;
    const names = parts.map(({ part }) => part).join(", ");
    try {
      await bringBackParts(this.#room, path, parts, operation);
    } catch (error) {
      await mounter.unmount([path], { signal: AbortSignal.timeout(UNDO_MS), lazy: true });
      throw error;
    }
    report({
      workload,
      type: "Warning",
      reason: "VolumeRestored",
      message:
        `volume "${wanted.spec.name}" in memory was unmounted by somebody. Its containers still had ${names}: that is ` +
        "in it again, the rest is lost",
      volume: wanted.spec.name,
    });
  }

  /** A mount that somebody has taken away is expected no more: the next one has another identity. */
  async #forgetLost(entry: ActualDevice): Promise<void> {
    if (entry.places.every(({ target }) => this.#room.host.mountIdAt(target) !== undefined)) return;
    entry.places = [];
    await this.#room.journal.putDevice(entry, this.#boot);
  }

  /** What is used in place may have to be found again at once, should somebody take it away. */
  #noteSeen(entry: ActualDevice): void {
    const [place] = entry.places;
    const top = place && topMount(this.#room.host.mountTable(), place.target);
    if (top === undefined) return;
    place!.seen = { device: top.device, root: top.root };
    // Without the row, the next start mounts the device once more: nothing is lost.
    this.#room.journal.putDevice(entry, this.#boot).catch(() => {});
  }

  /** Where mounts are now, of the places where some may be. */
  #placesNow(wanted: ReadonlyArray<Omit<Place, "seen">>, before: readonly Place[] = []): Place[] {
    const places = new Map<string, Place>();
    for (const { target, recursive } of wanted) {
      const mountId = this.#room.host.mountIdAt(target);
      if (mountId === undefined || places.has(target)) continue;
      const known = before.find((place) => place.target === target && place.mountId === mountId);
      places.set(target, known ?? { target, recursive, mountId });
    }
    return [...places.values()];
  }

  async #applyGroup({ wanted, plugin }: DesiredVolume, entry: ActualVolume, operation: Operation): Promise<void> {
    const { fsGroup, fsGroupChangePolicy, spec } = wanted;
    if (fsGroup === undefined || !plugin.capabilities.fsGroup || spec.volume_mode === "Block" || spec.read_only) return;
    const onMismatch = fsGroupChangePolicy === "OnRootMismatch";
    await this.#room.groups.setGroup({ path: entry.path, gid: fsGroup, read_only: false, onMismatch }, operation);
  }
}

function takenPlace(path: string, what: string): LaminaError {
  return new LaminaError(
    "CONFLICT",
    `Cannot mount at ${path}: somebody else has mounted ${what} there. Unmount that, then this goes on by itself`,
    { details: { path, failure_class: "transient" } },
  );
}
