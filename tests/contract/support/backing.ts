/** What lies behind a driver, for the cases that look there or meddle with it. */
import { join } from "@std/path/posix";
import type { DriverFixture } from "./driver_fixture.ts";

/** See the head of the file. Ids are those of rows. */
export interface Backing {
  /** What a tree is called in findings: `directory`, `dataset`, `device`. */
  readonly noun: string;
  /** The driver keeps its trees in directories of this form: cases that are about directories apply. */
  readonly directories: boolean;
  /** Names of everything that is there for snapshots, removed ones included. */
  list(f: DriverFixture): Promise<string[]>;
  /** Makes a tree that no row owns. Returns its name in findings. */
  makeOrphan(f: DriverFixture): Promise<string>;
  /** Makes something that Lamina does not make. Returns its name in findings. */
  makeStranger(f: DriverFixture): Promise<string>;
  /** Puts something in the way of the tree with this id. Returns what takes it away again. */
  block(f: DriverFixture, id: number): Promise<() => Promise<void>>;
  /** Takes the tree of a snapshot away. */
  lose(f: DriverFixture, id: number): Promise<void>;
  /** Runs `body` with the tree of a snapshot at a path where it can be changed, also that of a committed one. */
  meddle<T>(f: DriverFixture, id: number, body: (tree: string) => Promise<T>): Promise<T>;
}

/** Directories, as most drivers have them. */
export const directoryBacking: Backing = {
  noun: "directory",
  directories: true,
  async list(f) {
    const found: string[] = [];
    for (const part of ["l", "trash"]) {
      for await (const { name } of Deno.readDir(join(f.directory, part))) found.push(`${part}/${name}`);
    }
    return found.sort();
  },
  async makeOrphan(f) {
    await Deno.mkdir(join(f.directory, "l", "orphan", "fs"), { recursive: true });
    return join(f.directory, "l", "orphan");
  },
  async makeStranger(f) {
    const path = join(f.directory, "l", "Photos");
    await Deno.mkdir(path);
    return path;
  },
  async block(f, id) {
    const path = directoryOf(f, id);
    await Deno.writeTextFile(path, "in the way");
    return async () => {
      if (await Deno.readTextFile(path) !== "in the way") throw new Error(`${path} was changed`);
      await Deno.remove(path);
    };
  },
  async lose(f, id) {
    await Deno.remove(directoryOf(f, id), { recursive: true });
  },
  meddle(f, id, body) {
    return body(join(directoryOf(f, id), "fs"));
  },
};

/** The directory of a snapshot. */
export function directoryOf(f: DriverFixture, id: number): string {
  return join(f.directory, "l", id.toString(36));
}
