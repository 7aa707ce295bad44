/** Makes the mounts of a union true, and takes them away: helper binds, work directory, and the union itself. */
import { dirname, join } from "@std/path/posix";
import { needsWork, unionMounts, unionSource } from "../../drivers/storage/aufs/branch_union_mounts.ts";
import { LaminaError } from "../core/errors.ts";
import type { MountEntry } from "../core/mountinfo.ts";
import type { Operation } from "../core/operation.ts";
import type { RootLayout } from "../core/root_layout.ts";
import { makeDirectoryDurably } from "../host/durable.ts";
import { hostError } from "../host/errno_errors.ts";
import { faultPoint } from "../host/faults.ts";
import { mountAnswers } from "../host/fuse_servers.ts";
import { mountAtTarget, mountsBelow, readMountTable } from "../host/mount_table.ts";
import type { Mounter } from "../host/mounter.ts";
import type { UnionRow } from "./union_rows.ts";

/** Milliseconds that a union's program gets to end after its mount is gone. */
const PATIENCE_MS = 5000;

/** What becomes of a union's target. */
export type UnionPresence =
  /** Mounted and answering. */
  | "mounted"
  /** Mounted, but its program is gone or does not answer. */
  | "dead"
  /** Something that is not this union is mounted there. */
  | "foreign"
  | "absent";

/** See the head of the file. */
export class UnionMounter {
  constructor(private readonly room: { readonly mounter: Mounter; readonly layout: RootLayout }) {}

  /** Where the helper binds of a union are. */
  helpers(id: string): string {
    return join(this.room.layout.unions, id);
  }

  /** Where fuse-overlayfs would work for a union whose writable branch is `branch`. */
  static workOf(id: string, branch: string): string {
    return join(dirname(branch), `.lamina-union-${id}`);
  }

  /** What the kernel says. */
  async presence(row: UnionRow): Promise<UnionPresence> {
    const entry = mountAtTarget(readMountTable(), row.target);
    if (entry === undefined) return "absent";
    if (!isUnionMount(entry, row)) return "foreign";
    return await mountAnswers(row.target) ? "mounted" : "dead";
  }

  /**
   * Mounts a union. What there is of its helper binds is made anew. When it fails, nothing is left mounted.
   *
   * @throws what mounting throws.
   */
  async mount(row: UnionRow, operation: Operation): Promise<void> {
    await this.#clearHelpers(row.id, operation);
    const helpers = this.helpers(row.id);
    const { binds, union } = unionMounts(row.program, { ...row, helpers });
    try {
      if (row.work !== undefined && needsWork(row.program)) await makeDirectoryDurably(row.work, 0o700);
      if (binds.length > 0) {
        // mergerfs goes there as the user who asks: passable, but not to be listed.
        await Deno.mkdir(helpers, { mode: 0o711 });
        for (const { target } of binds) await Deno.mkdir(target, { mode: 0o700 });
        await this.room.mounter.mount(binds, { signal: operation.signal });
        faultPoint("union.binds_made");
      }
      await this.room.mounter.mount([union], { signal: operation.signal });
      if (!await mountAnswers(row.target)) {
        throw new LaminaError("UNAVAILABLE", `${row.program} mounted ${row.target}, but does not answer there`);
      }
    } catch (error) {
      const failure = hostError(error, `Cannot mount the union ${row.target} by ${row.program}`);
      await this.unmount(row, { lazy: true }, afterFailure(operation));
      throw failure;
    }
    faultPoint("union.mounted");
  }

  /**
   * Takes a union away with its helpers; absent is success. A mount of somebody else at its target stays.
   *
   * @throws `CONFLICT` when it is busy; then all is as it was.
   */
  async unmount(row: UnionRow, options: { readonly lazy: boolean }, operation: Operation): Promise<void> {
    const presence = await this.presence(row);
    if (presence === "mounted" || presence === "dead") {
      // One whose program is gone has nobody who could still write through it.
      const lazy = options.lazy || presence === "dead";
      await this.room.mounter.unmount([row.target], { signal: operation.signal, lazy });
      faultPoint("union.unmounted");
    }
    await this.#clearHelpers(row.id, operation);
    if (row.work !== undefined) await removeWork(row.work);
  }

  /** Removes the helper binds and their directories, which must be empty then. */
  async clearStray(id: string, operation: Operation): Promise<void> {
    await this.#clearHelpers(id, operation);
  }

  async #clearHelpers(id: string, operation: Operation): Promise<void> {
    const helpers = this.helpers(id);
    const targets = mountsBelow(readMountTable(), helpers).map(({ target }) => target).reverse();
    // Lazily: the program holds them until it has ended, and nobody else can.
    if (targets.length > 0) await this.room.mounter.unmount(targets, { signal: operation.signal, lazy: true });
    try {
      // Never recursive: below a bind that came back lies user data.
      for await (const { name } of Deno.readDir(helpers)) await Deno.remove(join(helpers, name));
      await Deno.remove(helpers);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw hostError(error, `Cannot remove ${helpers}`);
    }
  }
}

/** Whether an entry at the target of a union is that union. */
function isUnionMount(entry: MountEntry, row: UnionRow): boolean {
  if (row.program === "fuse-overlayfs") return entry.type === "fuse.fuse-overlayfs";
  return entry.source === unionSource(row.id);
}

/** Of fuse-overlayfs: `DIR/work` and what a killed one left in it. It is ours by name and never held a branch's files. */
async function removeWork(work: string): Promise<void> {
  const deadline_ms = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await Deno.remove(work, { recursive: true });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return;
      // Its program may still be ending.
      if (Date.now() > deadline_ms) throw hostError(error, `Cannot remove ${work}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function afterFailure(operation: Operation): Operation {
  return { ...operation, signal: AbortSignal.timeout(30_000) };
}
