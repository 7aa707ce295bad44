/** All Docker volume plugins of this machine, each found when it is asked for and kept while it stays where it is. */
import type { VolumeDriver } from "../volume_driver.ts";
import type { VolumeDriverSource } from "../volume_drivers.ts";
import {
  DOCKER_PLUGIN_PLACES,
  findPlugin,
  type PluginAddress,
  pluginNames,
  type PluginPlaces,
} from "./find_plugins.ts";
import { PluginClient, type PluginPatience } from "./plugin_client.ts";
import { PluginDriver } from "./plugin_driver.ts";
import { PluginMounts } from "./plugin_mounts.ts";

/** Where and how patiently; for tests. */
export interface PluginSourceOptions {
  readonly places?: PluginPlaces;
  readonly patience?: PluginPatience;
  /** A socket on which this very program is a plugin: it is no driver for itself. */
  readonly ownSocket?: string;
}

/** See the head of the file. */
export class PluginSource implements VolumeDriverSource, Disposable {
  readonly #places: PluginPlaces;
  readonly #patience: PluginPatience | undefined;
  readonly #ownSocket: string | undefined;
  readonly #mounts: PluginMounts;
  readonly #known = new Map<
    string,
    { readonly address: string; readonly client: PluginClient; driver: PluginDriver }
  >();

  /** @param directory Where the root keeps what it has mounted of plugins. */
  constructor(directory: string, options: PluginSourceOptions = {}) {
    this.#places = options.places ?? DOCKER_PLUGIN_PLACES;
    this.#patience = options.patience;
    this.#ownSocket = options.ownSocket;
    this.#mounts = new PluginMounts(directory);
  }

  find(name: string): VolumeDriver | undefined {
    const address = findPlugin(name, this.#places);
    if (address === undefined || this.#isOurs(address)) return undefined;
    const key = JSON.stringify(address);
    const known = this.#known.get(name);
    if (known?.address === key) return known.driver;
    known?.client[Symbol.dispose]();
    const client = new PluginClient(name, address, this.#patience);
    const driver = new PluginDriver(client, this.#mounts);
    this.#known.set(name, { address: key, client, driver });
    return driver;
  }

  names(): readonly string[] {
    return pluginNames(this.#places).filter((name) => {
      try {
        return !this.#isOurs(findPlugin(name, this.#places));
      } catch {
        // A file that says no address: whoever names it hears so.
        return true;
      }
    });
  }

  #isOurs(address: PluginAddress | undefined): boolean {
    return address?.socketPath !== undefined && this.#ownSocket !== undefined &&
      sameFile(address.socketPath, this.#ownSocket);
  }

  [Symbol.dispose](): void {
    for (const { client } of this.#known.values()) client[Symbol.dispose]();
    this.#known.clear();
  }
}

/** Also through links: `/run` and `/var/run` are one. */
function sameFile(a: string, b: string): boolean {
  try {
    const [one, other] = [Deno.statSync(a), Deno.statSync(b)];
    return one.dev === other.dev && one.ino === other.ino;
  } catch {
    return a === b;
  }
}
