/**
 * How database and pool are brought together at a start. Pure.
 *
 * A thin device is named by its row's id. Before a device is made, the database notes its id (`reserved`), then the pool
 * takes that id as its transaction id, then the device comes, then its row. So however a process ends, `reserved` is
 * never lower than the transaction id. Where it is, the database is an older one (a backup that was restored), and
 * devices that it does not know are not leftovers of a crash but somebody's data.
 */

/** What is there at a start. */
export interface Found {
  /** Ids of snapshots that have a device: committed and active ones. */
  readonly rows: ReadonlySet<number>;
  /** Ids of the thin devices in the pool; without those of the pool's own. */
  readonly devices: ReadonlySet<number>;
  /** Noted in the database; 0 in a new one. */
  readonly reserved: number;
  /** Of the pool. */
  readonly transactionId: number;
  /** Devices that earlier starts kept, see {@linkcode Reconciliation}. */
  readonly kept: ReadonlySet<number>;
}

/** What makes them agree. */
export interface Reconciliation {
  /** Devices that an interrupted operation left: made without a row, or about to be deleted. */
  readonly discard: readonly number[];
  /** Devices that only a newer database knew, now or at an earlier start. They are kept and reported. */
  readonly kept: readonly number[];
  /** Rows whose device is gone: reported, nothing can be done. */
  readonly missing: readonly number[];
  /** Both sides get this number. */
  readonly reserved: number;
  /** The lowest id that may be given from now on: no device, known or not, has it or had it. */
  readonly nextId: number;
}

/** See the head of the file. */
export function reconcile({ rows, devices, reserved, transactionId, kept }: Found): Reconciliation {
  const unowned = [...devices].filter((id) => !rows.has(id)).sort((a, b) => a - b);
  const olderDatabase = transactionId > reserved;
  const isKept = (id: number) => olderDatabase || kept.has(id);
  const agreed = Math.max(reserved, transactionId);
  return {
    discard: unowned.filter((id) => !isKept(id)),
    kept: unowned.filter(isKept),
    missing: [...rows].filter((id) => !devices.has(id)).sort((a, b) => a - b),
    reserved: agreed,
    nextId: Math.max(agreed, ...devices, ...rows) + 1,
  };
}
