/** How full a pool is, and what is done before it is full. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Finding } from "../port.ts";
import type { DevicemapperSettings } from "./options.ts";
import type { OpenPool } from "./pool_owner.ts";
import type { PoolStatus } from "./pool_text.ts";

/** What the file system below a loop file must keep. */
const HOST_ROOM_BYTES = 64 << 20;
/** A pool is extended by a quarter, and by this at least. */
const STEP_BYTES = 256 << 20;
/** Milliseconds between two looks while devices are in use; a look is one ioctl of some microseconds. */
const LOOK_MS = 2000;

/** Fills of a pool in percent. Pure. */
export function fills(status: PoolStatus): { data_percent: number; metadata_percent: number } {
  return {
    data_percent: 100 * status.usedDataBlocks / Math.max(1, status.totalDataBlocks),
    metadata_percent: 100 * status.usedMetadataBlocks / Math.max(1, status.totalMetadataBlocks),
  };
}

/** Why nothing new may be made, in a clause; `undefined` when it may. Pure. */
export function shortageOf(status: PoolStatus, minFree_percent: number, hostRoom_bytes: number): string | undefined {
  const { data_percent, metadata_percent } = fills(status);
  if (status.mode === "out_of_data_space" || 100 - data_percent < minFree_percent) {
    return `its data is ${data_percent.toFixed(1)}% full`;
  }
  if (100 - metadata_percent < minFree_percent) return `its metadata is ${metadata_percent.toFixed(1)}% full`;
  if (hostRoom_bytes < HOST_ROOM_BYTES) {
    return `the file system below its file has ${Math.floor(hostRoom_bytes / 2 ** 20)} MiB left`;
  }
  return undefined;
}

/** See the head of the file. */
export class PoolRoom implements Disposable {
  #timer: ReturnType<typeof setInterval> | undefined;
  #growing: Promise<unknown> = Promise.resolve();

  constructor(readonly open: OpenPool, readonly settings: DevicemapperSettings) {}

  /**
   * Extends a pool that is short of room, where it can be.
   *
   * @throws `RESOURCE_EXHAUSTED` when it still is.
   */
  async require(attempted: string): Promise<void> {
    if (this.shortage() === undefined) return;
    await this.#extend();
    const shortage = this.shortage();
    if (shortage === undefined) return;
    throw new LaminaError(
      "RESOURCE_EXHAUSTED",
      `${attempted}: the pool on ${this.open.shown} is nearly full: ${shortage}, and devicemapper.min_free_percent is ` +
        `${this.settings.minFree_percent}. Remove images or containers, or make the pool larger`,
      { details: { pool: this.open.shown, ...fills(this.open.pool.status()) } },
    );
  }

  /** See {@linkcode shortageOf}. */
  shortage(): string | undefined {
    return shortageOf(this.open.pool.status(), this.settings.minFree_percent, this.open.hostRoom_bytes());
  }

  /** A pool that is short of room, for `check`. */
  findings(): Finding[] {
    const low = this.shortage();
    return low === undefined
      ? []
      : [{ kind: "pool-low", object: this.open.shown, message: `The pool is nearly full: ${low}`, repairable: false }];
  }

  /** Extends a loop pool also while nobody asks: containers write without asking. */
  watch(): void {
    if (this.settings.backing.kind !== "loop") return;
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    Deno.unrefTimer(this.#timer);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    try {
      if (this.shortage() === undefined) return;
    } catch {
      // The pool is gone or broken: every operation says so, a timer has nobody to tell.
      clearInterval(this.#timer);
      return;
    }
    // A failure shows again, with its reason, at the next operation.
    this.#extend().catch(() => {});
  }

  async #extend(): Promise<void> {
    const turn = this.#growing.then(async () => {
      if (this.shortage() === undefined) return;
      const { pool } = this.open;
      const size_bytes = pool.status().totalDataBlocks * pool.block_bytes;
      await this.open.grow(Math.ceil(size_bytes * 1.25 / STEP_BYTES) * STEP_BYTES + STEP_BYTES);
    });
    this.#growing = turn.catch(() => {});
    await turn;
  }
}
