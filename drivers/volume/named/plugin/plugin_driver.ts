/** A Docker volume plugin as a driver of named volumes. */
import { isLaminaError, LaminaError } from "../../../../runtime/core/errors.ts";
import type { Operation } from "../../../../runtime/core/operation.ts";
import type { FoundVolume, NamedVolume, VolumeDriver } from "../volume_driver.ts";
import { type PluginClient, refusalOf } from "./plugin_client.ts";
import type { PluginMounts } from "./plugin_mounts.ts";

type Fields = Readonly<Record<string, unknown>>;
type Call = (method: string, body: Fields) => Promise<Fields>;

/** See the head of the file. */
export class PluginDriver implements VolumeDriver {
  readonly name: string;
  readonly #client: PluginClient;
  readonly #mounts: PluginMounts;
  /** Made by this process and not yet told to anybody. */
  readonly #fresh = new Set<string>();
  #scope: "local" | "global" = "local";
  #asked: Promise<void> | undefined;

  constructor(client: PluginClient, mounts: PluginMounts) {
    this.name = client.name;
    this.#client = client;
    this.#mounts = mounts;
  }

  /** `local` until the plugin has been asked, once. */
  get scope(): "local" | "global" {
    return this.#scope;
  }

  check(): void {
    // What its options mean only the plugin knows.
  }

  async create({ name, options }: NamedVolume, operation: Operation): Promise<void> {
    // What the plugin has already is adopted, and not taken away again when something fails here.
    const known = await this.#get(name, this.#patiently(operation));
    await this.#client.call("VolumeDriver.Create", { Name: name, Opts: options }, operation);
    if (known === undefined) this.#fresh.add(name);
    await this.#askCapabilities(this.#patiently(operation));
  }

  async undoCreate({ name }: NamedVolume, operation: Operation): Promise<boolean> {
    // After a restart nobody knows whether the plugin had it before: data is not deleted on a guess.
    if (!this.#fresh.delete(name)) return true;
    try {
      await this.#remove(name, operation);
    } catch (error) {
      // It is the plugin's now, which has it as it has those that others made; the failure itself was told.
      if (!isLaminaError(error)) throw error;
    }
    return true;
  }

  async remove({ name }: NamedVolume, operation: Operation): Promise<undefined> {
    this.#fresh.delete(name);
    await this.#remove(name, operation);
  }

  needsMount(): boolean {
    return true;
  }

  mountpoint({ name }: NamedVolume): string {
    return this.#mounts.get(this.name, name) ?? "";
  }

  isMounted({ name }: NamedVolume): boolean {
    return this.#mounts.get(this.name, name) !== undefined;
  }

  async mount({ name }: NamedVolume, operation: Operation): Promise<string> {
    this.#fresh.delete(name);
    this.#mounts.begin(this.name, name);
    let path: unknown;
    try {
      // One id for all of this daemon's users: mounted again it is the same mount, to the plugin too.
      const answer = await this.#client.call("VolumeDriver.Mount", { Name: name, ID: this.#mounts.id }, operation);
      path = answer.Mountpoint;
    } catch (error) {
      // Nothing was mounted as far as we were told, and what was not mounted is not unmounted.
      this.#mounts.end(this.name, name);
      throw error;
    }
    if (typeof path !== "string" || !/^\/[^\0]+$/.test(path)) {
      this.#mounts.end(this.name, name);
      throw new LaminaError(
        "UNAVAILABLE",
        `Volume plugin "${this.name}" failed at VolumeDriver.Mount: its Mountpoint for "${name}" is ${
          JSON.stringify(path ?? null).slice(0, 120)
        }, not an absolute path`,
        { details: { plugin: this.name, volume: name } },
      );
    }
    this.#mounts.done(this.name, name, path);
    return path;
  }

  async unmount({ name }: NamedVolume, operation: Operation): Promise<void> {
    if (!this.isMounted({ name, options: {} })) return;
    try {
      await this.#client.call("VolumeDriver.Unmount", { Name: name, ID: this.#mounts.id }, operation);
    } catch (error) {
      // It was asked and will not: asking again at every start would change nothing.
      if (refusalOf(error) !== undefined) this.#mounts.end(this.name, name);
      throw error;
    }
    this.#mounts.end(this.name, name);
  }

  async list(operation: Operation): Promise<FoundVolume[]> {
    const call = this.#soon(operation);
    const { Volumes } = await call("VolumeDriver.List", {});
    if (!Array.isArray(Volumes)) return [];
    await this.#askCapabilities(call);
    return Volumes.slice(0, 10_000).flatMap((found) => foundVolume(found) ?? []);
  }

  get(name: string, operation: Operation): Promise<FoundVolume | undefined> {
    return this.#get(name, this.#soon(operation));
  }

  #patiently(operation: Operation): Call {
    return (method, body) => this.#client.call(method, body, operation);
  }

  #soon(operation: Operation): Call {
    return (method, body) => this.#client.look(method, body, operation);
  }

  async #get(name: string, call: Call): Promise<FoundVolume | undefined> {
    try {
      const { Volume } = await call("VolumeDriver.Get", { Name: name });
      return foundVolume(Volume);
    } catch (error) {
      // A refusal means that there is none; a plugin that cannot be asked is another matter.
      if (refusalOf(error) !== undefined) return undefined;
      throw error;
    }
  }

  async #remove(name: string, operation: Operation): Promise<void> {
    try {
      await this.#client.call("VolumeDriver.Remove", { Name: name }, operation);
    } catch (error) {
      if (refusalOf(error) === undefined) throw error;
      if (await this.#get(name, this.#patiently(operation)) !== undefined) throw error;
    }
    this.#mounts.end(this.name, name);
  }

  async #askCapabilities(call: Call): Promise<void> {
    this.#asked ??= call("VolumeDriver.Capabilities", {}).then(
      ({ Capabilities }) => {
        const scope = (Capabilities as { Scope?: unknown } | undefined)?.Scope;
        if (typeof scope === "string" && scope.toLowerCase() === "global") this.#scope = "global";
      },
      (error) => {
        // Plugins of the first version do not know the question; one that could not answer now is asked again.
        if (refusalOf(error) === undefined) this.#asked = undefined;
      },
    );
    await this.#asked;
  }
}

function foundVolume(value: unknown): FoundVolume | undefined {
  const { Name, Mountpoint, Status, CreatedAt } = (value ?? {}) as Record<string, unknown>;
  if (typeof Name !== "string" || Name === "") return undefined;
  return {
    name: Name.slice(0, 255),
    mountpoint: typeof Mountpoint === "string" ? Mountpoint : "",
    ...(typeof Status === "object" && Status !== null ? { status: Status as Record<string, unknown> } : {}),
    ...(typeof CreatedAt === "string" && Date.parse(CreatedAt) > 0
      ? { created_at: new Date(CreatedAt).toISOString() }
      : {}),
  };
}
