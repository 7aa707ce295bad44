/** Branch unions as a program sees them that uses Lamina as a library; see `container.ts` in this folder. */

/** One directory of a union. */
export interface UnionBranch {
  /** Absolute path. */
  directory: string;
  /** Whether the union may write to it. */
  access: "ro" | "rw";
}

/** What a union is made from. */
export interface UnionRequest {
  /** One to 127; the first hides what has the same name in the others. */
  branches: UnionBranch[];
  /** Absolute path of an empty directory. */
  target: string;
}

/** A union of directories. */
export interface Union {
  /** 16 hexadecimal digits. */
  id: string;
  /** Where it is mounted; unique on its root. */
  target: string;
  /** Topmost first. */
  branches: UnionBranch[];
  /** What unites them: aufs, mergerfs, fuse-overlayfs or unionfs-fuse. */
  program: string;
  /** Whether the kernel has it mounted now. */
  mounted: boolean;
  /** ISO 8601, UTC. */
  created_at: string;
}
