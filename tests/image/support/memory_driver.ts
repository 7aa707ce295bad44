/** A storage driver without trees: it keeps the archives in memory. For tests of what happens around the driver. */
import { createHash } from "node:crypto";
import { decompress } from "../../../drivers/storage/layer/decompress.ts";
import type { AppliedLayer } from "../../../drivers/storage/layer/types.ts";
import type { ApplyRequest, SnapshotFilter, SnapshotInfo, StorageDriver } from "../../../drivers/storage/port.ts";
import { isLaminaError, LaminaError } from "../../../runtime/core/errors.ts";
import type { Digest, SnapshotKey } from "../../../runtime/core/ids.ts";
import { abortable } from "../../../runtime/core/keyed_lock.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { readRangeChunks, streamOf } from "../../../drivers/storage/layer/byte_streams.ts";
import { concatenated } from "../../../runtime/image/archive/recognise.ts";
import type { Store, Transaction } from "../../../runtime/store/store.ts";

interface Snapshot {
  readonly parent?: SnapshotKey;
  readonly tar: Uint8Array<ArrayBuffer>;
}

/** What the tests look at and meddle with. */
export interface MemoryDriver extends StorageDriver {
  readonly snapshots: Map<string, Snapshot>;
  /** Names of every layer whose bytes were read, in order. */
  readonly applied: string[];
  /** Called before a layer is committed. */
  beforeCommit: (name: string, operation: Operation) => Promise<void>;
  /** Most layers that were under way at a time. */
  mostAtOnce: number;
}

/** See the head of the file. */
export function memoryDriver(store: Store): MemoryDriver {
  const snapshots = new Map<string, Snapshot>();
  const applied: string[] = [];
  let now = 0;

  async function apply(request: ApplyRequest, operation: Operation): Promise<AppliedLayer> {
    request.parentReady.catch(() => {});
    if (typeof request.name === "string") refuseExisting(request.name);
    driver.mostAtOnce = Math.max(driver.mostAtOnce, ++now);
    try {
      applied.push(String(typeof request.name === "string" ? request.name : "(unnamed)"));
      const { tar, digest, diffId } = await readAll(request, operation);
      await abortable(request.parentReady, operation.signal);
      if (request.parent !== undefined && !snapshots.has(request.parent)) {
        throw new LaminaError("NOT_FOUND", `no parent ${request.parent}`);
      }
      await Deno.writeTextFile(request.recipePath, `recipe of ${diffId}`);
      const layer = {
        diffId,
        digest,
        tar_bytes: tar.length,
        entries: 1,
        size_bytes: tar.length,
        inodes: 1,
        warnings: [],
      };
      const name = typeof request.name === "string" ? request.name : request.name(diffId);
      await driver.beforeCommit(name, operation);
      operation.signal.throwIfAborted();
      await store.write((tx) => {
        refuseExisting(name);
        request.alongside?.(tx, layer);
        snapshots.set(name, { parent: request.parent, tar });
      });
      return layer;
    } catch (error) {
      // As the real ones: whoever was quicker with a layer of that name has its recipe at the same place.
      const lost = typeof request.name === "string" && isLaminaError(error, "ALREADY_EXISTS");
      if (!lost) await Deno.remove(request.recipePath).catch(() => {});
      throw error;
    } finally {
      now--;
    }
  }

  function refuseExisting(name: string): void {
    if (snapshots.has(name)) throw new LaminaError("ALREADY_EXISTS", `${name} exists`);
  }

  async function remove(
    key: SnapshotKey,
    _operation: Operation,
    options: { alongside?: (tx: Transaction) => void } = {},
  ) {
    if (!snapshots.has(key)) throw new LaminaError("NOT_FOUND", `no snapshot ${key}`);
    if ([...snapshots.values()].some(({ parent }) => parent === key)) {
      throw new LaminaError("CONFLICT", `${key} has children`);
    }
    await store.write((tx) => options.alongside?.(tx));
    snapshots.delete(key);
  }

  async function* walk({ keyPrefix = "" }: SnapshotFilter = {}): AsyncIterable<SnapshotInfo> {
    for (const [key, { parent }] of [...snapshots].filter(([key]) => key.startsWith(keyPrefix))) {
      await Promise.resolve();
      const times = { createdAt_ms: 0, updatedAt_ms: 0 };
      yield { key: key as SnapshotKey, kind: "committed", parent, labels: {}, ...times };
    }
  }

  const driver = {
    name: "vfs",
    snapshots,
    applied,
    mostAtOnce: 0,
    beforeCommit: (_name: string, _operation: Operation) => Promise.resolve(),
    apply,
    remove,
    walk,
    cleanup: () => Promise.resolve(),
    reassemble: (name: SnapshotKey) => streamOf(chunksOf(snapshots.get(name)!.tar)),
  };
  return driver as unknown as MemoryDriver;
}

async function* chunksOf(bytes: Uint8Array<ArrayBuffer>) {
  for (let at = 0; at < bytes.length; at += 1000) {
    await Promise.resolve();
    yield bytes.slice(at, at + 1000);
  }
}

async function readAll({ blob }: ApplyRequest, { signal }: Operation) {
  const { source } = blob;
  const reader = ("path" in source ? streamOf(readRangeChunks(source)) : source).getReader();
  const stored = createHash("sha256");
  const plain = await decompress({
    next: async () => {
      try {
        const { done, value } = await abortable(reader.read(), signal);
        if (!done) stored.update(value);
        return done ? undefined : value;
      } catch (error) {
        await reader.cancel(error).catch(() => {});
        throw error;
      }
    },
  }, blob.compression);
  const pieces: Uint8Array[] = [];
  for (let chunk = await plain.next(); chunk !== undefined; chunk = await plain.next()) pieces.push(chunk);
  const tar = concatenated(pieces);
  const diffId = `sha256:${createHash("sha256").update(tar).digest("hex")}` as Digest;
  const digest = `sha256:${stored.digest("hex")}` as Digest;
  if ((blob.diffId ?? diffId) !== diffId) throw new LaminaError("DATA_LOSS", `diffID is ${diffId}, not ${blob.diffId}`);
  if ((blob.digest ?? digest) !== digest) throw new LaminaError("DATA_LOSS", `digest is ${digest}, not ${blob.digest}`);
  return { tar, digest, diffId };
}
