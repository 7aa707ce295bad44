/**
 * Lamina as a library: the storage half of a container engine.
 *
 * {@linkcode createRuntime} opens a root and gives what the daemon gives over its API: images, containers, volumes, and
 * the root itself. Importing this module has no effects. Everything that fails throws a {@linkcode LaminaError}.
 *
 * @example Import an image and mount a container's root
 * ```ts ignore
 * import { backgroundOperation, createRuntime } from "@lamina/lamina";
 *
 * await using lamina = await createRuntime({ root: "/var/lib/lamina" });
 * const operation = backgroundOperation();
 * await lamina.images.import({ path: "image.tar" }, { reference: "shop:1" }, operation);
 * await lamina.containers.create({ image: "shop:1", name: "shop" }, operation);
 * const { rootfs } = await lamina.containers.mount("shop", operation);
 * ```
 *
 * @module
 */
export { createRuntime, type RuntimeOptions } from "./runtime/runtime.ts";
export { ERROR_CODES, type ErrorCode, type ErrorDetails, isLaminaError, LaminaError } from "./runtime/core/errors.ts";
export { backgroundOperation, type Operation, type ProgressEvent, withDeadline } from "./runtime/core/operation.ts";
export type * from "./runtime/services.ts";
export type * from "./runtime/core/model/capacity.ts";
export type * from "./runtime/core/model/container.ts";
export type * from "./runtime/core/model/image.ts";
export type * from "./runtime/core/model/mount.ts";
export type * from "./runtime/core/model/object.ts";
export type * from "./runtime/core/model/union.ts";
export type * from "./runtime/core/model/volume.ts";
export type * from "./runtime/core/model/system.ts";
export type * from "./runtime/core/model/workload.ts";
export type { LayerLimits } from "./drivers/storage/layer/types.ts";
export type { ImportLimits } from "./runtime/image/image_room.ts";
