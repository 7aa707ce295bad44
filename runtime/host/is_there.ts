/** Whether a path names something; a symbolic link that leads nowhere does. */
import { hostError } from "./errno_errors.ts";

/** @throws as {@linkcode hostError} for anything but "there is nothing". */
export async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    return nothingThere(error, path);
  }
}

/** See {@linkcode isThere}. */
export function isThereSync(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    return nothingThere(error, path);
  }
}

function nothingThere(error: unknown, path: string): false {
  if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
  throw hostError(error, `Cannot look at ${path}`, { path });
}
