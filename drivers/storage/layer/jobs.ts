/**
 * The table of everything a worker can do. A new job is one more line: its name and a function that takes its arguments
 * and a {@linkcode JobContext}. The pool takes names, arguments and results from the type of this table.
 */
import { unpackIntoJob, unpackJob } from "./apply_layer.ts";
import { feedJob } from "./blob_feed.ts";
import { compressJob } from "./compress_job.ts";
import type { Job } from "./job_protocol.ts";
import { reassembleJob } from "./recipe_reader.ts";
import {
  changesJob,
  convertWhiteoutsJob,
  copyTreeJob,
  removeTreeJob,
  setGroupJob,
  tarJob,
  usageJob,
} from "./tree_jobs.ts";

/** Name -> function. */
export const jobs = {
  unpack: unpackJob,
  unpackInto: unpackIntoJob,
  feed: feedJob,
  reassemble: reassembleJob,
  compress: compressJob,
  changes: changesJob,
  tar: tarJob,
  convertWhiteouts: convertWhiteoutsJob,
  copyTree: copyTreeJob,
  removeTree: removeTreeJob,
  setGroup: setGroupJob,
  usage: usageJob,
} satisfies Record<string, Job>;

/** For the pool. */
export type JobTable = typeof jobs;
