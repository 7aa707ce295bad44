/** The project's own sources, and what imports what. */
import { join, relative } from "@std/path/posix";

/** The project's directory, absolute. */
export const project: string = join(import.meta.dirname!, "../..");

/** Directories and files that ship. */
export const shippedPlaces = ["mod.ts", "runtime", "overlay", "drivers"] as const;

/** One file. */
export interface Source {
  /** From the project's directory. */
  readonly path: string;
  readonly text: string;
}

/** Every TypeScript file in `places`, sorted. */
export function readSources(places: readonly string[]): Source[] {
  const found: Source[] = [];
  const visit = (path: string) => {
    const info = statOrNothing(path);
    if (info === undefined) return;
    if (info.isFile) {
      if (path.endsWith(".ts")) found.push({ path: relative(project, path), text: Deno.readTextFileSync(path) });
      return;
    }
    for (const { name } of Deno.readDirSync(path)) visit(join(path, name));
  };
  for (const place of places) visit(join(project, place));
  return found.sort((a, b) => a.path < b.path ? -1 : 1);
}

/**
 * The text without its comments: what the code does, not what it says of itself. Quotes and template texts are kept;
 * a `//` inside of them is not taken for a comment.
 */
export function withoutComments(text: string): string {
  return text.replace(
    /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|(^|[^:\\/])\/\/[^\n]*/g,
    (_, quoted, before) => quoted ?? before ?? "",
  );
}

/** An import: both ends from the project's directory. */
export interface Import {
  readonly from: string;
  readonly to: string;
}

/** The import graph as Deno resolves it, from some entries on. */
export async function importGraph(entries: readonly string[]): Promise<{ files: Set<string>; imports: Import[] }> {
  const files = new Set<string>();
  const imports = new Map<string, Import>();
  for (const entry of entries) {
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", entry],
      cwd: project,
      stdin: "null",
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    for (const { specifier, dependencies, error } of JSON.parse(new TextDecoder().decode(stdout)).modules) {
      if (error !== undefined) throw new Error(error);
      if (!specifier.startsWith("file:")) continue;
      const from = projectPath(specifier);
      files.add(from);
      for (const { code, type } of dependencies ?? []) {
        for (const target of [code?.specifier, type?.specifier]) {
          if (!target?.startsWith("file:")) continue;
          const to = projectPath(target);
          imports.set(`${from} ${to}`, { from, to });
        }
      }
    }
  }
  return { files, imports: [...imports.values()] };
}

/** Files that a source starts as a worker: `new URL("./x.ts", import.meta.url)`. */
export function workersOf({ path, text }: Source): string[] {
  return [...text.matchAll(/new URL\(\s*"(\.[^"]+\.ts)",\s*import\.meta\.url/g)]
    .map(([, target]) => join(path, "..", target!));
}

function projectPath(specifier: string): string {
  return relative(project, decodeURIComponent(new URL(specifier).pathname));
}

function statOrNothing(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
