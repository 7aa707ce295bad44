/** A thin pool that LVM made and activates, and Lamina uses for itself. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { runCommand } from "../../../runtime/host/command.ts";
import { mapperNode } from "../../../runtime/host/device_mapper.ts";
import type { PoolBacking } from "./options.ts";
import { newestLabel, type PoolLabel } from "./pool_layout.ts";
import { checkedLabel, type KnownPool, type OpenPool } from "./pool_owner.ts";
import { readLabel, writeLabel } from "./pool_place.ts";
import { lvmDeviceName } from "./pool_text.ts";
import { readPoolStatus, THIN, ThinPool } from "./thin_pool.ts";

const LABEL_DEVICE_BYTES = 1 << 20;

/**
 * Activates the pool and finds this root's label in it, or puts one there.
 *
 * @throws `UNAVAILABLE` (no such pool, or it needs a repair, which is LVM's), `CONFLICT` (somebody else's devices are in
 * it), `UNSUPPORTED` (lvm2 is missing).
 */
export async function openLvmPool(
  { group, volume }: Extract<PoolBacking, { kind: "lvm" }>,
  known: KnownPool,
  operation: Operation,
): Promise<OpenPool> {
  const shown = `${group}/${volume}`;
  await activate(shown, operation);
  const names = [`${lvmDeviceName(group, volume)}-tpool`, lvmDeviceName(group, volume)];
  const name = names.find((candidate) => readPoolStatus(candidate) !== undefined);
  if (name === undefined) {
    throw new LaminaError("INVALID_ARGUMENT", `Cannot use ${shown}: it is no LVM thin pool. Make one with lvcreate -T`);
  }
  const status = readPoolStatus(name);
  if (typeof status !== "object" || status.needsCheck || status.mode === "ro") {
    throw new LaminaError(
      "UNAVAILABLE",
      `Cannot use the pool ${shown}: its metadata is damaged. Repair it with lvchange -an ${shown}; ` +
        `lvconvert --repair ${shown}; lvchange -ay ${shown}`,
      { details: { pool: shown } },
    );
  }
  return await openLabel(name, shown, known, operation);
}

async function activate(shown: string, { signal }: Operation): Promise<void> {
  let result;
  try {
    result = await runCommand("lvchange", ["-a", "y", shown], { signal });
  } catch (error) {
    if (!(error instanceof LaminaError) || error.code !== "UNSUPPORTED") throw error;
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot use the pool ${shown}: lvchange is missing. Install the package lvm2`,
      {
        cause: error,
      },
    );
  }
  if (result.code === 0) return;
  throw new LaminaError("UNAVAILABLE", `Cannot use the pool ${shown}: ${result.stderr.trim().slice(0, 500)}`, {
    details: { pool: shown },
  });
}

async function openLabel(name: string, shown: string, known: KnownPool, operation: Operation): Promise<OpenPool> {
  // The prefix comes from the pool's identity, which is read through a device whose name needs another one.
  const finder = new ThinPool(name, `lamina-label-${name}`);
  const present = new Set(await finder.list(operation.signal));
  let label: PoolLabel | undefined;
  if (present.has(THIN.label)) {
    label = withLabelDevice(finder, (path) => checkedLabel(newestLabel(readLabel(path)), shown, known));
  } else {
    checkedLabel("none", shown, known);
  }
  if (label === undefined) {
    const others = [...present].filter((thin) => thin !== THIN.label);
    if (others.length > 0) {
      throw new LaminaError(
        "CONFLICT",
        `Cannot use the pool ${shown}: ${others.length} thin volumes are in it that are not Lamina's. Give Lamina a ` +
          "pool of its own",
        { details: { pool: shown } },
      );
    }
    if (!present.has(THIN.label)) finder.createThin(THIN.label);
    const made: PoolLabel = {
      format: 1,
      pool: crypto.randomUUID(),
      store: known.store,
      root: known.directory,
      sequence: 0,
    };
    withLabelDevice(finder, (path) => writeLabel(path, made));
    label = made;
  }
  return new LvmPool(finder, new ThinPool(name, `lamina-${label.pool.slice(0, 8)}`), shown, label);
}

class LvmPool implements OpenPool {
  /** Its label device is in it. */
  readonly isNew = false;

  constructor(
    readonly finder: ThinPool,
    readonly pool: ThinPool,
    readonly shown: string,
    public label: PoolLabel,
  ) {}

  save(label: Omit<PoolLabel, "sequence">): void {
    const next = { ...label, sequence: this.label.sequence + 1 };
    withLabelDevice(this.finder, (path) => writeLabel(path, next));
    this.label = next;
  }

  hostRoom_bytes(): number {
    return Infinity;
  }

  /** LVM extends its pools itself (`thin_pool_autoextend_threshold`). */
  grow(): Promise<boolean> {
    return Promise.resolve(false);
  }

  /** It is LVM's to deactivate. */
  close(): void {}

  retire(): void {
    // The label last: without it, what is left would be somebody else's.
    for (const thin of THIN.base) this.pool.delete(thin);
    this.finder.delete(THIN.label);
  }
}

function withLabelDevice<T>(pool: ThinPool, body: (path: string) => T): T {
  const device = pool.activate(THIN.label, LABEL_DEVICE_BYTES, { readOnly: false });
  try {
    return body(mapperNode(device));
  } finally {
    pool.deactivate(THIN.label);
  }
}
