/** The programs behind FUSE mounts. */
import { LaminaError } from "../core/errors.ts";

/** A running FUSE program. */
export interface FuseServer {
  readonly pid: number;
  /** What it was started with after its own name: `SOURCE TARGET -o OPTIONS`, as mount(8) does. */
  readonly args: readonly string[];
}

/** Milliseconds that a program gets to answer. */
const PATIENCE_MS = 5000;
/** Milliseconds between two looks at a program that is about to end. */
const LOOK_MS = 10;

/**
 * All processes of a program.
 *
 * @param program Its name, at most 15 bytes: the kernel keeps no more.
 */
export function fuseServers(program: string): FuseServer[] {
  const servers: FuseServer[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (Deno.readTextFileSync(`/proc/${name}/comm`).trimEnd() !== program) continue;
      const [, ...args] = Deno.readTextFileSync(`/proc/${name}/cmdline`).replace(/\0$/, "").split("\0");
      servers.push({ pid: Number(name), args });
    } catch (error) {
      // It has ended meanwhile.
      if (!(error instanceof Error)) throw error;
    }
  }
  return servers;
}

/**
 * Waits until no program of this source is left: it still works on its directories for a moment after its mount is
 * gone.
 *
 * @throws `CONFLICT` when one outlives `timeout_ms`: something still uses its mount.
 */
export async function fuseServersEnded(
  program: string,
  source: string,
  options: { readonly signal: AbortSignal; readonly timeout_ms: number },
): Promise<void> {
  const deadline_ms = Date.now() + options.timeout_ms;
  for (;;) {
    options.signal.throwIfAborted();
    const server = fuseServers(program).find(({ args }) => args[0] === source);
    if (server === undefined) return;
    if (Date.now() > deadline_ms) {
      throw new LaminaError(
        "CONFLICT",
        `${program} (process ${server.pid}) still serves ${source}: its mount is in use. Unmount it first`,
        { details: { pid: server.pid } },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Whether a mount can be opened: not where its program is gone or stuck. One that hangs is given up after 5 s. */
export async function mountAnswers(target: string): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), PATIENCE_MS);
  try {
    // Opened, because what stat tells may come from the kernel's memory.
    return await Promise.race([Deno.open(target).then((file) => (file.close(), true), () => false), late]);
  } finally {
    clearTimeout(timer);
  }
}
