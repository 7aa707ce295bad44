/** A volume plugin that does as it is told, for the faults that a real one has seldom. */
import { join } from "@std/path/posix";

/** What a method answers; a `Response` is sent as it is. */
export type Behaviour = (body: Record<string, unknown>) => unknown;

/** See the head of the file. */
export interface FakePlugin extends AsyncDisposable {
  /** Names of the methods in the order in which they were called. */
  readonly calls: string[];
  /** Replaces what a method does. */
  on(method: string, behaviour: Behaviour): void;
}

/**
 * Listens at `socket`. Volumes are directories below `directory`.
 *
 * @param directory Absolute; made.
 */
export async function startFakePlugin(socket: string, directory: string): Promise<FakePlugin> {
  await Deno.mkdir(directory, { recursive: true });
  const volumes = new Set<string>();
  const pathOf = (name: unknown) => join(directory, String(name));
  const known = (name: unknown) => volumes.has(String(name));
  const methods = new Map<string, Behaviour>(Object.entries(
    {
      "Plugin.Activate": () => ({ Implements: ["VolumeDriver"] }),
      "VolumeDriver.Capabilities": () => ({ Capabilities: { Scope: "global" } }),
      "VolumeDriver.Create": async ({ Name }) => {
        await Deno.mkdir(pathOf(Name), { recursive: true });
        volumes.add(String(Name));
        return {};
      },
      "VolumeDriver.Get": ({ Name }) => known(Name) ? { Volume: { Name } } : { Err: "no such volume" },
      "VolumeDriver.List": () => ({ Volumes: [...volumes].map((Name) => ({ Name })) }),
      "VolumeDriver.Remove": ({ Name }) => volumes.delete(String(Name)) ? {} : { Err: "no such volume" },
      "VolumeDriver.Mount": ({ Name }) => ({ Mountpoint: pathOf(Name) }),
      "VolumeDriver.Unmount": () => ({}),
    } satisfies Record<string, Behaviour>,
  ));
  const calls: string[] = [];
  const server = Deno.serve({ path: socket, onListen: () => {} } as Deno.ServeUnixOptions, async (request) => {
    const method = new URL(request.url).pathname.slice(1);
    calls.push(method);
    const answer = await methods.get(method)?.(await request.json());
    return answer instanceof Response ? answer : Response.json(answer ?? { Err: "unknown method" });
  });
  return {
    calls,
    on: (method, behaviour) => void methods.set(method, behaviour),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
