/** The schema, as steps that only ever go forward. */
import type { DatabaseSync } from "node:sqlite";
import { LaminaError } from "../core/errors.ts";
import { initialSchema } from "./schema/0001_initial.ts";
import { limitsSchema } from "./schema/0002_limits.ts";
import { unionsSchema } from "./schema/0003_unions.ts";
import { objectsSchema } from "./schema/0004_objects.ts";
import { actualWorldSchema } from "./schema/0005_actual_world.ts";
import { volumeUsesSchema } from "./schema/0006_volume_uses.ts";
import { containerMountsSchema } from "./schema/0007_container_mounts.ts";

/** Step N brings version N-1 to N. Never edit one that was released: append. */
const steps: readonly string[] = [
  initialSchema,
  limitsSchema,
  unionsSchema,
  objectsSchema,
  actualWorldSchema,
  volumeUsesSchema,
  containerMountsSchema,
];

/** Version of the schema that this code reads and writes. */
export const SCHEMA_VERSION = steps.length;

/**
 * Brings the schema up to date, one transaction a step.
 *
 * @throws `UNSUPPORTED` when the database is newer than this program.
 */
export function migrate(db: DatabaseSync): void {
  const { user_version: found } = db.prepare("PRAGMA user_version").get() as { user_version: number };
  if (found > SCHEMA_VERSION) {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot open the root: its database has schema version ${found}, this program knows up to ${SCHEMA_VERSION}. Use the newer program`,
      { details: { found, supported: SCHEMA_VERSION } },
    );
  }
  for (let version = found; version < SCHEMA_VERSION; version++) {
    db.exec("BEGIN IMMEDIATE");
    try {
      db.exec(steps[version]!);
      db.exec(`PRAGMA user_version=${version + 1}; COMMIT`);
    } catch (error) {
      if (db.isTransaction) db.exec("ROLLBACK");
      throw error;
    }
  }
}
