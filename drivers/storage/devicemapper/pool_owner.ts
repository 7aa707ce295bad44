/** Whose a pool is: what its label says, and what a root knows of it. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { newestLabel, PoolLabel } from "./pool_layout.ts";
import type { ThinPool } from "./thin_pool.ts";

/** What a root knows of its pool before it opens it. */
export interface KnownPool {
  /** Identity of the store. */
  readonly store: string;
  /** The driver's directory. */
  readonly directory: string;
  /** The pool that the root's snapshots are in; absent while it never had one. */
  readonly pool?: string;
  /** Whether the root has snapshots with a device. */
  readonly holdsData: boolean;
}

/** A pool that works. */
export interface OpenPool {
  readonly pool: ThinPool;
  readonly label: PoolLabel;
  /** It was made just now: there is nothing in it. */
  readonly isNew: boolean;
  /** For people: file, device or `group/volume`. */
  readonly shown: string;
  /** What had to be done to the metadata, if anything. */
  readonly mended?: string;
  /** Replaces the label durably. */
  save(label: Omit<PoolLabel, "sequence">): void;
  /** Bytes that the pool can take from the file system below it, whatever it says itself. */
  hostRoom_bytes(): number;
  /** Makes the pool longer where it can be. @returns whether it is longer now. */
  grow(wanted_bytes: number): Promise<boolean>;
  /** Takes the pool away where nobody uses its devices any more. */
  close(): void;
  /**
   * Ends it for good, with what of it is Lamina's own: the place is as blank as it was, or an LVM pool without volumes.
   * No snapshot is in it. `close` follows.
   *
   * @throws `CONFLICT` while somebody uses it.
   */
  retire(): void;
}

/** The label of a pool that this root may use; `undefined` for a place without one. */
export function checkedLabel(
  label: ReturnType<typeof newestLabel>,
  shown: string,
  known: KnownPool,
): PoolLabel | undefined {
  const details = { pool: shown };
  if (label === "foreign") {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot open the pool on ${shown}: another version of Lamina made it. Use that version`,
      { details },
    );
  }
  if (label === "damaged") {
    throw new LaminaError(
      "DATA_LOSS",
      `Cannot open the pool on ${shown}: both copies of its label are damaged. Restore it from a backup`,
      { details },
    );
  }
  if (label === "none") {
    if (!known.holdsData || known.pool === undefined) return undefined;
    throw new LaminaError(
      "DATA_LOSS",
      `Cannot open the pool on ${shown}: it holds none, and the snapshots of this root are in another one. Name that one`,
      { details },
    );
  }
  if (label.store !== known.store && label.root !== known.directory) {
    throw new LaminaError(
      "CONFLICT",
      `Cannot open the pool on ${shown}: it belongs to another root (${label.root}). Name another place`,
      { details: { ...details, root: label.root } },
    );
  }
  if (label.store === known.store && known.holdsData && known.pool !== undefined && known.pool !== label.pool) {
    throw new LaminaError(
      "DATA_LOSS",
      `Cannot open the pool on ${shown}: it is another one than that with this root's snapshots. Name that one`,
      { details },
    );
  }
  return label;
}
