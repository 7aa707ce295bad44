/** Which program unites the branches of a union on this host. */
import { type Branch, formatBranches } from "../../drivers/storage/aufs/branch_union.ts";
import {
  canName,
  FUSE_UNIONS,
  needsWork,
  type UnionProgram,
  unionPrograms,
} from "../../drivers/storage/aufs/branch_union_mounts.ts";
import { LaminaError } from "../core/errors.ts";
import { knownFileSystems } from "../host/host_facts.ts";
import { findProgram } from "../host/programs.ts";

/** What there is on a host. */
export interface UnionTools {
  readonly has: (program: UnionProgram) => boolean;
  /** The kernel's fuse and the program by which mount(8) runs a FUSE program. */
  readonly fuse: boolean;
}

/** Looks at the kernel and for the programs. */
export function unionTools(): UnionTools {
  const kernel = knownFileSystems();
  // mount(8) runs a FUSE program by this helper.
  const fuse = kernel.has("fuse") && findProgram("mount.fuse") !== undefined;
  return {
    fuse,
    has: (program) =>
      program === "aufs" ? kernel.has("aufs") : fuse && findProgram(FUSE_UNIONS[program].program) !== undefined,
  };
}

/**
 * The best program that is there.
 *
 * @param workIsPossible Whether a directory can be made beside the writable branch, on its file system.
 * @throws `UNSUPPORTED` naming the Debian packages that would help.
 */
export function chooseProgram(branches: readonly Branch[], tools: UnionTools, workIsPossible: boolean): UnionProgram {
  const fitting = unionPrograms(branches).filter((program) =>
    canName(program, branches) && (workIsPossible || !needsWork(program))
  );
  const found = fitting.find(tools.has);
  if (found !== undefined) return found;
  const packages = fitting.flatMap((program) => program === "aufs" ? [] : [FUSE_UNIONS[program].package]);
  throw new LaminaError(
    "UNSUPPORTED",
    `Cannot unite ${formatBranches(branches)}: this kernel has no aufs, and none of the FUSE programs that can is ` +
      `installed. Install fuse3 and ${packages.join(" or ")} (Debian: apt-get install fuse3 ${packages[0]})`,
    { details: { packages: ["fuse3", ...packages] } },
  );
}
