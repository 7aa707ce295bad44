/**
 * The process that is killed: `volumes_victim.ts ROOT HOST`. Makes a container whose volumes are filled from its image,
 * mounts it and removes it with its anonymous volumes; a fault point in the environment ends it by SIGKILL on the way.
 */
import { isLaminaError } from "../../../runtime/core/errors.ts";
import type { ContainerRequest } from "../../../runtime/core/model/container.ts";
import { backgroundOperation } from "../../../runtime/core/operation.ts";
import { createRuntime } from "../../../runtime/runtime.ts";
import type { LaminaRuntime } from "../../../runtime/services.ts";

/** The container: a new volume, an anonymous one and one that was there, all to be filled; an image, a host directory. */
export function request(host: string): ContainerRequest {
  return {
    image: "many:1",
    name: "c",
    mounts: [
      { type: "volume", source: "fresh", target: "/many" },
      { type: "volume", source: "older", target: "/more" },
      { type: "volume", target: "/data" },
      { type: "image", source: "many:1", target: "/image" },
      { type: "bind", source: host, target: "/host" },
    ],
  };
}

/** The container's life; each step is done once only, however often it is asked for. */
export async function live(runtime: LaminaRuntime, host: string, tell: (line: string) => void): Promise<void> {
  const operation = backgroundOperation();
  try {
    await runtime.containers.create(request(host), operation);
  } catch (error) {
    if (!isLaminaError(error, "ALREADY_EXISTS")) throw error;
  }
  tell("created");
  await runtime.containers.mount("c", operation);
  tell("mounted");
  await runtime.containers.unmount("c", { lazy: false }, operation);
  await runtime.containers.mount("c", operation);
  tell("removing");
  await runtime.containers.remove("c", { force: true, volumes: true }, operation);
  tell("removed");
}

if (import.meta.main) {
  const [root, host] = Deno.args as [string, string];
  await using runtime = await createRuntime({ root });
  // Written at once: what a buffer held would die with the process.
  await live(runtime, host, (line) => Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`)));
}
