/** Lamina's version, from the one place that states it. */
import manifest from "../../deno.json" with { type: "json" };

/** E.g. `0.1.0`. */
export const VERSION: string = manifest.version;
