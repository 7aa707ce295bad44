/** Unmounting what a server may not answer for. */
import { LaminaError, messageOf } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import type { Mounter } from "../../../runtime/host/mounter.ts";

/** What each way gets before the next is tried. */
const PATIENCE_MS = 20_000;

/**
 * Unmounts a network file system: in order; if its server does not answer, by aborting what waits for it; at last out
 * of sight at once. In use is in use: that is told, not forced. Not mounted: success.
 */
export async function unmountNetwork(path: string, mounter: Mounter, { signal }: Operation): Promise<void> {
  const ways = [{}, { force: true }, { force: true, lazy: true }];
  for (const [i, way] of ways.entries()) {
    try {
      return await mounter.unmount([path], { signal, timeout_ms: PATIENCE_MS, ...way });
    } catch (error) {
      signal.throwIfAborted();
      const silent = error instanceof LaminaError &&
        (error.code === "DEADLINE_EXCEEDED" || error.code === "UNAVAILABLE");
      if (!silent || i === ways.length - 1) {
        throw error instanceof LaminaError ? error : new LaminaError("INTERNAL", messageOf(error), { cause: error });
      }
    }
  }
}
