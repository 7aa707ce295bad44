/** A path of the host that a step failed for: when something else is found there, the step is worth another try. */
import type { ErrorDetails } from "../../runtime/core/errors.ts";

/** What a failed step has found. */
export interface AwaitedPath {
  readonly path: string;
  /** 0: there was nothing. */
  readonly inode: number;
}

/** For the details of the step's error. */
export function awaiting(path: string, found?: Deno.FileInfo): ErrorDetails {
  return { awaits_path: path, awaits_inode: found?.ino ?? 0 };
}

/** What an error, or what caused it, waits for. */
export function awaitedOf(error: unknown): AwaitedPath | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (!("details" in at)) continue;
    const { awaits_path, awaits_inode } = at.details as ErrorDetails;
    if (typeof awaits_path === "string") return { path: awaits_path, inode: Number(awaits_inode) };
  }
  return undefined;
}
