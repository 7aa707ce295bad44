/** Finds the driver of a volume by its name. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { VolumeDriver } from "./volume_driver.ts";

/** Drivers that are not known in advance: plugins that may be installed at any time. */
export interface VolumeDriverSource {
  /** Never waits, starts nothing: a driver that is not up yet is one whose calls wait for it. */
  find(name: string): VolumeDriver | undefined;
  /** Names of those that are there now. */
  names(): readonly string[];
}

/** See the head of the file. */
export class VolumeDrivers {
  readonly #own: readonly VolumeDriver[];
  readonly #sources: readonly VolumeDriverSource[];

  /**
   * @param own Those of this program; a plugin of the same name is never asked.
   */
  constructor(own: readonly VolumeDriver[], sources: readonly VolumeDriverSource[] = []) {
    this.#own = own;
    this.#sources = sources;
  }

  /**
   * The driver of that name.
   *
   * @throws `NOT_FOUND` naming those that there are: as Docker, which answers 404.
   */
  get(name: string): VolumeDriver {
    const driver = this.find(name);
    if (driver !== undefined) return driver;
    throw new LaminaError(
      "NOT_FOUND",
      `There is no volume driver ${JSON.stringify(name.slice(0, 80))}. Known drivers: ${this.names().join(", ")}`,
      { details: { driver: name.slice(0, 80) } },
    );
  }

  /** The same, `undefined` when there is none (any more). */
  find(name: string): VolumeDriver | undefined {
    const own = this.#own.find((driver) => driver.name === name);
    if (own !== undefined) return own;
    for (const source of this.#sources) {
      const found = source.find(name);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** All that are known now, this program's first. */
  names(): string[] {
    const names = [...this.#own.map((driver) => driver.name), ...this.#sources.flatMap((source) => source.names())];
    return [...new Set(names)].slice(0, 100);
  }
}
