/**
 * Where the suite keeps what takes minutes to build and does not depend on the checkout: guests, the zfs module, how long
 * each test module took. `LAMINA_TEST_CACHE`, else the user's cache directory, so that a new clone need not build it
 * again.
 */
import { join } from "@std/path/posix";
import { project } from "../architecture/sources.ts";

/** Absolute; may have to be made. */
export function cacheDirectory(): string {
  const given = Deno.env.get("LAMINA_TEST_CACHE");
  if (given) return given;
  const home = Deno.env.get("HOME");
  const user = Deno.env.get("XDG_CACHE_HOME") || (home ? join(home, ".cache") : undefined);
  return user?.startsWith("/") ? join(user, "lamina") : join(project, ".cache");
}
