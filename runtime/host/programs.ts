/** Which programs are installed. */
import { join } from "@std/path/posix";

/** Where mount(8) and its helpers look, besides the caller's own path. */
const systemDirectories = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Absolute path of an installed program; `undefined` when there is none. */
export function findProgram(name: string): string | undefined {
  const directories = [...(Deno.env.get("PATH") ?? "").split(":"), ...systemDirectories];
  for (const directory of directories) {
    if (!directory.startsWith("/")) continue;
    const path = join(directory, name);
    try {
      const { isFile, mode } = Deno.statSync(path);
      if (isFile && ((mode ?? 0) & 0o111) !== 0) return path;
    } catch (error) {
      const absent = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
        error instanceof Deno.errors.PermissionDenied;
      if (!absent) throw error;
    }
  }
  return undefined;
}
