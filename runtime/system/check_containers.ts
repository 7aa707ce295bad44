/** Compares the rows of containers with their RW layers, mount points and the mount table. */
import { dirname, join } from "@std/path/posix";
import { isLaminaError } from "../core/errors.ts";
import { mountsBelow } from "../core/mountinfo.ts";
import type { Operation } from "../core/operation.ts";
import { containerLock } from "../container/container_room.ts";
import { type ContainerRow, readyContainerRows, rwLayerKey, specOf } from "../container/container_rows.ts";
import { orphanMountPoints, orphanSnapshots, strayRoots, unmountAll } from "../container/recover_containers.ts";
import { removeMountPoint } from "../container/remove_container.ts";
import { readMountTable } from "../host/mount_table.ts";
import type { CurableFinding } from "./finding.ts";
import type { SystemRoom } from "./system_room.ts";

/** The findings. Containers that an operation holds right now are left out. */
export async function checkContainers(room: SystemRoom, operation: Operation): Promise<CurableFinding[]> {
  const findings: CurableFinding[] = [];
  for (const row of readyContainerRows(room.containers.store)) {
    if (room.containers.locks.isBusy(containerLock(row.id))) continue;
    findings.push(...await checkContainer(room, row, operation));
  }
  return [...findings, ...strayMounts(room, operation), ...await orphans(room, operation)];
}

async function checkContainer(room: SystemRoom, row: ContainerRow, operation: Operation): Promise<CurableFinding[]> {
  const { containers: { driver, layout }, assembler } = room;
  const findings: CurableFinding[] = [];
  const spec = specOf(row);
  const object = `container ${row.name}`;
  try {
    await driver.stat(rwLayerKey(row.id));
  } catch (error) {
    if (!isLaminaError(error, "NOT_FOUND")) throw error;
    findings.push({ kind: "missing-snapshot", object, message: "Its RW layer is gone. Remove the container" });
  }
  const state = assembler.inspect(row.id, spec);
  const covered = state.foreign.includes(layout.rootfs(row.id));
  if (row.mount_wanted === 0 && state.mounted && !covered) {
    findings.push({
      kind: "unwanted-mount",
      object: layout.rootfs(row.id),
      message: `The root of ${object} is mounted though nobody asked for it`,
      repair: () => assembler.dismantle(row.id, spec, { lazy: false }, operation),
    });
  } else if (row.mount_wanted === 1 && state.missing.length > 0) {
    findings.push({
      kind: "missing-mount",
      object: layout.rootfs(row.id),
      message: `${object} should be mounted, but ${state.missing.slice(0, 5).join(", ")} is not`,
      repair: () => assembler.assemble(row.id, spec, operation),
    });
  }
  if (row.mount_wanted === 1 && state.mounted && !await assembler.answers(row.id)) {
    findings.push({
      kind: "missing-mount",
      object: layout.rootfs(row.id),
      message: `The root of ${object} does not answer: the program behind it has ended or is stuck`,
      repair: () => assembler.assemble(row.id, spec, operation),
    });
  }
  for (const target of state.foreign) {
    findings.push({
      kind: "foreign-mount",
      object: target,
      message: target === layout.rootfs(row.id)
        ? `Somebody else has mounted this in the place of the root of ${object}. Unmount it`
        : `Somebody has mounted this inside the root of ${object}: unmount it before the container`,
    });
  }
  return findings;
}

function strayMounts({ containers }: SystemRoom, operation: Operation): CurableFinding[] {
  const table = readMountTable();
  return [...strayRoots(containers, table)].map((id) => {
    const directory = dirname(containers.layout.rootfs(id));
    return {
      kind: "stray-mount",
      object: directory,
      message: "Something is mounted here that belongs to no container",
      repair: () => unmountAll(containers, mountsBelow(table, directory), operation),
    };
  });
}

async function orphans({ containers }: SystemRoom, operation: Operation): Promise<CurableFinding[]> {
  const snapshots = (await orphanSnapshots(containers)).map((key): CurableFinding => ({
    kind: "orphan-snapshot",
    object: key,
    message: "This RW layer belongs to no container",
    repair: () => containers.driver.remove(key, operation),
  }));
  const directories = (await orphanMountPoints(containers)).map((name): CurableFinding => ({
    kind: "orphan-directory",
    object: join(containers.layout.containers, name),
    message: "This mount point belongs to no container",
    repair: async () => {
      if (await removeMountPoint(containers.layout.rootfs(name))) return;
      throw new Error("it is not empty. Move away what is in it");
    },
  }));
  return [...snapshots, ...directories];
}
