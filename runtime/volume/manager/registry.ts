/** The volume plugins of this node: who answers for a volume, and whether it can do what is asked of it. */
import type { VolumePlugin, VolumeSpec } from "../../../drivers/volume/port.ts";
import { LaminaError } from "../../core/errors.ts";

/** See the head of the file. */
export class PluginRegistry {
  readonly #plugins = new Map<string, VolumePlugin>();

  constructor(plugins: Iterable<VolumePlugin> = []) {
    for (const plugin of plugins) this.add(plugin);
  }

  /** @throws `ALREADY_EXISTS` for a second plugin of a name. */
  add(plugin: VolumePlugin): void {
    if (this.#plugins.has(plugin.name)) {
      throw new LaminaError("ALREADY_EXISTS", `There are two volume plugins of the name ${plugin.name}`);
    }
    this.#plugins.set(plugin.name, plugin);
  }

  /** In the order in which they were added. */
  list(): VolumePlugin[] {
    return [...this.#plugins.values()];
  }

  /** @throws `UNAVAILABLE`: what it has made cannot be taken down without it. */
  byName(name: string): VolumePlugin {
    const plugin = this.#plugins.get(name);
    if (plugin !== undefined) return plugin;
    throw new LaminaError(
      "UNAVAILABLE",
      `The volume plugin ${name} is not there. Start the program that has it, or register it again`,
      { details: { plugin: name, failure_class: "transient" } },
    );
  }

  /**
   * The one plugin that answers for a volume.
   *
   * @throws `UNSUPPORTED` (none, or the plugin cannot do what the spec asks for), `CONFLICT` (several; names them).
   */
  find(spec: VolumeSpec): VolumePlugin {
    const found = this.list().filter((plugin) => plugin.supports(spec));
    const [plugin] = found;
    const kind = Object.keys(spec.source).join(", ") || "nothing";
    if (plugin === undefined) {
      throw refusal(
        "UNSUPPORTED",
        spec,
        `no volume plugin knows what to do with ${kind}. There are: ${this.#names(this.list())}`,
      );
    }
    if (found.length > 1) {
      throw refusal(
        "CONFLICT",
        spec,
        `several volume plugins answer for ${kind}: ${this.#names(found)}. Remove all but one`,
      );
    }
    checkCapabilities(plugin, spec);
    return plugin;
  }

  #names(plugins: readonly VolumePlugin[]): string {
    return plugins.map(({ name }) => name).join(", ") || "none";
  }
}

function checkCapabilities({ name, capabilities }: VolumePlugin, spec: VolumeSpec): void {
  if (spec.mount_options.length > 0 && !capabilities.mountOptions) {
    throw refusal("UNSUPPORTED", spec, `the plugin ${name} takes no mount options. Leave mountOptions out`);
  }
  if (spec.volume_mode === "Block" && !capabilities.block) {
    throw refusal("UNSUPPORTED", spec, `the plugin ${name} has no block devices. Use volumeMode: Filesystem`);
  }
  const unfit = spec.access_modes.filter((mode) => !capabilities.accessModes.includes(mode));
  // A claim may name more modes than are used at a time: one that fits is enough, as when it is bound.
  if (unfit.length > 0 && unfit.length === spec.access_modes.length) {
    const can = capabilities.accessModes.join(", ") || "none";
    throw refusal("UNSUPPORTED", spec, `the plugin ${name} cannot do ${unfit.join(", ")}, only ${can}`);
  }
}

function refusal(code: "UNSUPPORTED" | "CONFLICT", spec: VolumeSpec, why: string): LaminaError {
  return new LaminaError(code, `Cannot use the volume ${JSON.stringify(spec.name)}: ${why}`, {
    details: { volume: spec.name },
  });
}
