/**
 * Which volumes of plugins this root has mounted: a small file each, so that a daemon that was killed knows what it has
 * to give back. The file is there before the plugin is asked, and goes after it has unmounted.
 */
import { join } from "@std/path/posix";
import { hostError } from "../../../../runtime/host/errno_errors.ts";

/** See the head of the file. */
export class PluginMounts {
  readonly #directory: string;
  /** Path by `PLUGIN/VOLUME`; empty while the plugin is asked. */
  readonly #paths = new Map<string, string>();
  #id: string | undefined;

  /** @param directory Made (0700) with the first mount. */
  constructor(directory: string) {
    this.#directory = directory;
    for (const plugin of namesIn(directory)) {
      for (const volume of namesIn(join(directory, plugin))) {
        const path = join(directory, plugin, volume);
        try {
          this.#paths.set(`${plugin}/${volume}`, Deno.readTextFileSync(path));
        } catch (error) {
          throw hostError(error, `Cannot read which volumes of plugins are mounted from ${path}`);
        }
      }
    }
  }

  /** What this root calls itself towards plugins; the same over restarts. */
  get id(): string {
    if (this.#id !== undefined) return this.#id;
    const path = join(this.#directory, ".id");
    try {
      this.#id = Deno.readTextFileSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw hostError(error, `Cannot read ${path}`);
    }
    if (this.#id === undefined || !/^[0-9a-f]{64}$/.test(this.#id)) {
      this.#id = crypto.getRandomValues(new Uint8Array(32)).toHex();
      this.#write(path, this.#id);
    }
    return this.#id;
  }

  /** Host path of a volume that is mounted. */
  get(plugin: string, volume: string): string | undefined {
    return this.#paths.get(`${plugin}/${volume}`);
  }

  /** The plugin is about to be asked. */
  begin(plugin: string, volume: string): void {
    if (this.#paths.has(`${plugin}/${volume}`)) return;
    this.done(plugin, volume, "");
  }

  /** The plugin has mounted it. */
  done(plugin: string, volume: string, path: string): void {
    this.#write(join(this.#directory, plugin, volume), path);
    this.#paths.set(`${plugin}/${volume}`, path);
  }

  /** It is not mounted, as far as anybody knows. */
  end(plugin: string, volume: string): void {
    if (!this.#paths.delete(`${plugin}/${volume}`)) return;
    const path = join(this.#directory, plugin, volume);
    try {
      Deno.removeSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw hostError(error, `Cannot remove ${path}`);
    }
  }

  #write(path: string, text: string): void {
    try {
      Deno.mkdirSync(join(path, ".."), { recursive: true, mode: 0o700 });
      Deno.writeTextFileSync(`${path}~`, text, { mode: 0o600 });
      Deno.renameSync(`${path}~`, path);
    } catch (error) {
      throw hostError(error, `Cannot write ${path}`);
    }
  }
}

/** Without those that were being written: `~` is in no name of a volume. */
function namesIn(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) => !/^\.|~$/.test(name));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return [];
    throw hostError(error, `Cannot read ${directory}`);
  }
}
