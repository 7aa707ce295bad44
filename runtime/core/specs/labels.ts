/** Labels of containers and volumes. */
import * as z from "zod";

/** At most 256, keys up to 256 and values up to 4096 characters. */
export const Labels = z.record(z.string().min(1).max(256), z.string().max(4096)).refine(
  (labels) => Object.keys(labels).length <= 256,
  "at most 256 labels",
);
