/** The workers' jobs that read, copy and delete trees. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import { type ConvertedForm, convertWhiteouts } from "./convert_whiteouts.ts";
import { copyTree } from "./copy_tree.ts";
import { compareChanges, compareTar } from "./diff_compare.ts";
import { overlayChanges } from "./diff_overlay.ts";
import { overlayTar } from "./diff_overlay_tar.ts";
import type { DiffSource, TarSource, TreeUsage } from "./engine.ts";
import type { JobContext } from "./job_protocol.ts";
import { removeTree } from "./remove_tree.ts";
import { type GroupRequest, type GroupResult, setGroup } from "./set_group.ts";
import { publicChange } from "./tree_change.ts";
import { treeTar } from "./tree_tar.ts";
import { treeUsage, treeWritten } from "./tree_usage.ts";
import type { Change } from "./types.ts";

/** What the job `tar` is made of; archives by recipe are a job of their own. */
export type TreeTarJobSource = Exclude<TarSource, { kind: "recipe" }>;

/** Changes sent at a time. */
const BATCH = 500;

/** Emits the changes in arrays of at most 500. */
export async function changesJob({ source }: { source: DiffSource }, context: JobContext): Promise<void> {
  const check = () => context.throwIfCancelled();
  const changes = source.kind === "overlay" ? overlayChanges(source, check) : compareChanges(source, check);
  let batch: Change[] = [];
  for (const change of changes) {
    if (batch.push(publicChange(change)) < BATCH) continue;
    await context.emit(batch);
    batch = [];
  }
  if (batch.length > 0) await context.emit(batch);
}

/** Emits an archive. */
export async function tarJob(
  { source, clampMtime_s }: { source: TreeTarJobSource; clampMtime_s?: number },
  context: JobContext,
): Promise<void> {
  let sent_bytes = 0;
  for (const chunk of tarChunks(source, { clampMtime_s, check: () => context.throwIfCancelled() })) {
    sent_bytes += chunk.length;
    await context.emitChunk(chunk);
    context.progress({ phase: "archive", id: "", current: sent_bytes });
  }
}

function tarChunks(source: TreeTarJobSource, options: { clampMtime_s?: number; check: () => void }) {
  switch (source.kind) {
    case "overlay":
      return overlayTar(source, options);
    case "compare":
      return compareTar(source, options);
    case "tree":
      return treeTar(source, options);
  }
}

/** Copies a tree; see {@linkcode copyTree}. */
export function copyTreeJob({ source, target }: { source: string; target: string }, context: JobContext): TreeUsage {
  return copyTree(source, target, {
    check: () => context.throwIfCancelled(),
    onEntry: (usage) => context.progress({ phase: "copy", id: "", current: usage.inodes, unit: "entries" }),
  });
}

/** Brings whiteouts into one form; see {@linkcode convertWhiteouts}. */
export function convertWhiteoutsJob(
  { path, form }: { path: string; form: ConvertedForm },
  context: JobContext,
): void {
  convertWhiteouts(path, form, () => context.throwIfCancelled());
}

/** Deletes a tree; see {@linkcode removeTree}. */
export function removeTreeJob({ path }: { path: string }, context: JobContext): void {
  removeTree(path, () => context.throwIfCancelled());
}

/** Gives a tree a group; see {@linkcode setGroup}. */
export function setGroupJob(request: GroupRequest, context: JobContext): GroupResult {
  return setGroup(request, {
    check: () => context.throwIfCancelled(),
    onEntry: (inodes) => context.progress({ phase: "group", id: "", current: inodes, unit: "entries" }),
  });
}

/** Measures a tree, or what it has written; see `treeUsage` and `treeWritten`. */
export function usageJob(
  { path, written }: { path: string; written?: { readonly since: bigint } },
  context: JobContext,
): TreeUsage {
  if (written !== undefined) return treeWritten(path, written.since, () => context.throwIfCancelled());
  return treeUsage(path, () => context.throwIfCancelled());
}

/**
 * `SOURCE_DATE_EPOCH`: the time after which no entry of an archive is dated, in seconds since the epoch; `undefined`
 * when the environment does not set it.
 *
 * @throws `INVALID_ARGUMENT` when it is no whole number.
 */
export function sourceDateEpoch(value: string | undefined): number | undefined {
  if (value === undefined || value === "") return undefined;
  if (/^\d{1,15}$/.test(value)) return Number(value);
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot use SOURCE_DATE_EPOCH="${value}": it is no whole number of seconds. Correct or unset it`,
  );
}
