/**
 * Which file system unites branches, and by which mounts. Pure.
 *
 * What AUFS does with a write depends on where the branches stand: a file of a read-only branch *below* a writable one
 * is copied up, one *above* all writable branches cannot be changed (EROFS). No FUSE union does both, so the order of
 * the branches says which of them can stand in for the kernel's AUFS:
 *
 * - no read-only branch below a writable one: mergerfs over read-only binds (its own `RO` alone lets existing files be
 *   written), otherwise unionfs-fuse, which says EACCES where AUFS says EROFS;
 * - one writable branch on top of read-only ones: fuse-overlayfs, otherwise unionfs-fuse with copy-on-write;
 * - anything else: unionfs-fuse with copy-on-write.
 */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { Branch } from "./branch_union.ts";

/** What can unite branches. */
export type UnionProgram = "aufs" | "mergerfs" | "fuse-overlayfs" | "unionfs-fuse";

/** All FUSE unions: the program that mounts, and its Debian package. */
export const FUSE_UNIONS: Readonly<Record<Exclude<UnionProgram, "aufs">, { program: string; package: string }>> = {
  mergerfs: { program: "mergerfs", package: "mergerfs" },
  "fuse-overlayfs": { program: "fuse-overlayfs", package: "fuse-overlayfs" },
  "unionfs-fuse": { program: "unionfs", package: "unionfs-fuse" },
};

/** Where the branches of a union stand. */
export interface UnionPlaces {
  /** 16 hexadecimal digits; shown as `lamina-union-ID` in the mount table where the program lets us. */
  readonly id: string;
  readonly branches: readonly Branch[];
  readonly target: string;
  /** Directory of helper binds: `HELPERS/0`, `HELPERS/1`, … one for each branch. */
  readonly helpers: string;
  /** For fuse-overlayfs: a directory of its own on the file system of the writable branch. */
  readonly work?: string;
}

/** The mounts of a union: the helper binds come first. */
export interface UnionMounts {
  readonly binds: readonly Mount[];
  readonly union: Mount;
}

/** The programs that treat these branches as AUFS would, the best first. */
export function unionPrograms(branches: readonly Branch[]): UnionProgram[] {
  const firstWritable = branches.findIndex(({ access }) => access === "rw");
  const copiesUp = firstWritable >= 0 && branches.slice(firstWritable).some(({ access }) => access === "ro");
  if (!copiesUp) return ["aufs", "mergerfs", "unionfs-fuse"];
  const layered = firstWritable === 0 && branches.slice(1).every(({ access }) => access === "ro");
  return layered ? ["aufs", "fuse-overlayfs", "unionfs-fuse"] : ["aufs", "unionfs-fuse"];
}

/** Whether a program can be told of these directories: AUFS and fuse-overlayfs see the branches themselves. */
export function canName(program: UnionProgram, branches: readonly Branch[]): boolean {
  if (program !== "aufs" && program !== "fuse-overlayfs") return true;
  return branches.every(({ directory }) => !/[\\:,="'\s]/.test(directory));
}

/** Whether a program needs {@linkcode UnionPlaces.work}. */
export function needsWork(program: UnionProgram): boolean {
  return program === "fuse-overlayfs";
}

/** What a union is called in the mount table, by the programs that can be told. */
export function unionSource(id: string): string {
  return `lamina-union-${id}`;
}

/** The mounts of a union, helper binds first. */
export function unionMounts(program: UnionProgram, places: UnionPlaces): UnionMounts {
  const { id, branches, target, helpers, work } = places;
  const source = unionSource(id);
  const readOnly = branches.every(({ access }) => access === "ro") ? ["ro"] : [];
  const binds = branches.map(({ directory, access }, i): Mount => ({
    type: "bind",
    source: directory,
    target: `${helpers}/${i}`,
    options: ["bind", access, "private"],
  }));
  const bound = (separator: string, ro: string, rw: string) =>
    branches.map(({ access }, i) => `${helpers}/${i}=${access === "ro" ? ro : rw}`).join(separator);
  switch (program) {
    case "aufs": {
      const br = branches.map(({ directory, access }) => `${directory}=${access}`).join(":");
      return { binds: [], union: { type: "aufs", source, target, options: [...readOnly, `br=${br}`] } };
    }
    case "mergerfs":
      return {
        binds,
        union: {
          type: "fuse.mergerfs",
          source: bound(":", "RO", "RW"),
          target,
          // Without minfreespace=0 a branch with less than 4 GiB free counts as full.
          options: [...readOnly, "category.create=ff", `fsname=${source}`, "minfreespace=0", "allow_other", "use_ino"],
        },
      };
    case "unionfs-fuse":
      return {
        binds,
        union: {
          type: "fuse.unionfs",
          source: bound(":", "RO", "RW"),
          target,
          options: [...readOnly, ...copyOnWrite(branches), `fsname=${source}`, "allow_other", "default_permissions"],
        },
      };
    case "fuse-overlayfs": {
      const [upper, ...lowers] = branches.map(({ directory }) => directory);
      if (work === undefined) throw new LaminaError("INTERNAL", "A union by fuse-overlayfs needs a work directory");
      const options = [`lowerdir=${lowers.join(":")}`, `upperdir=${upper}`, `workdir=${work}`];
      return { binds: [], union: { type: "fuse.fuse-overlayfs", source, target, options } };
    }
  }
}

function copyOnWrite(branches: readonly Branch[]): string[] {
  return unionPrograms(branches).includes("mergerfs") ? [] : ["cow"];
}
