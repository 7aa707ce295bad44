/** Which volumes a list or a prune is about: Docker's filters. Pure. */
import { LaminaError } from "../core/errors.ts";
import type { VolumeFilters } from "../core/model/volume.ts";

/** What filters look at. */
export interface FilteredVolume {
  readonly name: string;
  readonly driver: string;
  readonly labels: Readonly<Record<string, string>>;
  /** How many use it. */
  readonly users: number;
}

/** A pattern or a list that is longer is refused. */
const LONGEST_PATTERN = 512;
const MOST_VALUES = 100;

/**
 * A test of volumes. Values of one filter are alternatives, but all of `label` must be there and none of `not_label`.
 *
 * @throws `INVALID_ARGUMENT`: a name that is no regular expression.
 */
export function volumeFilter(filters: VolumeFilters): (volume: FilteredVolume) => boolean {
  const { dangling, driver, label = [], not_label = [], name } = filters;
  for (const list of [driver, label, not_label, name]) {
    if ((list?.length ?? 0) > MOST_VALUES) {
      throw new LaminaError("INVALID_ARGUMENT", `Cannot filter volumes: more than ${MOST_VALUES} values of one filter`);
    }
  }
  const patterns = name?.map(namePattern);
  return (volume) =>
    (dangling === undefined || dangling === (volume.users === 0)) &&
    (driver === undefined || driver.length === 0 || driver.includes(volume.driver)) &&
    label.every((wanted) => hasLabel(volume.labels, wanted)) &&
    !not_label.some((unwanted) => hasLabel(volume.labels, unwanted)) &&
    (patterns === undefined || patterns.length === 0 || patterns.some((pattern) => pattern.test(volume.name)));
}

/** `key`, or `key=value`. */
function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const at = wanted.indexOf("=");
  if (at < 0) return Object.hasOwn(labels, wanted);
  const key = wanted.slice(0, at);
  return Object.hasOwn(labels, key) && labels[key] === wanted.slice(at + 1);
}

function namePattern(text: string): RegExp {
  const refuse = (why: string) =>
    new LaminaError(
      "INVALID_ARGUMENT",
      `Cannot filter volumes by the name ${JSON.stringify(text.slice(0, 80))}: ${why}`,
    );
  if (text.length > LONGEST_PATTERN) throw refuse(`it has more than ${LONGEST_PATTERN} characters`);
  // A repetition of a repetition can take longer than anybody waits.
  if (/\([^()]*[*+{][^()]*\)[*+{]/.test(text) || /\\[1-9]/.test(text)) {
    throw refuse("repetitions inside of repetitions and back references are not supported");
  }
  try {
    return new RegExp(text);
  } catch (error) {
    throw refuse(`it is no regular expression (${error instanceof Error ? error.message : error})`);
  }
}
