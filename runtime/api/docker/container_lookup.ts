/** Containers with what Docker's shapes tell of their images and volumes besides. */
import { isLaminaError } from "../../core/errors.ts";
import type { Container, ContainerSummary } from "../../core/model/container.ts";
import type { Operation } from "../../core/operation.ts";
import type { LaminaRuntime } from "../../services.ts";
import type { JsonObject } from "./container_config.ts";
import type { ContainerSizes, FindVolume } from "./container_shape.ts";
import { runtimeConfig } from "./image_shape.ts";

/** `undefined` for what is not there, or not any more. */
export function orGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (isLaminaError(error, "NOT_FOUND")) return undefined;
    throw error;
  }
}

/** The same for what takes a while. */
export async function orGoneLater<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking;
  } catch (error) {
    if (isLaminaError(error, "NOT_FOUND")) return undefined;
    throw error;
  }
}

/** Volumes by name, each looked up once. */
export function volumeFinder(runtime: LaminaRuntime): FindVolume {
  const known = new Map<string, ReturnType<FindVolume>>();
  return (name) => {
    if (!known.has(name)) known.set(name, orGone(() => runtime.volumes.inspect(name)));
    return known.get(name);
  };
}

/** Config and size of the image of a container. */
export function imageOf(
  runtime: LaminaRuntime,
  { image_id }: Pick<ContainerSummary, "image_id">,
): { config: JsonObject; size_bytes: number } {
  const image = orGone(() => runtime.images.inspect(image_id));
  return { config: image === undefined ? {} : runtimeConfig(image), size_bytes: image?.size_bytes ?? 0 };
}

/** A container by Docker's rules for names: `/shop` is `shop`. */
export function findContainer(
  runtime: LaminaRuntime,
  given: string,
  operation: Operation,
  options: { readonly size: boolean } = { size: false },
): Promise<Container> {
  return runtime.containers.inspect(containerName(given), options, operation);
}

/** Docker's names begin with a slash where the API shows them. */
export function containerName(given: string): string {
  return given.startsWith("/") ? given.slice(1) : given;
}

/** Sizes of a container that was inspected with them. */
export function sizesOf(container: Container, image_bytes: number): ContainerSizes | undefined {
  if (container.size === undefined) return undefined;
  return { rw_bytes: container.size.rw_bytes, root_bytes: container.size.rw_bytes + image_bytes };
}
