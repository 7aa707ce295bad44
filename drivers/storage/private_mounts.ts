/** Mounts in the driver's own directory, by which Lamina itself reaches trees that are at no path. */
import { join } from "@std/path/posix";
import { KeyedLock } from "../../runtime/core/keyed_lock.ts";
import type { MountEntry } from "../../runtime/core/mountinfo.ts";
import type { Mount } from "../../runtime/core/mount.ts";
import { backgroundOperation, type Operation } from "../../runtime/core/operation.ts";
import { mountsBelow, readMountTable } from "../../runtime/host/mount_table.ts";
import type { Mounter } from "../../runtime/host/mounter.ts";
import type { ReachedTree } from "./snapshot_trees.ts";

interface Held {
  readonly path: string;
  users: number;
}

/** What is to be done when the last one lets go of a name; nobody can reach it meanwhile. */
export interface ReleaseHooks {
  /** While it is still mounted at `path`. */
  readonly before?: (name: string, path: string) => Promise<void>;
  /** When it is not mounted here any more. */
  readonly after?: (name: string) => void;
}

/** One mount a name, for as long as somebody holds it. */
export class PrivateMounts {
  readonly #held = new Map<string, Held>();
  readonly #locks = new KeyedLock();

  /** @param directory Holds the mount points; absolute and canonical, existing when something is reached. */
  constructor(readonly directory: string, readonly mounter: Mounter, readonly hooks: ReleaseHooks = {}) {}

  /**
   * Mounts at a path of its own, or joins those who have it mounted.
   *
   * @param name A file name.
   * @param mount Asked only when nobody has it mounted; its target is ignored.
   */
  async reach(name: string, mount: () => Mount | Promise<Mount>, operation: Operation): Promise<ReachedTree> {
    using _turn = await this.#locks.acquire(name, operation.signal);
    let held = this.#held.get(name);
    if (held === undefined) {
      held = { path: join(this.directory, name), users: 0 };
      const made = { ...await mount(), target: held.path };
      await Deno.mkdir(held.path, { recursive: true, mode: 0o700 });
      try {
        await this.mounter.mount([made], operation);
      } catch (error) {
        await Deno.remove(held.path);
        throw error;
      }
      this.#held.set(name, held);
    }
    held.users++;
    let given = false;
    return {
      path: held.path,
      [Symbol.asyncDispose]: async () => {
        if (given) return;
        given = true;
        await this.#giveBack(name);
      },
    };
  }

  /** Whether a mount of the table is one of these. */
  isOne({ target }: MountEntry): boolean {
    return target.startsWith(`${this.directory}/`);
  }

  /** Takes away what a process that died has left. Called once, before anything is reached. */
  async recover(operation: Operation): Promise<void> {
    const targets = mountsBelow(readMountTable(), this.directory).map(({ target }) => target).reverse();
    if (targets.length > 0) await this.mounter.unmount(targets, operation);
    for await (const { name } of Deno.readDir(this.directory)) await Deno.remove(join(this.directory, name));
  }

  async #giveBack(name: string): Promise<void> {
    // Whoever gives something back may have been cancelled; this is not.
    const operation = backgroundOperation();
    using _turn = await this.#locks.acquire(name, operation.signal);
    const held = this.#held.get(name)!;
    if (--held.users > 0) return;
    this.#held.delete(name);
    await this.hooks.before?.(name, held.path);
    await this.mounter.unmount([held.path], operation);
    await Deno.remove(held.path);
    this.hooks.after?.(name);
  }
}
