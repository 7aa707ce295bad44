/** The jobs that take archives in: one streaming pass that decompresses, hashes, checks, guards and writes. */
import { type ByteString, displayName } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { hostError } from "../../../runtime/host/errno_errors.ts";
import { closeFd, openAt, pathOfFd, statxFd } from "../../../runtime/host/fs_calls.ts";
import { faultPoint } from "../../../runtime/host/faults.ts";
import { syncFileSystem } from "../../../runtime/host/fs_change_calls.ts";
import {
  AT_FDCWD,
  O_DIRECTORY,
  O_RDONLY,
  openat2,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
} from "../../../runtime/host/openat2.ts";
import { EntryApplier } from "./apply_entry.ts";
import { blamed, type BlobFacts, DirectFeed, type FeedJob, inputOf, limitTar, RingFeed, verify } from "./blob_feed.ts";
import { HashedSource } from "./blob_source.ts";
import type { RingMemory } from "./chunk_ring.ts";
import type { WhiteoutForm } from "./engine.ts";
import { finishLayer } from "./finish_layer.ts";
import type { JobContext } from "./job_protocol.ts";
import { RecipeWriter } from "./recipe_writer.ts";
import { TarReader } from "./tar_reader.ts";
import { absolutePath } from "./tree_error.ts";
import { treeUsage } from "./tree_usage.ts";
import type { AppliedLayer, LayerLimits } from "./types.ts";
import { Warnings } from "./warnings.ts";

/** Arguments of {@linkcode unpackJob}. */
export interface UnpackJob extends FeedJob {
  /** Another worker's {@linkcode feedJob} puts the archive there. Absent: this job reads it. */
  readonly ring?: RingMemory;
  readonly directory: string;
  readonly whiteouts: WhiteoutForm;
  /** Whether the question `lowers` has an answer (`string[]`, topmost first). */
  readonly asksLowers: boolean;
  readonly recipePath?: string;
  readonly limits: LayerLimits;
}

/** Arguments of {@linkcode unpackIntoJob}; the archive is the job's input stream, not compressed. */
export interface UnpackIntoJob {
  readonly root: string;
  readonly path: string;
  readonly keepKinds: boolean;
  readonly limits: LayerLimits;
}

/** Unpacks a layer; see `LayerEngine.unpack`. What it leaves after a failure is the caller's to delete. */
export async function unpackJob(job: UnpackJob, context: JobContext): Promise<AppliedLayer> {
  const rootFd = openDirectory(job.directory);
  let recipe: RecipeWriter | undefined;
  try {
    recipe = job.recipePath === undefined ? undefined : new RecipeWriter(job.recipePath);
    const warnings = new Warnings();
    const read = await unpackBlob(job, rootFd, recipe, warnings, context);
    // Everything is written: now it becomes durable, then visible, then known.
    recipe?.complete();
    faultPoint("import.layer_unpacked");
    context.throwIfCancelled();
    syncFileSystem(rootFd);
    if (recipe !== undefined && !sameFileSystem(recipe.fd, rootFd)) syncFileSystem(recipe.fd);
    const usage = treeUsage(job.directory, () => context.throwIfCancelled());
    recipe?.publish();
    recipe = undefined;
    faultPoint("import.layer_synced");
    return { ...read, ...usage, warnings: warnings.list() };
  } catch (error) {
    throw hostError(error, `Cannot unpack a layer into ${job.directory}`);
  } finally {
    recipe?.discard();
    closeFd(rootFd);
  }
}

/** Unpacks an archive into somebody's tree; see `LayerEngine.unpackInto`. */
export async function unpackIntoJob(job: UnpackIntoJob, context: JobContext): Promise<void> {
  const rootFd = openDirectory(job.root);
  let targetFd = -1;
  try {
    targetFd = openTarget(rootFd, job);
    const base = pathBelow(rootFd, targetFd);
    const warnings = new Warnings();
    const check = () => context.throwIfCancelled();
    const tar = new HashedSource(inputOf(context), limitTar(job.limits), false);
    const { keepKinds, limits } = job;
    using applier = new EntryApplier(rootFd, { form: "none", base, keepKinds, limits, warnings, check });
    await applyAll(applier, new TarReader(tar, job.limits, () => {}), check);
    await finishLayer(applier, { form: "none", warnings, check });
    syncFileSystem(targetFd);
  } catch (error) {
    throw hostError(error, `Cannot unpack an archive into "${job.path}"`);
  } finally {
    if (targetFd >= 0) closeFd(targetFd);
    closeFd(rootFd);
  }
}

async function unpackBlob(
  job: UnpackJob,
  rootFd: number,
  recipe: RecipeWriter | undefined,
  warnings: Warnings,
  context: JobContext,
): Promise<BlobFacts & Pick<AppliedLayer, "entries">> {
  const check = () => context.throwIfCancelled();
  const feed = job.ring === undefined ? new DirectFeed(job, context) : new RingFeed(job.ring, context);
  try {
    using applier = new EntryApplier(rootFd, {
      form: job.whiteouts,
      base: "" as ByteString,
      limits: job.limits,
      recipe,
      warnings,
      check,
    });
    await applyAll(applier, new TarReader(feed, job.limits, (bytes) => recipe?.raw(bytes)), check);
    const facts = await feed.facts();
    verify(facts.digest, job.digest, "The blob's digest");
    verify(facts.diffId, job.diffId, "The digest of the uncompressed layer");
    const lowers = job.asksLowers ? async () => await context.askMain("lowers") as string[] : undefined;
    await finishLayer(applier, { form: job.whiteouts, lowers, warnings, check });
    return { ...facts, entries: applier.entries };
  } catch (error) {
    throw await blamed(error, feed, job);
  } finally {
    feed.close();
  }
}

async function applyAll(applier: EntryApplier, reader: TarReader, check: () => void): Promise<void> {
  for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) {
    check();
    await applier.apply(entry, reader);
  }
  await reader.finish();
}

function openDirectory(path: string): number {
  try {
    return openAt(AT_FDCWD, absolutePath(path), O_RDONLY | O_DIRECTORY);
  } catch (error) {
    throw hostError(error, `Cannot unpack into ${path}`);
  }
}

function openTarget(rootFd: number, job: UnpackIntoJob): number {
  try {
    return openat2(rootFd, absolutePath(job.path), {
      flags: O_RDONLY | O_DIRECTORY,
      resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    });
  } catch (error) {
    throw hostError(error, `Cannot unpack into the directory "${job.path}"`, { path: job.path });
  }
}

/** Where an open directory is below another. */
function pathBelow(rootFd: number, fd: number): ByteString {
  const [root, target] = [rootFd, fd].map(pathOfFd);
  if (root === target) return "" as ByteString;
  const prefix = root === "/" ? "/" : `${root}/`;
  if (target!.startsWith(prefix)) return target!.slice(prefix.length) as ByteString;
  throw new LaminaError("CONFLICT", `Cannot unpack below "${displayName(root!)}": it was moved meanwhile`);
}

function sameFileSystem(a: number, b: number): boolean {
  const [one, other] = [statxFd(a), statxFd(b)];
  return one.devMajor === other.devMajor && one.devMinor === other.devMinor;
}
