/** The daemon that `deno task bench` started for the benchmarks, as its clients use it. */

import { HttpClient } from "./http_client.ts";

/** Calls of the API; each throws what the daemon says when it refuses. */
export interface BenchApi {
  get<T = unknown>(path: string): Promise<T>;
  /** The answer to its last byte, not parsed. */
  bytes(path: string): Promise<Uint8Array>;
  /** The same, thrown away as it comes. */
  drain(path: string): Promise<void>;
  post<T = unknown>(path: string, body?: unknown): Promise<T>;
  delete(path: string): Promise<void>;
}

/** A directory of the benchmarks' own on the journaled disk. */
export function benchDirectory(): string {
  return fromRunner("LAMINA_BENCH_DIRECTORY");
}

/** A client with connections kept open, as an engine has it. */
export function benchApi(socket: string = fromRunner("LAMINA_BENCH_SOCKET")): BenchApi {
  const client = new HttpClient(socket);
  const call = async (method: string, path: string, body?: unknown, keep = true): Promise<Uint8Array<ArrayBuffer>> => {
    const answer = await client.call(method, path, body, keep);
    if (answer.status >= 300) {
      throw new Error(`${method} ${path}: ${answer.status} ${new TextDecoder().decode(answer.body)}`);
    }
    return answer.body;
  };
  const parsed = (body: Uint8Array) => body.length === 0 ? undefined : JSON.parse(new TextDecoder().decode(body));
  return {
    get: async (path) => parsed(await call("GET", path)),
    bytes: (path) => call("GET", path),
    drain: async (path) => void await call("GET", path, undefined, false),
    post: async (path, body) => parsed(await call("POST", path, body)),
    delete: async (path) => void await call("DELETE", path),
  };
}

function fromRunner(name: string): string {
  const value = Deno.env.get(name);
  if (value === undefined) throw new Error(`${name} is not set: run this benchmark with "deno task bench"`);
  return value;
}
