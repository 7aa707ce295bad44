/** What a union may be made of: directories that exist, apart from each other, and an empty place to show it. */
import type { Branch } from "../../drivers/storage/aufs/branch_union.ts";
import { LaminaError } from "../core/errors.ts";
import { hostError } from "../host/errno_errors.ts";
import { isMounted } from "../host/mount_table.ts";

/** The canonical places of a union. */
export interface CheckedPlaces {
  readonly branches: readonly Branch[];
  readonly target: string;
}

/**
 * Resolves links and looks at every place. Changes nothing.
 *
 * @param root Lamina's own: no target may lie in it.
 * @throws `NOT_FOUND` (branch or target missing), `INVALID_ARGUMENT` (no directory, named twice, within each other,
 * target in the root).
 */
export async function checkPlaces(
  request: { readonly branches: readonly Branch[]; readonly target: string },
  root: string,
): Promise<CheckedPlaces> {
  const target = await realDirectory(request.target, "target");
  if (isWithin(target, root)) refuse(`the target ${target} is inside of Lamina's root ${root}. Choose another place`);
  const branches: Branch[] = [];
  for (const { directory, access } of request.branches) {
    const real = await realDirectory(directory, "branch");
    const twin = branches.find((other) => isWithin(real, other.directory) || isWithin(other.directory, real));
    if (twin?.directory === real) refuse(`the branch ${real} is named twice. Name it once`);
    if (twin !== undefined) refuse(`the branches ${real} and ${twin.directory} lie within each other`);
    if (isWithin(real, target) || isWithin(target, real)) {
      refuse(`the branch ${real} and the target ${target} lie within each other. Choose another target`);
    }
    branches.push({ directory: real, access });
  }
  return { branches, target };
}

/** @throws `CONFLICT` for a target that is a mount point or not empty. */
export async function refuseTakenTarget(target: string): Promise<void> {
  if (isMounted(target)) {
    throw new LaminaError(
      "CONFLICT",
      `Cannot mount a union on ${target}: something is mounted there already. Unmount that, or choose another target`,
      { details: { target } },
    );
  }
  for await (const { name } of Deno.readDir(target)) {
    throw new LaminaError(
      "CONFLICT",
      `Cannot mount a union on ${target}: it is not empty (it holds ${
        JSON.stringify(name)
      }), and what it holds would ` +
        "be hidden. Choose an empty directory",
      { details: { target } },
    );
  }
}

async function realDirectory(path: string, what: string): Promise<string> {
  let real: string;
  try {
    real = await Deno.realPath(path);
    if ((await Deno.stat(real)).isDirectory) return real;
  } catch (error) {
    throw hostError(error, `Cannot use ${path} as a union's ${what}`, { path });
  }
  return refuse(`the ${what} ${path} is not a directory`);
}

/** Whether `path` is `directory` or lies below it; both canonical. */
function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === "/" ? "/" : `${directory}/`);
}

function refuse(why: string): never {
  throw new LaminaError("INVALID_ARGUMENT", `Cannot make the union: ${why}`);
}
