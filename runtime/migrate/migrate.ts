/**
 * Moves everything that a root's storage driver holds to another driver.
 *
 * The journal has one note of it from the first copy to the last deletion, with the phase: while it says `copy`, the
 * old driver's data is the truth and the new one holds copies, each verified before it counts; the commit that says
 * `clean` makes the new one the truth; then the old data goes. A process that ends in the first phase leaves a root
 * that opens with the old driver as if nothing had been, and a migration that goes on where it stopped or is given up;
 * one that ends in the second leaves deletions that the next start does.
 */
import type { StorageDriver } from "../../drivers/storage/port.ts";
import { driversWithData, optionsOf } from "../../drivers/storage/choose_driver.ts";
import { type MigrationPlan, type OpenMigration, openMigration } from "../../drivers/storage/migration_intent.ts";
import { findContainerRow, readyContainerRows, rwLayerKey } from "../container/container_rows.ts";
import { isLaminaError, LaminaError, messageOf } from "../core/errors.ts";
import type { Operation } from "../core/operation.ts";
import type { MigrationRequest, MigrationResult } from "../core/specs/migrate.ts";
import { faultPoint } from "../host/faults.ts";
import { mountsBelow, readMountTable } from "../host/mount_table.ts";
import { beginIntent, endIntent, updateIntent } from "../store/journal.ts";
import { copyContainers } from "./copy_containers.ts";
import { copyLayers, UNVERIFIED } from "./copy_layers.ts";
import { type MigrationRoom, openBeside } from "./migration_room.ts";
import { removeSnapshots, retireDriver } from "./retire_driver.ts";

/** Containers that an error names. */
const NAMED = 5;

/**
 * Migrates, or goes on with a migration that was interrupted. Nothing else may run.
 *
 * @throws `CONFLICT` (containers are mounted, another migration is under way), `UNSUPPORTED` (the driver cannot work
 * here, or cannot enforce a container's limit), `INVALID_ARGUMENT`; then nothing has changed. What is thrown later
 * leaves the root with the old driver, and the copies for the next attempt.
 */
export async function migrate(
  room: MigrationRoom,
  request: MigrationRequest,
  operation: Operation,
): Promise<MigrationResult> {
  const { store } = room.containers;
  const from = room.current.driver.name, to = request.to;
  const open = openMigration(store);
  refuseNonsense(room, request, open);
  refuseMounted(room);
  const toOptions = { ...open?.plan.toOptions, ...optionsOf(to, room.storageOptions), ...request.storage_options };
  let target: StorageDriver | undefined = await openBeside(room, to, toOptions, operation);
  try {
    await refuseLimits(room, target);
    const fromOptions = optionsOf(from, room.storageOptions);
    const plan: MigrationPlan = { from, to, phase: "copy", fromOptions, toOptions };
    const intent = open?.intent ?? await store.write((tx) => beginIntent(tx, "migrate", `${from} to ${to}`, plan));
    faultPoint("migrate.begun");
    await dropStale(room, target, operation);
    const layers = await copyLayers(room, room.current.driver, target, operation);
    const containers = await copyContainers(room, room.current.driver, target, operation);
    await store.write((tx) => updateIntent(tx, intent, { ...plan, phase: "clean" }));
    faultPoint("migrate.switched");
    const old = room.current.chosen.driver;
    room.current.switchTo(target, `migrated from ${from}`);
    target = undefined;
    room.containers.events.emit({ kind: "system", action: "migrate", id: "lamina", attributes: { from, to } });
    let warning: string | undefined;
    try {
      await clean(room, old, operation);
    } catch (error) {
      // Everything has moved; what is left over is deleted by the next start.
      warning = `The old data of ${from} could not all be deleted, the next start tries again: ${messageOf(error)}`;
    }
    return { from, to, layers, containers, resumed: open !== undefined, ...(warning === undefined ? {} : { warning }) };
  } catch (error) {
    if (target === undefined) throw error;
    throw await leave(room, target, error, operation);
  }
}

/** Gives up a migration: the copies go, the old driver stays. Success when there is none. */
export async function abandonMigration(room: MigrationRoom, operation: Operation): Promise<boolean> {
  const open = openMigration(room.containers.store);
  if (open === undefined || open.plan.phase === "clean") return false;
  const target = await openBeside(room, open.plan.to, open.plan.toOptions, operation);
  await retireDriver(room, target, operation);
  await room.containers.store.write((tx) => endIntent(tx, open.intent), { frees: true });
  return true;
}

