/**
 * Clients that wait for containers to end. None is ever started here: they are told so as soon as somebody has tried,
 * and when the container goes.
 */
import type { LaminaRuntime } from "../../services.ts";

/** By id of container, which no other root has. */
const waiters = new Map<string, Set<() => void>>();

/** Somebody was refused to start a container: whoever waits for its end need not wait any longer. */
export function tellStartRefused(containerId: string): void {
  for (const tell of waiters.get(containerId) ?? []) tell();
}

/** Resolves when somebody was refused to start the container (`refused`), or when it is gone or the signal aborts. */
export async function endOfWait(
  runtime: LaminaRuntime,
  containerId: string,
  signal: AbortSignal,
): Promise<"refused" | "gone"> {
  const { promise: refused, resolve } = Promise.withResolvers<"refused">();
  const tell = () => resolve("refused");
  const mine = waiters.get(containerId) ?? new Set();
  waiters.set(containerId, mine.add(tell));
  const over = new AbortController();
  try {
    return await Promise.race([refused, gone(runtime, containerId, AbortSignal.any([signal, over.signal]))]);
  } finally {
    over.abort();
    mine.delete(tell);
    if (mine.size === 0) waiters.delete(containerId);
  }
}

async function gone(runtime: LaminaRuntime, containerId: string, signal: AbortSignal): Promise<"gone"> {
  for await (const { kind, action, id } of runtime.system.events({}, signal)) {
    if (kind === "container" && action === "remove" && id === containerId) break;
  }
  return "gone";
}
