/** Finds the row of the route table for a method and a path. Pure. */
import { HttpError } from "./errors.ts";
import type { Route } from "./route.ts";

/** A row that fits, with the path's parts. */
export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

interface Entry {
  readonly route: Route;
  readonly segments: readonly string[];
}

/** Routes, compiled. Literal segments win over parameters. */
export class RouteMatcher {
  readonly #byLength = new Map<number, Entry[]>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const segments = route.path.slice(1).split("/");
      const entries = this.#byLength.get(segments.length) ?? [];
      entries.push({ route, segments });
      this.#byLength.set(segments.length, entries);
    }
    for (const entries of this.#byLength.values()) {
      entries.sort((a, b) => parameterCount(a.segments) - parameterCount(b.segments));
    }
  }

  /**
   * @param path As in the request line, still percent-encoded.
   * @throws {HttpError} 404 for an unknown path, 405 (with `Allow`) for a known one, 400 for broken percent-encoding.
   */
  match(method: string, path: string): Match {
    const given = path.slice(1).split("/");
    const allowed = new Set<string>();
    for (const { route, segments } of this.#byLength.get(given.length) ?? []) {
      if (!fits(segments, given)) continue;
      if (route.method === method) return { route, params: parametersOf(segments, given) };
      allowed.add(route.method);
    }
    const shown = path.slice(0, 200);
    if (allowed.size === 0) {
      throw new HttpError(404, "NOT_FOUND", `No route ${method} ${shown}. See /v1/docs for all of them`);
    }
    const allow = [...allowed].join(", ");
    throw new HttpError(405, "INVALID_ARGUMENT", `Method ${method} is not for ${shown}: use ${allow}`, {
      headers: { allow },
      details: { allow: [...allowed] },
    });
  }
}

function isParameter(segment: string): boolean {
  return segment.startsWith("{");
}

function parameterCount(segments: readonly string[]): number {
  return segments.filter(isParameter).length;
}

function fits(segments: readonly string[], given: readonly string[]): boolean {
  return segments.every((segment, i) => isParameter(segment) ? given[i] !== "" : segment === given[i]);
}

function parametersOf(segments: readonly string[], given: readonly string[]): Record<string, string> {
  const params: Record<string, string> = {};
  segments.forEach((segment, i) => {
    if (!isParameter(segment)) return;
    try {
      params[segment.slice(1, -1)] = decodeURIComponent(given[i]!);
    } catch (error) {
      throw new HttpError(400, "INVALID_ARGUMENT", `Invalid percent-encoding in the path: ${given[i]!.slice(0, 80)}`, {
        cause: error,
      });
    }
  });
  return params;
}
