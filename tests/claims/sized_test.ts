import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { mountImage } from "../../drivers/volume/sized/image_mount.ts";
import { imageSize_bytes } from "../../drivers/volume/sized/image_backing.ts";
import type { SizedRequest } from "../../drivers/volume/sized/port.ts";
import { loopsOf } from "../../runtime/host/block_devices.ts";
import { fileSystemStatus } from "../../runtime/host/disk.ts";
import { effectiveCapabilities } from "../../runtime/host/host_facts.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { rootTest, testOperation } from "../support/scratch.ts";
import { fill, MIB, mounter, placeOn } from "./support/place.ts";

const operation = testOperation();
const usual: SizedRequest = { size_bytes: 64 * MIB, fs_type: "ext4", sparse: false, mode: 0o755 };

async function unmount(target: string, image: string): Promise<void> {
  await mounter.unmount([target], { signal: operation.signal });
  // The device frees itself a moment after.
  for (let tries = 0; tries < 1000 && loopsOf(image).length > 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

rootTest("where there are no quotas an image is chosen, and every refusal says what was tried", async () => {
  await using place = await placeOn("scratch");
  const sized = await place.open();
  assertEquals((await sized.choose("auto", operation)).name, "image");
  assertEquals((await sized.choose("auto", operation, { inodes: true })).name, "image");
  const quota = await assertRejects(() => sized.choose("quota", operation), LaminaError);
  assertEquals(quota.code, "UNSUPPORTED");
  const none = await assertRejects(() => sized.choose("auto", operation, { directory: true }), LaminaError);
  for (const why of ["quota: ", "btrfs: this is ", "image: it would have to be mounted"]) {
    assertStringIncludes(none.message, why);
  }
});

for (const fs_type of ["ext4", "xfs"] as const) {
  rootTest(
    `an image with ${fs_type} holds what it was given, grows while it is mounted, and never shrinks`,
    async () => {
      await using place = await placeOn("scratch");
      const backing = (await place.open()).backing("image");
      const image = join(place.path, "image"), target = place.target("m");
      const { size_bytes } = await backing.make(image, { ...usual, fs_type }, operation);
      assertEquals(size_bytes, imageSize_bytes(64 * MIB, fs_type));
      assert((await backing.usage(image, operation)).allocated_bytes >= size_bytes, "its space is set aside");
      await mountImage({ source: image, target, fs_type, read_only: false }, mounter, operation);
      const written = fill(join(target, "big"), 2 * size_bytes);
      assert(written > size_bytes * 0.6 && written <= size_bytes, `${written} of ${size_bytes}`);
      const { used_bytes, capacity_bytes } = await backing.usage(image, operation);
      assert(used_bytes >= written && capacity_bytes === size_bytes);

      // ext4 grows online for CAP_SYS_RESOURCE only, which not every machine's root has.
      const online = fs_type === "xfs" || effectiveCapabilities().has("sys_resource");
      const { total_bytes } = fileSystemStatus(target);
      const { obstacle, ...grown } = await backing.grow(image, size_bytes + 100 * MIB, operation);
      assertEquals(grown, { size_bytes: size_bytes + 100 * MIB, pending: !online });
      assertEquals(obstacle?.includes("CAP_SYS_RESOURCE"), online ? undefined : true);
      assertEquals((await backing.grow(image, MIB, operation)).size_bytes, size_bytes + 100 * MIB);
      if (online) {
        assert(fileSystemStatus(target).total_bytes > total_bytes + 80 * MIB);
        assert(fill(join(target, "more"), 50 * MIB) === 50 * MIB);
      }
      const busy = await assertRejects(() => backing.remove(image, operation), LaminaError);
      assertEquals(busy.code, "CONFLICT");
      assertStringIncludes(busy.message, target);

      // A second mount is the same device: two would damage each other.
      const again = place.target("again");
      await mountImage({ source: image, target: again, fs_type, read_only: false }, mounter, operation);
      assertEquals(loopsOf(image).length, 1);
      await mounter.unmount([again], { signal: operation.signal });
      await unmount(target, image);
      assertEquals(loopsOf(image), []);

      // Not mounted: the file system follows at the next mount.
      assertEquals((await backing.grow(image, size_bytes + 200 * MIB, operation)).pending, true);
      await mountImage({ source: image, target, fs_type, read_only: false }, mounter, operation);
      assert(fileSystemStatus(target).total_bytes > total_bytes + 170 * MIB);
      assertEquals((await backing.grow(image, size_bytes + 200 * MIB, operation)).pending, false);
      await unmount(target, image);
      await backing.remove(image, operation);
      await backing.remove(image, operation);
    },
  );
}

rootTest("an image of a number of files holds no more of them; a sparse one takes nothing in advance", async () => {
  await using place = await placeOn("scratch");
  const backing = (await place.open()).backing("image");
  const image = join(place.path, "image"), target = place.target("m");
  await backing.make(image, { ...usual, sparse: true, inodes: 200 }, operation);
  assert((await backing.usage(image, operation)).allocated_bytes < 16 * MIB);
  await mountImage({ source: image, target, fs_type: "ext4", read_only: false }, mounter, operation);
  assert(fileSystemStatus(target).totalInodes < 400);
  await unmount(target, image);
});

rootTest("a full disk refuses an image and keeps nothing of it; one that grows keeps its size", async () => {
  await using place = await placeOn("xfs", "400M");
  const backing = (await place.open()).backing("image");
  const image = join(place.path, "image");
  const full = await assertRejects(
    () => backing.make(image, { ...usual, size_bytes: 900 * MIB }, operation),
    LaminaError,
  );
  assertEquals(full.code, "RESOURCE_EXHAUSTED");
  assertEquals([...Deno.readDirSync(place.path)], []);
  await backing.make(image, usual, operation);
  await assertRejects(() => backing.grow(image, 900 * MIB, operation), LaminaError, "disk is full");
  assertEquals(Deno.statSync(image).size, 64 * MIB);
});

rootTest("images on xfs are copied while they are written to; on ext4 that is refused", async () => {
  await using place = await placeOn("xfs");
  const backing = (await place.open()).backing("image");
  const image = join(place.path, "image"), copy = join(place.path, "copy");
  await backing.make(image, usual, operation);
  const target = place.target("m"), other = place.target("copy");
  await mountImage({ source: image, target, fs_type: "ext4", read_only: false }, mounter, operation);
  Deno.writeTextFileSync(join(target, "a"), "before");
  await backing.copy(image, copy, {}, operation);
  Deno.writeTextFileSync(join(target, "a"), "after");
  await mountImage({ source: copy, target: other, fs_type: "ext4", read_only: false }, mounter, operation);
  assertEquals(Deno.readTextFileSync(join(other, "a")), "before");
  await unmount(other, copy);
  await unmount(target, image);

  await using plain = await placeOn("scratch");
  const from = join(plain.path, "image");
  const refusing = (await plain.open()).backing("image");
  await refusing.make(from, usual, operation);
  const refused = await assertRejects(() => refusing.copy(from, `${from}2`, {}, operation), LaminaError);
  assertEquals(refused.code, "UNSUPPORTED");
  assertStringIncludes(refused.message, "lamina.dev/lvm");
  assertEquals([...Deno.readDirSync(plain.path)].map(({ name }) => name), ["image"]);
});

rootTest("a subvolume holds what its quota group says, grows, and is copied with a limit of its own", async () => {
  await using place = await placeOn("btrfs");
  const before = await place.open();
  // Turning quotas on is something to be asked for.
  assertEquals((await before.choose("auto", operation)).name, "image");
  const backing = await before.choose("btrfs", operation);
  assertEquals((await (await place.open()).choose("auto", operation)).name, "btrfs");
  const data = join(place.path, "data");
  await backing.make(data, { ...usual, size_bytes: 32 * MIB }, operation);
  const written = fill(join(data, "big"), 128 * MIB);
  assert(written > 16 * MIB && written <= 40 * MIB, `${written}`);
  await backing.grow(data, 64 * MIB, operation);
  assertEquals((await backing.usage(data, operation)).capacity_bytes, 64 * MIB);
  assertEquals((await backing.grow(data, MIB, operation)).size_bytes, 64 * MIB);
  Deno.writeTextFileSync(join(data, "a"), "before");
  const snapshot = join(place.path, "snapshot"), clone = join(place.path, "clone");
  await backing.copy(data, snapshot, {}, operation);
  Deno.writeTextFileSync(join(data, "a"), "after");
  await backing.copy(snapshot, clone, { limit_bytes: 64 * MIB }, operation);
  assertEquals(Deno.readTextFileSync(join(clone, "a")), "before");
  assertEquals((await backing.usage(clone, operation)).capacity_bytes, 64 * MIB);
  assert(fill(join(clone, "more"), 128 * MIB) <= 72 * MIB);
  for (const path of [data, snapshot, clone, clone]) await backing.remove(path, operation);
  assertEquals([...Deno.readDirSync(place.path)], []);
});
