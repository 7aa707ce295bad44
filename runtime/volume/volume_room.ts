/** What the verbs about volumes work with. */
import type { LayerEngine } from "../../drivers/storage/layer/engine.ts";
import type { LocalDriver } from "../../drivers/volume/named/local/local_driver.ts";
import type { VolumeDrivers } from "../../drivers/volume/named/volume_drivers.ts";
import { LaminaError } from "../core/errors.ts";
import type { EventSink } from "../core/event_bus.ts";
import type { KeyedLock } from "../core/keyed_lock.ts";
import type { RootLayout } from "../core/root_layout.ts";
import type { Store } from "../store/store.ts";
import type { VolumeRow } from "./volume_rows.ts";

/** What volumes are made with. */
export interface VolumeRoom {
  readonly store: Store;
  readonly layout: RootLayout;
  readonly engine: LayerEngine;
  readonly locks: KeyedLock;
  readonly events: EventSink;
  /** Every kind of named volume, `local` included. */
  readonly drivers: VolumeDrivers;
  readonly local: LocalDriver;
}

/** Lock of one volume. Whoever adds or removes the volume or a use of it holds this. */
export function volumeLock(name: string): string {
  return `volume:${name}`;
}

/** @throws `UNSUPPORTED` for a volume of a plugin. */
export function assertLocal(attempted: string, row: VolumeRow): void {
  if (row.driver === "local") return;
  throw new LaminaError(
    "UNSUPPORTED",
    `${attempted}: only volumes of the driver "local" can do that, and this one is of "${row.driver}"`,
    { details: { volume: row.name, driver: row.driver } },
  );
}

/** @throws `CONFLICT` naming the users, when there are some. */
export function refuseUsed(attempted: string, name: string, users: readonly string[]): void {
  if (users.length === 0) return;
  // Names of containers have no blanks; others say what they are.
  const isContainer = (user: string) => !user.includes(" ");
  const shown = users.slice(0, 5).map((user) => isContainer(user) ? `container "${user}"` : `"${user}"`).join(", ");
  const advice = users.every(isContainer)
    ? `Remove ${users.length === 1 ? "the container" : "them"} first`
    : "It is free when they let go of it";
  throw new LaminaError(
    "CONFLICT",
    `${attempted}: it is used by ${shown}${users.length > 5 ? ", …" : ""}. ${advice}`,
    { details: { volume: name, used_by: users.slice(0, 100) } },
  );
}
