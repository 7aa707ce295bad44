/** A snapshot's mounts, handed out before the snapshot is durable. See `PrepareOptions.whenUsable`. */
import type { Mount } from "../../runtime/core/mount.ts";
import type { PrepareOptions } from "./port.ts";

/** Starts the use once, and ends it when the snapshot does not come to be. */
export class EarlyUse {
  #mounts: Promise<Mount[]> | undefined;
  #started: Promise<{ stop(): Promise<void> }> | undefined;

  constructor(
    private readonly whenUsable: PrepareOptions["whenUsable"],
    private readonly findMounts: () => Promise<Mount[]>,
  ) {}

  /** Begins the use, if somebody wants it and it has not begun. Waits for nothing. */
  start(): void {
    if (this.whenUsable === undefined || this.#started !== undefined) return;
    this.#started = this.mounts().then(this.whenUsable);
    // Whoever stops or asks for the mounts sees the failure.
    this.#started.catch(() => {});
  }

  /** The mounts of the snapshot, found out once. */
  mounts(): Promise<Mount[]> {
    return this.#mounts ??= this.findMounts();
  }

  /** Ends a use that has begun. */
  async stop(): Promise<void> {
    const [started] = await Promise.allSettled([this.#started]);
    if (started.status === "fulfilled") await started.value?.stop();
  }
}
