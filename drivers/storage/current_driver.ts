/** The storage driver of an open root, which a migration replaces while the rooms go on using the same object. */
import type { ChosenDriver } from "./choose_driver.ts";
import type { StorageDriver } from "./port.ts";

/** See the head of the file. */
export class CurrentDriver {
  /** Always the one that is current when it is used. Disposing it disposes that one. */
  readonly driver: StorageDriver;
  #chosen: ChosenDriver;

  constructor(chosen: ChosenDriver) {
    this.#chosen = chosen;
    this.driver = new Proxy(chosen.driver, {
      get: (_, name) => {
        const current = this.#chosen.driver;
        const member = Reflect.get(current, name, current);
        return typeof member === "function" ? member.bind(current) : member;
      },
    });
  }

  /** What is current, and why. */
  get chosen(): ChosenDriver {
    return this.#chosen;
  }

  /** Replaces it; the one before is the caller's to dispose. Nothing may be using it. */
  switchTo(driver: StorageDriver, why: string): void {
    this.#chosen = { driver, why, passedOver: [] };
  }
}
