/** Which storage driver a root is opened with. */
import { isLaminaError, LaminaError, messageOf } from "../../runtime/core/errors.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import { makeDirectoryDurably } from "../../runtime/host/durable.ts";
import type { Store } from "../../runtime/store/store.ts";
import type { DriverContext, DriverFactory } from "./driver_factory.ts";
import { openMigration } from "./migration_intent.ts";
import type { StorageDriver, StorageDriverName } from "./port.ts";

/** What the choice is made from. */
export interface DriverChoiceContext extends Omit<DriverContext, "directory"> {
  /** The best first; all that this program has. */
  readonly factories: readonly DriverFactory[];
  /** A driver's name, or `auto` (also when absent). */
  readonly configured?: string;
  /** Absolute path of a driver's own directory. */
  readonly directoryOf: (name: StorageDriverName) => string;
}

/** The choice. */
export interface ChosenDriver {
  /** Open, but not recovered yet. */
  readonly driver: StorageDriver;
  /** A sentence for `lamina info`. */
  readonly why: string;
  /** Better ones that cannot work here, and why. */
  readonly passedOver: readonly { readonly name: StorageDriverName; readonly reason: string }[];
}

/**
 * Opens the driver that is configured, or that holds this root's data already, or the first one that works here.
 *
 * @throws `INVALID_ARGUMENT` (unknown name or option), `UNSUPPORTED` (none works, or the needed one does not; with the
 * reasons), `CONFLICT` when the root holds data of another driver than the configured one.
 */
export async function chooseDriver(context: DriverChoiceContext, operation: Operation): Promise<ChosenDriver> {
  const { candidates, why } = candidatesOf(context);
  refuseForeignOptions(context, candidates);
  const passedOver: { name: StorageDriverName; reason: string }[] = [];
  for (const factory of candidates) {
    try {
      const driver = await openDriver(factory, context, operation);
      return { driver, why: why ?? reasonFor(factory.name, passedOver), passedOver };
    } catch (error) {
      if (!isLaminaError(error, "UNSUPPORTED")) throw error;
      passedOver.push({ name: factory.name, reason: error.message });
    }
  }
  throw new LaminaError(
    "UNSUPPORTED",
    `Cannot open the root with ${candidates.map(({ name }) => name).join(" or ")}${
      why === undefined ? "" : ` (${why})`
    }: ${passedOver.map(({ reason }) => reason).join("; ")}`,
  );
}

/**
 * How many snapshots of each driver a root holds. What a migration has copied, or has still to delete, does not count.
 */
export function driversWithData(store: Store): Map<string, number> {
  const migration = openMigration(store)?.plan;
  const ignored = migration === undefined ? "" : migration.phase === "copy" ? migration.to : migration.from;
  const rows = store.all<{ driver: string; count: number }>(
    "SELECT driver, count(*) AS count FROM snapshots WHERE driver <> ? GROUP BY driver ORDER BY driver",
    ignored,
  );
  return new Map(rows.map(({ driver, count }) => [driver, count]));
}

function candidatesOf({ factories, configured, store, options }: DriverChoiceContext): {
  candidates: readonly DriverFactory[];
  /** Absent: the first that works. */
  why?: string;
} {
  const named = (name: string) => factories.find((factory) => factory.name === name);
  const held = driversWithData(store);
  const [heldName, heldCount] = [...held][0] ?? [];
  if (configured !== undefined && configured !== "auto") {
    const factory = named(configured);
    if (factory === undefined) {
      throw new LaminaError(
        "INVALID_ARGUMENT",
        `Unknown storage driver "${configured.slice(0, 80)}": there are auto, ${
          factories.map(({ name }) => name).join(", ")
        }`,
      );
    }
    if (heldName !== undefined && !held.has(configured)) {
      throw new LaminaError(
        "CONFLICT",
        `Cannot open the root with the storage driver ${configured}: it holds ${heldCount} snapshots of ${heldName}, ` +
          `which ${configured} cannot read. Start it with --storage-driver ${heldName} and move the data by ` +
          `"lamina migrate --to ${configured}", or use another root`,
        { details: { configured, found: heldName } },
      );
    }
    return { candidates: [factory], why: "configured" };
  }
  if (heldName === undefined) {
    const decided = new Set(Object.keys(options).map(driverOf));
    return { candidates: factories.filter(({ name, onlyWithOptions }) => !onlyWithOptions || decided.has(name)) };
  }
  const factory = named(heldName);
  if (factory === undefined) {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot open the root: it holds ${heldCount} snapshots of the storage driver ${heldName}, which this program ` +
        "does not have. Use the program that made it",
    );
  }
  return { candidates: [factory], why: `the root holds ${heldCount} snapshots of it` };
}

/** The options of one driver among those of `options` (`DRIVER.OPTION`). */
export function optionsOf(name: StorageDriverName, options: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(options).filter(([key]) => driverOf(key) === name));
}

/** Opens a driver with its own ones of `options`, in its own directory, which is gone again when that fails. */
export async function openDriver(
  factory: DriverFactory,
  { directoryOf, store, engine, mounter, options }: Omit<DriverChoiceContext, "factories" | "configured">,
  operation: Operation,
): Promise<StorageDriver> {
  const path = directoryOf(factory.name);
  await makeDirectoryDurably(path, 0o700);
  const own = optionsOf(factory.name, options);
  try {
    return await factory.open(
      { directory: await Deno.realPath(path), store, engine, mounter, options: own },
      operation,
    );
  } catch (error) {
    await removeIfEmpty(path);
    throw error;
  }
}

/** Options are `DRIVER.OPTION=VALUE`. With `auto` those of drivers that are passed over mean nothing. */
function refuseForeignOptions(
  { options, factories, configured }: DriverChoiceContext,
  candidates: readonly DriverFactory[],
) {
  const allowed = configured === undefined || configured === "auto" ? factories : candidates;
  for (const key of Object.keys(options)) {
    if (allowed.some(({ name }) => name === driverOf(key))) continue;
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Unknown storage option "${key.slice(0, 80)}": options are DRIVER.OPTION=VALUE, with DRIVER one of ${
        allowed.map(({ name }) => name).join(", ")
      }`,
    );
  }
}

function driverOf(option: string): string {
  return option.split(".", 1)[0]!;
}

function reasonFor(name: string, passedOver: ChosenDriver["passedOver"]): string {
  if (passedOver.length === 0) return `${name} is the best one that works here`;
  return `${name} is the best one that works here. ${passedOver.map(({ reason }) => reason).join(". ")}`;
}

async function removeIfEmpty(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    // Not empty (ENOTEMPTY), or gone: both are right. Anything else would come back at the next start.
    if (!/not empty|os error 39/i.test(messageOf(error)) && !(error instanceof Deno.errors.NotFound)) throw error;
  }
}
