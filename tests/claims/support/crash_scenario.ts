/** A life of claims, step by step; each step may be taken again after a crash in its middle. */
import type { ClaimsFixture } from "./claims_fixture.ts";
import { claimJson, classJson, snapshotJson } from "./objects.ts";

const asks = (storage: string) => ({ resources: { requests: { storage } } });
const of = (kind: string, name: string) => ({ storageClassName: "grows", ...asks("16Mi"), dataSource: { kind, name } });

/** See the head of the file. */
export const STEPS: readonly ((f: ClaimsFixture) => Promise<void>)[] = [
  (f) => ensure(f, classJson("grows", { allowVolumeExpansion: true })),
  (f) => ensure(f, claimJson("c", { storageClassName: "grows", ...asks("16Mi") })),
  (f) => ensure(f, claimJson("doomed", { storageClassName: "grows", ...asks("8Mi") })),
  (f) => f.delete("PersistentVolumeClaim", "doomed"),
  (f) => ensure(f, snapshotJson("s", "c")),
  (f) => ensure(f, claimJson("restored", of("VolumeSnapshot", "s"))),
  (f) => f.change("PersistentVolumeClaim", "restored", asks("24Mi")),
  (f) => f.delete("VolumeSnapshot", "s"),
  (f) => f.delete("PersistentVolumeClaim", "c"),
  (f) => f.delete("PersistentVolumeClaim", "restored"),
];

async function ensure(f: ClaimsFixture, object: Record<string, unknown>): Promise<void> {
  const { name } = object.metadata as { name: string };
  if (f.get(object.kind as string, name) === undefined) await f.create(object);
  await f.quiet();
}
