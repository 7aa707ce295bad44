/** Who keeps a mount busy: for the message of a failed unmount. */
import { mountsBelow, readMountTable } from "./mount_table.ts";

/** Sentences shown at most. */
const MAX_USERS = 5;

/**
 * The mounts below `target` and the processes that work in it, e.g. `the mount /a/b`, `process 71 (sh)`. A best effort:
 * what ends meanwhile, or may not be looked at, is left out.
 */
export function mountUsers(target: string): string[] {
  const below = mountsBelow(readMountTable(), target).filter((entry) => entry.target !== target);
  const users = below.map((entry) => `the mount ${entry.target}`);
  for (const { name: pid } of Deno.readDirSync("/proc")) {
    if (users.length >= MAX_USERS) break;
    if (/^\d+$/.test(pid) && usesDirectory(pid, target)) users.push(`process ${pid} (${nameOf(pid)})`);
  }
  return users.slice(0, MAX_USERS);
}

function usesDirectory(pid: string, target: string): boolean {
  const links = [`/proc/${pid}/cwd`, `/proc/${pid}/root`, `/proc/${pid}/exe`];
  const descriptors = ifReadable(() => [...Deno.readDirSync(`/proc/${pid}/fd`)]) ?? [];
  for (const link of [...links, ...descriptors.map(({ name }) => `/proc/${pid}/fd/${name}`)]) {
    const path = ifReadable(() => Deno.readLinkSync(link));
    if (path === target || path?.startsWith(`${target}/`)) return true;
  }
  return false;
}

function nameOf(pid: string): string {
  return ifReadable(() => Deno.readTextFileSync(`/proc/${pid}/comm`))?.trim() ?? "?";
}

function ifReadable<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
