/** The journal's note of a migration, by which each start knows whose data counts. */
import { openIntents } from "../../runtime/store/journal.ts";
import type { Intent } from "../../runtime/store/journal.ts";
import type { Store } from "../../runtime/store/store.ts";
import type { StorageDriverName } from "./port.ts";

/** What the journal says. A type and not an interface, so that it is the record that the journal takes. */
export type MigrationPlan = {
  readonly from: StorageDriverName;
  readonly to: StorageDriverName;
  /** `copy`: `from` counts, `to` holds copies. `clean`: `to` counts, `from` holds what has become superfluous. */
  readonly phase: "copy" | "clean";
  /** Options of both drivers, `DRIVER.OPTION`. */
  readonly fromOptions: Readonly<Record<string, string>>;
  readonly toOptions: Readonly<Record<string, string>>;
};

/** A migration that was begun and neither finished nor given up. */
export interface OpenMigration {
  readonly intent: Intent;
  readonly plan: MigrationPlan;
}

/** The one of a root, if there is one. */
export function openMigration(store: Store): OpenMigration | undefined {
  const intent = openIntents(store).find(({ kind }) => kind === "migrate");
  return intent && { intent, plan: intent.data as unknown as MigrationPlan };
}
