/** Deleting what may be big: renamed away at once, freed in the background. */
import { join } from "@std/path/posix";
import { LaminaError, messageOf } from "../../runtime/core/errors.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import { hostError } from "../../runtime/host/errno_errors.ts";
import { currentMountTable, mountsBelow } from "../../runtime/host/mount_table.ts";

/**
 * A directory that is emptied at each start. Trees come here by a rename, so that they are gone for everybody however
 * long their deletion takes; a process that ends in its middle leaves the rest to the next start.
 */
export class Trash implements AsyncDisposable {
  readonly #closing = new AbortController();
  #last: Promise<void> = Promise.resolve();
  readonly #places = new Set<string>();
  #failure: string | undefined;

  /** @param directory Absolute, existing. */
  constructor(readonly directory: string) {}

  /** Why the last deletion failed, if it did; the next start tries again. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Whether `path` is on its way out, now or when its turn comes. */
  isRemoving(path: string): boolean {
    return this.#places.has(path);
  }

  /**
   * Takes away `path`. Absent is success.
   *
   * @param remove Deletes the tree at its new place; for a later turn.
   * @throws `CONFLICT` when something is mounted in it, naming what.
   */
  async discard(path: string, remove: (path: string, operation: Operation) => Promise<void>): Promise<void> {
    refuseMountsBelow(path);
    const place = join(this.directory, `volume-${crypto.randomUUID()}`);
    this.#places.add(place);
    try {
      await Deno.rename(path, place);
    } catch (error) {
      this.#places.delete(place);
      if (error instanceof Deno.errors.NotFound) return;
      throw hostError(error, `Cannot take away ${path}`, { path });
    }
    this.#last = this.#last.then(async () => {
      if (this.#closing.signal.aborted) return;
      try {
        await remove(place, { signal: this.#closing.signal, progress: () => {} });
      } catch (error) {
        if (!this.#closing.signal.aborted) this.#failure = messageOf(error);
      } finally {
        this.#places.delete(place);
      }
    });
  }

  /** Waits for what was discarded so far. */
  settled(): Promise<void> {
    return this.#last;
  }

  /** Aborts the deletion that runs and waits for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new LaminaError("CANCELLED", "The runtime is being closed"));
    await this.#last;
  }
}

/** @throws `CONFLICT` naming what is mounted at `path` or below it. */
export function refuseMountsBelow(path: string): void {
  const [mounted] = mountsBelow(currentMountTable(), path);
  if (mounted === undefined) return;
  throw new LaminaError(
    "CONFLICT",
    `Cannot remove ${path}: something is mounted at ${mounted.target}. Unmount it first`,
    { details: { path, target: mounted.target } },
  );
}
