/** Addresses of other machines, as this host resolves their names (its hosts file included). */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { LaminaError, messageOf } from "../core/errors.ts";
import { abortable } from "../core/keyed_lock.ts";

/**
 * The address of `name`; an address is its own.
 *
 * @throws `NOT_FOUND` (no such name), `UNAVAILABLE` (no name server answers); the signal's reason.
 */
export async function resolveHost(name: string, signal: AbortSignal): Promise<string> {
  if (isIP(name) !== 0) return name;
  const looking = lookup(name);
  looking.catch(() => {/* told below, or nobody waits any more */});
  try {
    return (await abortable(looking, signal)).address;
  } catch (error) {
    signal.throwIfAborted();
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    throw new LaminaError(
      /ENOTFOUND|ENODATA/.test(code) || /not known/.test(messageOf(error)) ? "NOT_FOUND" : "UNAVAILABLE",
      `Cannot find the address of ${JSON.stringify(name.slice(0, 255))}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
