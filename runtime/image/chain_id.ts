/** Names of layers: what a stack of layers is called by what is in it. */
import { createHash } from "node:crypto";
import type { Digest, SnapshotKey } from "../core/ids.ts";

/** Digest of a piece of memory. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
}

/** ChainID of a layer upon `parent` (absent: the base, whose chainID is its diffID). */
export function chainIdUpon(parent: string | undefined, diffId: Digest): SnapshotKey {
  return (parent === undefined ? diffId : digestOf(`${parent} ${diffId}`)) as string as SnapshotKey;
}

/** ChainIDs of a stack of layers, lowest first. */
export function chainIdsOf(diffIds: readonly Digest[]): SnapshotKey[] {
  const chain: SnapshotKey[] = [];
  for (const diffId of diffIds) chain.push(chainIdUpon(chain.at(-1), diffId));
  return chain;
}

/** A digest for people. */
export function shortId(digest: string): string {
  return digest.replace(/^sha256:/, "").slice(0, 12);
}