/** At a start, after everything else: deletes what a finished migration has left of the old driver. */
export async function finishMigration(room: MigrationRoom, operation: Operation): Promise<void> {
  const open = openMigration(room.containers.store);
  if (open?.plan.phase !== "clean") return;
  await clean(room, await openBeside(room, open.plan.from, open.plan.fromOptions, operation), operation);
}

async function clean(room: MigrationRoom, old: StorageDriver, operation: Operation): Promise<void> {
  await retireDriver(room, old, operation);
  const open = openMigration(room.containers.store);
  if (open !== undefined) await room.containers.store.write((tx) => endIntent(tx, open.intent), { frees: true });
  faultPoint("migrate.finished");
}

/** Copies of what was removed or never verified since they were made. */
async function dropStale(room: MigrationRoom, target: StorageDriver, operation: Operation): Promise<void> {
  const { store } = room.containers;
  const unverified = new Set<string>();
  for await (const { key } of target.walk({ labels: { [UNVERIFIED]: "" } })) unverified.add(key);
  await removeSnapshots(target, (key) => {
    if (unverified.has(key)) return true;
    if (key.startsWith("container/")) return findContainerRow(store, key.slice("container/".length)) === undefined;
    return store.get("SELECT 1 FROM layers WHERE chain_id = ?", key) === undefined;
  }, operation);
}

/** After a failure: what was never begun leaves nothing, the rest stays for the next attempt. */
async function leave(
  room: MigrationRoom,
  target: StorageDriver,
  error: unknown,
  operation: Operation,
): Promise<unknown> {
  const begun = openMigration(room.containers.store);
  if (begun === undefined) {
    const signal = operation.signal.aborted ? AbortSignal.timeout(30_000) : operation.signal;
    await retireDriver(room, target, { ...operation, signal });
    return error;
  }
  await target[Symbol.asyncDispose]();
  if (!isLaminaError(error)) return error;
  return new LaminaError(
    error.code,
    `${error.message}. The root works on with ${begun.plan.from}; "lamina migrate --to ${begun.plan.to}" goes on where ` +
      'it stopped, "lamina migrate --abort" deletes the copies',
    { cause: error, details: error.details },
  );
}

function refuseNonsense(room: MigrationRoom, { to }: MigrationRequest, open: OpenMigration | undefined): void {
  const { name } = room.current.driver;
  if (open !== undefined && open.plan.phase === "clean") {
    throw new LaminaError(
      "CONFLICT",
      `Cannot migrate: the old data of ${open.plan.from} is not all deleted. Start again`,
    );
  }
  if (to === name) {
    throw new LaminaError("CONFLICT", `Cannot migrate to ${to}: the root uses that storage driver already`);
  }
  if (open !== undefined && open.plan.to !== to) {
    throw new LaminaError(
      "CONFLICT",
      `Cannot migrate to ${to}: a migration to ${open.plan.to} was begun. Finish it by "lamina migrate --to ` +
        `${open.plan.to}", or give it up by "lamina migrate --abort"`,
    );
  }
  if (open === undefined && driversWithData(room.containers.store).has(to)) {
    throw new LaminaError("CONFLICT", `Cannot migrate to ${to}: the root holds other snapshots of that driver already`);
  }
}

function refuseMounted(room: MigrationRoom): void {
  const { store, layout } = room.containers;
  const table = readMountTable();
  const mounted = readyContainerRows(store)
    .filter(({ id, mount_wanted }) => mount_wanted === 1 || mountsBelow(table, layout.rootfs(id)).length > 0)
    .map(({ name }) => name);
  if (mounted.length === 0) return;
  throw new LaminaError(
    "CONFLICT",
    `Cannot migrate while containers are mounted: ${namesOf(mounted)}. Stop and unmount them first`,
    { details: { containers: mounted.slice(0, 100) } },
  );
}

async function refuseLimits({ containers: { store }, current }: MigrationRoom, target: StorageDriver): Promise<void> {
  const refused: string[] = [];
  for (const { id, name } of readyContainerRows(store)) {
    const { limit_bytes, limit_inodes } = await current.driver.stat(rwLayerKey(id));
    const { quota, inodeQuota = false } = target.capabilities;
    if ((limit_bytes !== undefined && !quota) || (limit_inodes !== undefined && !inodeQuota)) refused.push(name);
  }
  if (refused.length === 0) return;
  const why = target.status.quota === undefined ? "" : ` (${target.status.quota})`;
  throw new LaminaError(
    "UNSUPPORTED",
    `Cannot migrate to ${target.name}: it cannot enforce the limits of ${namesOf(refused)} here${why}. Remove these ` +
      "containers, or choose a driver or file system with quotas",
    { details: { containers: refused.slice(0, 100) } },
  );
}

function namesOf(names: readonly string[]): string {
  const more = names.length - NAMED;
  return names.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
