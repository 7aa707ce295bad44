/** A runtime with the small image on each storage driver that this kernel has, on a file system that it needs. */
import { join } from "@std/path/posix";
import { placeOn } from "../../claims/support/place.ts";
import { TestRuntime } from "../../support/test_runtime.ts";

/** The drivers that differ in how they show an image and fill a volume. */
export const DRIVERS = ["overlay", "vfs", "btrfs"] as const;

/** See the head of the file. */
export async function runtimeOn(
  storageDriver: (typeof DRIVERS)[number],
): Promise<AsyncDisposable & { readonly test: TestRuntime }> {
  await using parts = new AsyncDisposableStack();
  const place = storageDriver === "btrfs" ? parts.use(await placeOn("btrfs")) : undefined;
  const test = parts.use(await TestRuntime.withImage({ storageDriver }, place && join(place.path, "root")));
  const held = parts.move();
  return { test, [Symbol.asyncDispose]: () => held.disposeAsync() };
}
