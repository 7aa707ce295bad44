/**
 * Branch unions: several directories shown as one. The row says what is wanted, the mount table what is there; a start
 * makes them agree. A union's program is no child of this process: it goes on when Lamina ends.
 */
import { dirname } from "@std/path/posix";
import { needsWork } from "../../drivers/storage/aufs/branch_union_mounts.ts";
import { LaminaError, messageOf } from "../core/errors.ts";
import type { EventSink } from "../core/event_bus.ts";
import type { KeyedLock } from "../core/keyed_lock.ts";
import type { Operation } from "../core/operation.ts";
import type { RootLayout } from "../core/root_layout.ts";
import { parseSpec } from "../core/specs/parse_spec.ts";
import { type Union, UnionCreate } from "../core/specs/union.ts";
import { faultPoint } from "../host/faults.ts";
import { mountAtTarget, readMountTable } from "../host/mount_table.ts";
import type { Mounter } from "../host/mounter.ts";
import type { UnionService } from "../services.ts";
import type { Store } from "../store/store.ts";
import { checkPlaces, refuseTakenTarget } from "./check_places.ts";
import { chooseProgram, type UnionTools, unionTools } from "./choose_program.ts";
import { UnionMounter } from "./union_mounter.ts";
import { deleteUnionRow, findUnion, findUnionRow, insertUnionRow, setUnionState, type UnionRow } from "./union_rows.ts";
import { unionRows } from "./union_rows.ts";

/** What unions are made with. */
export interface UnionRoom {
  readonly store: Store;
  readonly layout: RootLayout;
  readonly mounter: Mounter;
  readonly locks: KeyedLock;
  readonly events: EventSink;
  /** Default: what the host has. */
  readonly tools?: () => UnionTools;
}

/** Lock of one union, by target. */
export function unionLock(target: string): string {
  return `union:${target}`;
}

/** See the head of the file. */
export class Unions implements UnionService {
  readonly mounter: UnionMounter;

  constructor(readonly room: UnionRoom) {
    this.mounter = new UnionMounter(room);
  }

  /** See {@linkcode UnionService}. */
  async mount(request: UnionCreate, operation: Operation): Promise<Union> {
    const { store, layout, locks } = this.room;
    const places = await checkPlaces(parseSpec(UnionCreate, request, "union"), layout.root);
    const { branches, target } = places;
    using _lock = await locks.acquire(unionLock(target), operation.signal);
    const existing = findUnionRow(store, target);
    if (existing !== undefined) return await this.#again(existing, places.branches, operation);
    await refuseTakenTarget(target);
    const writable = branches.find(({ access }) => access === "rw")?.directory;
    const workIsPossible = writable !== undefined && await sameFileSystem(writable, dirname(writable));
    const program = chooseProgram(branches, (this.room.tools ?? unionTools)(), workIsPossible);
    const id = crypto.getRandomValues(new Uint8Array(8)).toHex();
    const work = needsWork(program) ? UnionMounter.workOf(id, writable!) : undefined;
    const row: UnionRow = { id, target, branches, program, work, state: "creating", createdAt_ms: Date.now() };
    await store.write((tx) => insertUnionRow(tx, row));
    faultPoint("union.row_written");
    try {
      operation.signal.throwIfAborted();
      await this.mounter.mount(row, operation);
    } catch (error) {
      await store.write((tx) => deleteUnionRow(tx, id), { frees: true });
      throw error;
    }
    await store.write((tx) => setUnionState(tx, id, "ready"));
    this.room.events.emit({ kind: "union", action: "mount", id, name: target, attributes: { program } });
    return show({ ...row, state: "ready" }, true);
  }

  /** See {@linkcode UnionService}. */
  list(): Union[] {
    const table = readMountTable();
    return unionRows(this.room.store).filter(({ state }) => state === "ready")
      .map((row) => show(row, mountAtTarget(table, row.target) !== undefined));
  }

