/** Intents: what an operation is about to do, so that the next start can finish or undo it. */
import type { Store, Transaction } from "./store.ts";

/** The operations that leave an intent. Each has one recovery, registered by its service. */
export type IntentKind =
  | "image.import"
  | "image.remove"
  | "container.create"
  | "container.remove"
  | "container.commit"
  | "volume.create"
  | "volume.remove"
  | "volume.fill"
  | "volume.rename"
  | "volume.resize"
  | "volume.restore"
  | "volume.snapshot"
  | "migrate";

/** An operation that was begun. */
export interface Intent {
  readonly id: number;
  readonly kind: IntentKind;
  /** Id or name of what it is about. */
  readonly object: string;
  /** What the recovery needs. */
  readonly data: Record<string, unknown>;
}

/** Notes an intent as part of a write; the operation's first effect comes after that write's commit. */
export function beginIntent(tx: Transaction, kind: IntentKind, object: string, data: Record<string, unknown>): Intent {
  const { lastId } = tx.run(
    "INSERT INTO journal (kind, object, data, created_at_ms) VALUES (?, ?, ?, ?)",
    kind,
    object,
    JSON.stringify(data),
    Date.now(),
  );
  return { id: lastId, kind, object, data };
}

/** Replaces what the recovery will be told. */
export function updateIntent(tx: Transaction, intent: Intent, data: Record<string, unknown>): Intent {
  tx.run("UPDATE journal SET data = ? WHERE id = ?", JSON.stringify(data), intent.id);
  return { ...intent, data };
}

/** Ends an intent as part of the write that makes the operation's result visible, or after it was undone. */
export function endIntent(tx: Transaction, intent: Intent): void {
  tx.run("DELETE FROM journal WHERE id = ?", intent.id);
}

/** What was interrupted, oldest first. */
export function openIntents(store: Store): Intent[] {
  return store.all<{ id: number; kind: IntentKind; object: string; data: string }>(
    "SELECT id, kind, object, data FROM journal ORDER BY id",
  ).map((row) => ({ ...row, data: JSON.parse(row.data) }));
}
