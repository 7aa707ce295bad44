/** What the database notes about the pool, besides the rows of snapshots. */
import type { Store } from "../../../runtime/store/store.ts";
import type { Reconciliation } from "./reconcile.ts";

const POOL = "devicemapper.pool";
const RESERVED = "devicemapper.reserved";
const KEPT = "devicemapper.kept";

/** See the head of the file. */
export class PoolNotes {
  constructor(readonly store: Store) {}

  /** Identity of the pool that the root's snapshots are in. */
  get pool(): string | undefined {
    return this.#read(POOL);
  }

  /** The highest id that may have a device. */
  get reserved(): number {
    return Number(this.#read(RESERVED) ?? "0");
  }

  /** Devices that no row knows and that are not to be deleted. */
  get kept(): ReadonlySet<number> {
    return new Set<number>(JSON.parse(this.#read(KEPT) ?? "[]"));
  }

  /** Id of a snapshot's parent. */
  parentOf(id: number): number | undefined {
    return this.store.get<{ parent_id: number | null }>("SELECT parent_id FROM snapshots WHERE id = ?", id)
      ?.parent_id ??
      undefined;
  }

  async setPool(pool: string): Promise<void> {
    if (this.pool !== pool) await this.#write(POOL, pool);
  }

  /** Notes that a device of that id may come to be. Concurrent ones share a commit. */
  async reserve(id: number): Promise<void> {
    await this.store.write((tx) => {
      tx.run(
        `INSERT INTO settings (key, value) VALUES (?1, ?2)
           ON CONFLICT (key) DO UPDATE SET value = max(CAST(value AS INTEGER), CAST(?2 AS INTEGER))`,
        RESERVED,
        String(id),
      );
    });
  }

  /** Notes what a start found. Ids that devices have or had are never given again. */
  async agree({ reserved, kept, nextId }: Reconciliation): Promise<void> {
    await this.store.write((tx) => {
      const set =
        "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
      tx.run(set, RESERVED, String(reserved));
      tx.run(set, KEPT, JSON.stringify(kept));
      const { changes } = tx.run(
        "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'snapshots'",
        nextId - 1,
      );
      if (changes === 0) tx.run("INSERT INTO sqlite_sequence (name, seq) VALUES ('snapshots', ?)", nextId - 1);
    });
  }

  /** There is no pool any more. */
  async forget(): Promise<void> {
    await this.store.write((tx) => tx.run("DELETE FROM settings WHERE key IN (?, ?, ?)", POOL, RESERVED, KEPT));
  }

  #read(key: string): string | undefined {
    return this.store.get<{ value: string }>("SELECT value FROM settings WHERE key = ?", key)?.value;
  }

  async #write(key: string, value: string): Promise<void> {
    await this.store.write((tx) =>
      tx.run(
        "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        key,
        value,
      )
    );
  }
}
