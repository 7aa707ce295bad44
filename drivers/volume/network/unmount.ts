/** Unmounting what a server, or a program, may not answer for. */
import { LaminaError, toLaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import type { Mounter } from "../../../runtime/host/mounter.ts";

/** What each way gets before the next is tried. */
const PATIENCE_MS = 20_000;

/**
 * Unmounts what may hang: in order; if nobody answers for it, by aborting what waits for an answer. Out of sight at
 * once, with whatever was not written yet, only for who gives it up. In use is in use: that is told, not forced. Not
 * mounted: success.
 *
 * @param options `force`: nobody wants to see it again, whatever is behind it. `patience_ms`: for each way.
 * @throws `UNAVAILABLE`, saying what a person can do.
 */
export async function unmountNetwork(
  path: string,
  mounter: Mounter,
  { signal }: Operation,
  options: { readonly force?: boolean; readonly patience_ms?: number } = {},
): Promise<void> {
  const { force = false, patience_ms = PATIENCE_MS } = options;
  const ways = [{}, { force: true }, ...(force ? [{ force: true, lazy: true }] : [])];
  let silence: LaminaError | undefined;
  for (const way of ways) {
    try {
      return await mounter.unmount([path], { signal, timeout_ms: patience_ms, ...way });
    } catch (error) {
      signal.throwIfAborted();
      silence = toLaminaError(error, `Cannot unmount ${path}`);
      if (silence.code !== "DEADLINE_EXCEEDED" && silence.code !== "UNAVAILABLE") throw silence;
    }
  }
  throw new LaminaError(
    "UNAVAILABLE",
    `Cannot unmount ${path}: what is behind it does not answer, not even to an unmount by force. Bring its server ` +
      `back, or give up what was not written yet with "umount -l ${path}": then this goes on by itself`,
    { cause: silence, details: { path } },
  );
}
