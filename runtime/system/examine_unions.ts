/** What the doctor says of the programs that unite branches (`lamina union mount`, the aufs driver). */
import { FUSE_UNIONS, type UnionProgram } from "../../drivers/storage/aufs/branch_union_mounts.ts";
import type { DoctorItem } from "../core/specs/system.ts";
import { type UnionTools, unionTools } from "../union/choose_program.ts";

/** What each FUSE union is taken for. */
const TAKEN_FOR: Readonly<Record<Exclude<UnionProgram, "aufs">, string>> = {
  mergerfs: "unions whose read-only branches are above the writable ones",
  "fuse-overlayfs": "one writable branch on top of read-only ones, the aufs driver, rootless overlay",
  "unionfs-fuse": "any other order of branches, and instead of the two above",
};

/** A line for the kernel's aufs and one for each FUSE union. */
export function examineUnions(tools: UnionTools = unionTools()): DoctorItem[] {
  const aufs: DoctorItem = tools.has("aufs")
    ? { subject: "union aufs", status: "ok", found: "the kernel has it" }
    : { subject: "union aufs", status: "ok", found: "not in this kernel (no Debian kernel has it): FUSE stands in" };
  const programs = Object.entries(FUSE_UNIONS) as Array<
    [Exclude<UnionProgram, "aufs">, { readonly package: string }]
  >;
  return [
    aufs,
    ...programs.map(([program, { package: name }]): DoctorItem => {
      const subject = `union ${program}`, use = TAKEN_FOR[program];
      if (tools.has(program)) return { subject, status: "ok", found: `installed; for ${use}` };
      const lacking = tools.fuse ? name : `fuse3 ${name}`;
      return {
        subject,
        // Whoever has the kernel's own misses nothing.
        status: tools.has("aufs") ? "ok" : "warning",
        found: `${tools.fuse ? "not installed" : "not usable: the kernel's fuse or mount.fuse is missing"}; for ${use}`,
        advice: `apt-get install ${lacking}${tools.fuse ? "" : ", modprobe fuse"}`,
      };
    }),
  ];
}
