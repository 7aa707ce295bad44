/** Lamina's version, for the API. */
export { VERSION } from "../core/version.ts";
