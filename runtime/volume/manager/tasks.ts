/** From planned operations to what the executor runs: the step, its deadline, and the batch it is in. */
import type { Operation } from "../../core/operation.ts";
import type { ActualWorld } from "./actual_world.ts";
import type { DesiredVolume, DesiredWorld } from "./desired_world.ts";
import type { Task } from "./executor.ts";
import { gatherMounts, gatherUnmounts } from "./gathering.ts";
import type { ManagerRoom } from "./manager_room.ts";
import { MountSteps } from "./mount_steps.ts";
import type { RootWorld } from "./root_world.ts";
import type { OperationName, PlannedOperation } from "./states.ts";
import { UnmountSteps } from "./unmount_steps.ts";

/** Milliseconds. A device may have to be found on a network first; a group may have to be given to millions of files. */
const DEADLINES_MS: Readonly<Record<OperationName, number>> = {
  attach: 600_000,
  mount_device: 600_000,
  volume_mount: 122_000,
  expand: 600_000,
  root_mount: 122_000,
  volume_unmount: 122_000,
  unmount_device: 122_000,
  detach: 600_000,
};
const GROUP_DEADLINE_MS = 6 * 3600_000;

/** See the head of the file. */
export class TaskMaker {
  readonly #room: ManagerRoom;
  readonly #desired: DesiredWorld;
  readonly #actual: ActualWorld;
  readonly #roots: RootWorld;
  readonly #up: MountSteps;
  readonly #down: UnmountSteps;

  constructor(room: ManagerRoom, desired: DesiredWorld, actual: ActualWorld, roots: RootWorld) {
    this.#room = room;
    this.#desired = desired;
    this.#actual = actual;
    this.#roots = roots;
    this.#up = new MountSteps(room, actual);
    this.#down = new UnmountSteps(room, actual);
  }

  /** Tasks of operations that start together: of one, or of several mounts or unmounts of one workload. */
  make(operations: readonly PlannedOperation[]): Task[] {
    const { mounter, host } = this.#room;
    const [first] = operations;
    if (first?.name === "volume_mount") {
      const gathering = gatherMounts(operations.length, mounter, host.timer);
      return operations.map((planned) => {
        const wanted = this.#wanted(planned);
        return this.#task(planned, wanted.plugin.name, {
          deadline_ms: wanted.wanted.fsGroup === undefined ? DEADLINES_MS.volume_mount : GROUP_DEADLINE_MS,
          run: (operation) => this.#up.mountVolume(wanted, gathering, this.#hearing(wanted, operation)),
          skip: () => gathering.leave(),
        });
      });
    }
    if (first?.name === "volume_unmount") {
      const gathering = gatherUnmounts(operations.length, mounter, host.timer);
      return operations.map((planned) => {
        const entry = this.#actual.volumes.get(planned.volume!)!;
        return this.#task(planned, entry.plugin, {
          workload: entry.workload,
          run: (operation) => this.#down.unmountVolume(entry, gathering, operation),
          skip: () => gathering.leave(),
        });
      });
    }
    return operations.map((planned) => this.#single(planned));
  }

  #single(planned: PlannedOperation): Task {
    switch (planned.name) {
      case "attach": {
        const wanted = this.#wanted(planned);
        return this.#task(planned, wanted.plugin.name, { run: (operation) => this.#up.attach(wanted, operation) });
      }
      case "mount_device": {
        const wanted = this.#wanted(planned);
        return this.#task(planned, wanted.plugin.name, {
          run: (operation) => this.#up.mountDevice(wanted, this.#hearing(wanted, operation)),
        });
      }
      case "expand": {
        const wanted = this.#wanted(planned);
        return this.#task(planned, wanted.plugin.name, { run: (operation) => this.#up.expand(wanted, operation) });
      }
      case "root_mount":
        return this.#task(planned, "rootfs", { run: (operation) => this.#roots.repair(planned.root!, operation) });
      case "unmount_device": {
        const entry = this.#actual.devices.get(planned.device!)!;
        return this.#task(planned, entry.plugin, { run: (operation) => this.#down.unmountDevice(entry, operation) });
      }
      default: {
        const entry = this.#actual.devices.get(planned.device!)!;
        return this.#task(planned, entry.plugin, { run: (operation) => this.#down.detach(entry, operation) });
      }
    }
  }

  /** What a plugin warns of goes to the events of the workload. */
  #hearing({ workload, wanted }: DesiredVolume, operation: Operation): Operation {
    return {
      ...operation,
      progress: (event) => {
        operation.progress(event);
        if (event.phase !== "warning" || event.message === undefined) return;
        const message = `volume "${wanted.spec.name}": ${event.message}`;
        this.#room.report({ workload, type: "Warning", reason: "VolumeWarning", message });
      },
    };
  }

  #wanted(planned: PlannedOperation): DesiredVolume {
    return this.#desired.volumes.get(planned.volume!)!;
  }

  #task(
    planned: PlannedOperation,
    plugin: string,
    rest: Pick<Task, "run" | "skip" | "workload"> & { readonly deadline_ms?: number },
  ): Task {
    return { planned, plugin, deadline_ms: DEADLINES_MS[planned.name], ...rest };
  }
}
