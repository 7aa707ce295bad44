/** Schemas that several routes share. */
import * as z from "zod";

/** A flag in a query: `true`, `false`, `1` or `0`. */
export function queryFlag(description: string) {
  return z.enum(["true", "false", "1", "0"]).default("false").transform((text) => text === "true" || text === "1")
    .describe(description);
}

/** The image of a path. */
export const imageParams = z.strictObject({
  image: z.string().min(1).max(512).describe("Reference (write / as %2F), id, or unique id prefix of 4 digits or more"),
});

/** The container of a path. */
export const containerParams = z.strictObject({
  container: z.string().min(1).max(255).describe("Name, id, or unique id prefix"),
});

/** The volume of a path. */
export const volumeParams = z.strictObject({ volume: z.string().min(1).max(255).describe("Name") });

/** A path inside a container. */
export const containerPath = z.string().min(1).max(4096).regex(/^[^\0]*$/, "must not contain NUL");

/** Body of a prune. */
export const PruneRequest = z.strictObject({
  all: z.boolean().default(false).describe("Everything that is not in use, not only what has no name"),
}).meta({ id: "PruneRequest" });
