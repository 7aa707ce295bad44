/** The daemon that `deno task bench` started for the benchmarks, as its clients use it. */

/** Calls of the API; each throws what the daemon says when it refuses. */
export interface BenchApi {
  get<T = unknown>(path: string): Promise<T>;
  /** The answer to its last byte, not parsed. */
  bytes(path: string): Promise<ArrayBuffer>;
  /** The same, thrown away as it comes. */
  drain(path: string): Promise<void>;
  post<T = unknown>(path: string, body?: unknown): Promise<T>;
  delete(path: string): Promise<void>;
}

/** A directory of the benchmarks' own on the journaled disk. */
export function benchDirectory(): string {
  return fromRunner("LAMINA_BENCH_DIRECTORY");
}

/** A client with a connection kept open, as an engine has it. */
export function benchApi(socket: string = fromRunner("LAMINA_BENCH_SOCKET")): BenchApi {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  const call = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const response = await fetch(`http://lamina${path}`, {
      method,
      client,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  };
  return {
    get: async (path) => await (await call("GET", path)).json(),
    bytes: async (path) => await (await call("GET", path)).arrayBuffer(),
    drain: async (path) => {
      await (await call("GET", path)).body?.pipeTo(new WritableStream());
    },
    post: async (path, body) => {
      const response = await call("POST", path, body);
      const text = await response.text();
      return text === "" ? undefined : JSON.parse(text);
    },
    delete: async (path) => {
      await (await call("DELETE", path)).body?.cancel();
    },
  };
}

function fromRunner(name: string): string {
  const value = Deno.env.get(name);
  if (value === undefined) throw new Error(`${name} is not set: run this benchmark with "deno task bench"`);
  return value;
}
