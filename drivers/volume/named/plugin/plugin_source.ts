/** All Docker volume plugins of this machine, each found when it is asked for and kept while it stays where it is. */
import type { VolumeDriver } from "../volume_driver.ts";
import type { VolumeDriverSource } from "../volume_drivers.ts";
import { DOCKER_PLUGIN_PLACES, findPlugin, pluginNames, type PluginPlaces } from "./find_plugins.ts";
import { PluginClient, type PluginPatience } from "./plugin_client.ts";
import { PluginDriver } from "./plugin_driver.ts";
import { PluginMounts } from "./plugin_mounts.ts";

/** Where and how patiently; for tests. */
export interface PluginSourceOptions {
  readonly places?: PluginPlaces;
  readonly patience?: PluginPatience;
}

/** See the head of the file. */
export class PluginSource implements VolumeDriverSource, Disposable {
  readonly #places: PluginPlaces;
  readonly #patience: PluginPatience | undefined;
  readonly #mounts: PluginMounts;
  readonly #known = new Map<
    string,
    { readonly address: string; readonly client: PluginClient; driver: PluginDriver }
  >();

  /** @param directory Where the root keeps what it has mounted of plugins. */
  constructor(directory: string, options: PluginSourceOptions = {}) {
    this.#places = options.places ?? DOCKER_PLUGIN_PLACES;
    this.#patience = options.patience;
    this.#mounts = new PluginMounts(directory);
  }

  find(name: string): VolumeDriver | undefined {
    const address = findPlugin(name, this.#places);
    if (address === undefined) return undefined;
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
    return pluginNames(this.#places);
  }

  [Symbol.dispose](): void {
    for (const { client } of this.#known.values()) client[Symbol.dispose]();
    this.#known.clear();
  }
}
