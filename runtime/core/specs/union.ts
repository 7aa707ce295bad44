/** Branch unions as the API and the command line see them. */
import * as z from "zod";

const path = z.string().min(1).max(4096).regex(/^\/[^\0]*$/, "must be absolute and must not contain NUL");

/** One directory of a union. */
export const UnionBranch = z.strictObject({
  directory: path.describe("Absolute path"),
  access: z.enum(["ro", "rw"]).describe("Whether the union may write to it"),
}).meta({ id: "UnionBranch" });
/** See the schema of the same name. */
export type UnionBranch = z.infer<typeof UnionBranch>;

/** Body of `POST /v1/unions`. */
export const UnionCreate = z.strictObject({
  branches: z.array(UnionBranch).min(1).max(127).describe("The first hides what has the same name in the others"),
  target: path.describe("An empty directory"),
}).meta({ id: "UnionCreate" });
/** See the schema of the same name. */
export type UnionCreate = z.infer<typeof UnionCreate>;

/** A union. */
export const Union = z.object({
  id: z.string(),
  target: z.string(),
  branches: z.array(UnionBranch),
  program: z.string().describe("What unites them: aufs, mergerfs, fuse-overlayfs or unionfs-fuse"),
  mounted: z.boolean(),
  created_at: z.iso.datetime(),
}).meta({ id: "Union" });
/** See the schema of the same name. */
export type Union = z.infer<typeof Union>;
