/** `--storage-opt` of a container. Pure. */
import { LaminaError } from "../core/errors.ts";
import { parseSize } from "../core/size_text.ts";

/** What an RW layer may take. Absent: as much as there is. */
export interface RwLimits {
  readonly size_bytes?: number;
  readonly inodes?: number;
}

/** What a storage driver can enforce, and what it says about that. */
export interface LimitingDriver {
  readonly name: string;
  readonly capabilities: { readonly quota: boolean; readonly inodeQuota?: boolean };
  readonly status?: Readonly<Record<string, string>>;
}

const COUNT_FACTORS: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };

/**
 * The limits of the RW layer that storage options ask for.
 *
 * @param driver The storage driver that would have to enforce them.
 * @param attempted For errors.
 * @throws `INVALID_ARGUMENT` (unknown option, malformed size), `UNSUPPORTED` when the driver cannot enforce one.
 */
export function rwLimits(
  options: Readonly<Record<string, string>>,
  driver: LimitingDriver,
  attempted = "Cannot create the container",
): RwLimits {
  for (const option of Object.keys(options)) {
    if (option === "size" || option === "inodes") continue;
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `${attempted}: there is no storage option ${JSON.stringify(option.slice(0, 80))}. Known: size, inodes`,
    );
  }
  const size_bytes = limitOf(options, "size", parseSize, "with an optional unit, e.g. 512m or 10g");
  const inodes = limitOf(options, "inodes", parseCount, "with an optional unit of 1000, e.g. 5000 or 100k");
  const { quota, inodeQuota = false } = driver.capabilities;
  if (size_bytes !== undefined && !quota) throw unenforceable(driver, attempted, "size", options.size!);
  if (inodes !== undefined && !inodeQuota) throw unenforceable(driver, attempted, "inodes", options.inodes!);
  return { ...(size_bytes === undefined ? {} : { size_bytes }), ...(inodes === undefined ? {} : { inodes }) };
}

function limitOf(
  options: Readonly<Record<string, string>>,
  name: "size" | "inodes",
  parse: (text: string) => number | undefined,
  form: string,
): number | undefined {
  const text = options[name];
  if (text === undefined) return undefined;
  const limit = parse(text) ?? 0;
  if (limit > 0) return limit;
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Invalid storage option ${name}=${text.slice(0, 80)}: it has to be a number above 0 ${form}`,
  );
}

/** `5000`, `100k`, `1m`: powers of 1000, as people count files. */
function parseCount(text: string): number | undefined {
  const match = /^(\d{1,15})([kmg]?)$/i.exec(text);
  if (match === null) return undefined;
  const count = Number(match[1]) * COUNT_FACTORS[match[2]!.toLowerCase()]!;
  return Number.isSafeInteger(count) ? count : undefined;
}

function unenforceable(
  { name, status }: LimitingDriver,
  attempted: string,
  option: string,
  text: string,
): LaminaError {
  const why = status?.quota === undefined ? "" : ` (${status.quota})`;
  return new LaminaError(
    "UNSUPPORTED",
    `${attempted} with ${option}=${text}: the storage driver ${name} cannot enforce that here${why}. ` +
      'Leave the option out, or use a driver or file system with quotas; "lamina doctor" tells which',
    { details: { driver: name } },
  );
}