  /** See {@linkcode UnionService}. */
  async unmount(name: string, options: { readonly lazy: boolean }, operation: Operation): Promise<void> {
    const { store, locks } = this.room;
    const found = findUnion(store, name) ?? findUnionRow(store, await realPathIfThere(name));
    if (found === undefined) throw noUnion(name);
    using _lock = await locks.acquire(unionLock(found.target), operation.signal);
    const row = findUnion(store, found.id);
    if (row === undefined) return;
    await store.write((tx) => setUnionState(tx, row.id, "removing"), { frees: true });
    try {
      await this.mounter.unmount(row, options, operation);
    } catch (error) {
      // Busy: it is mounted as before, and wanted until somebody asks again.
      await store.write((tx) => setUnionState(tx, row.id, "ready"), { frees: true });
      throw error;
    }
    await store.write((tx) => deleteUnionRow(tx, row.id), { frees: true });
    this.room.events.emit({ kind: "union", action: "unmount", id: row.id, name: row.target });
  }

  /**
   * After a start: what was interrupted is undone or finished, what should be mounted and is not (a reboot, a program
   * that died) is mounted again.
   */
  async recover(operation: Operation): Promise<Array<{ object: string; message: string }>> {
    const { store, layout } = this.room;
    const rows = unionRows(store);
    const problems: Array<{ object: string; message: string }> = [];
    const attempt = async (object: string, body: () => Promise<void>) => {
      operation.signal.throwIfAborted();
      try {
        await body();
      } catch (error) {
        operation.signal.throwIfAborted();
        problems.push({ object, message: messageOf(error) });
      }
    };
    for (const row of rows) {
      await attempt(`union ${row.target}`, async () => {
        if (row.state === "ready") return await this.restore(row, operation);
        await this.mounter.unmount(row, { lazy: false }, operation);
        await store.write((tx) => deleteUnionRow(tx, row.id), { frees: true });
      });
    }
    for (const id of await this.strayHelpers()) {
      await attempt(`${layout.unions}/${id}`, () => this.mounter.clearStray(id, operation));
    }
    return problems;
  }

  /** Mounts a union again that should be there and is not. */
  async restore(row: UnionRow, operation: Operation): Promise<void> {
    const presence = await this.mounter.presence(row);
    if (presence === "mounted") return;
    if (presence === "foreign") await refuseTakenTarget(row.target);
    if (presence === "dead") await this.mounter.unmount(row, { lazy: true }, operation);
    const places = await checkPlaces(row, this.room.layout.root);
    if (places.target !== row.target) await refuseTakenTarget(row.target);
    await refuseTakenTarget(row.target);
    await this.mounter.mount(row, operation);
  }

  /** Ids of helper directories that belong to no union. */
  async strayHelpers(): Promise<string[]> {
    const { store, layout } = this.room;
    const names = (await Array.fromAsync(Deno.readDir(layout.unions))).map(({ name }) => name);
    return names.filter((name) => findUnion(store, name) === undefined);
  }

  async #again(row: UnionRow, branches: UnionRow["branches"], operation: Operation): Promise<Union> {
    if (row.state !== "ready" || JSON.stringify(row.branches) !== JSON.stringify(branches)) {
      throw new LaminaError(
        "CONFLICT",
        `Cannot mount a union on ${row.target}: there is one of other branches. Unmount it first ` +
          `(lamina union unmount ${row.target})`,
        { details: { target: row.target, id: row.id } },
      );
    }
    await this.restore(row, operation);
    return show(row, true);
  }
}

function show(row: UnionRow, mounted: boolean): Union {
  const { id, target, branches, program, createdAt_ms } = row;
  const created_at = new Date(createdAt_ms).toISOString();
  return { id, target, branches: branches.map((branch) => ({ ...branch })), program, mounted, created_at };
}

function noUnion(name: string): LaminaError {
  return new LaminaError(
    "NOT_FOUND",
    `There is no union ${JSON.stringify(name.slice(0, 200))}. "lamina union ls" shows those that exist`,
    { details: { union: name.slice(0, 200) } },
  );
}

async function realPathIfThere(path: string): Promise<string> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    // Whatever is wrong with the path: no union has it.
    if (error instanceof Error) return path;
    throw error;
  }
}

async function sameFileSystem(a: string, b: string): Promise<boolean> {
  return (await Deno.stat(a)).dev === (await Deno.stat(b)).dev;
}
