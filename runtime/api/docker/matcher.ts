/** Finds the row of the dialect's table for a method and a path. Pure. */
import { HttpError } from "../errors.ts";
import type { DockerMethod, DockerRoute } from "./route.ts";

interface Entry {
  readonly route: DockerRoute;
  readonly methods: ReadonlySet<string>;
  readonly pattern: RegExp;
  readonly names: readonly string[];
}

/** A row that fits, with the path's parts. */
export interface DockerMatch {
  readonly route: DockerRoute;
  readonly params: Readonly<Record<string, string>>;
}

/** Rows, compiled. Of those that fit, the first of the table wins. */
export class DockerMatcher {
  readonly #entries: readonly Entry[];

  constructor(routes: readonly DockerRoute[]) {
    this.#entries = routes.map((route) => {
      const names: string[] = [];
      const pattern = route.path.replace(/\{(\w+)(\.\.\.)?\}/g, (_, name: string, rest?: string) => {
        names.push(name);
        return rest === undefined ? "([^/]+)" : "(.+)";
      });
      return { route, methods: new Set(route.methods.split(" ")), pattern: new RegExp(`^${pattern}$`), names };
    });
  }

  /**
   * @param path Without its version, still percent-encoded.
   * @throws {HttpError} 404 as Docker says it, 400 for broken percent-encoding.
   */
  match(method: DockerMethod | string, path: string): DockerMatch {
    for (const { route, methods, pattern, names } of this.#entries) {
      if (!methods.has(method)) continue;
      const found = pattern.exec(path);
      if (found === null) continue;
      return { route, params: Object.fromEntries(names.map((name, i) => [name, decoded(found[i + 1]!)])) };
    }
    throw new HttpError(404, "NOT_FOUND", "page not found");
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw new HttpError(400, "INVALID_ARGUMENT", `Invalid percent-encoding in the path: ${part.slice(0, 80)}`, {
      cause: error,
    });
  }
}
