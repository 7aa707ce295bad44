import { assertEquals } from "@std/assert";
import { mapperDevices } from "../../runtime/host/device_mapper.ts";
import { devicemapperFactory } from "../../drivers/storage/devicemapper/devicemapper_driver.ts";
import { isBlank } from "../../drivers/storage/devicemapper/pool_place.ts";
import { disk } from "../devicemapper/support/pool_fixture.ts";
import { rootTest, scratchDirectory, testOperation } from "../support/scratch.ts";
import { thereAndBack } from "./support/there_and_back.ts";

const sizes = { "devicemapper.base_size": "64m" };

function assertNoDevices(): void {
  assertEquals([...mapperDevices().keys()].filter((name) => name.startsWith("lamina-")), []);
}

rootTest("everything moves from overlay to a pool in a file and back, and the pool is gone", async () => {
  await thereAndBack("devicemapper", {
    ...sizes,
    "devicemapper.loop_size": "256m",
    "devicemapper.loop_max_size": "256m",
  }, () => {
    assertNoDevices();
    return Promise.resolve();
  });
});

rootTest("a block device that everything moved away from is blank again, and takes a new pool", async () => {
  await using scratch = await scratchDirectory();
  using device = await disk(scratch.path, 256 << 20);
  const options = { ...sizes, "devicemapper.device": device.path };
  await thereAndBack("devicemapper", options, async (root) => {
    assertNoDevices();
    assertEquals(isBlank(device.path), true);
    const { supported } = await devicemapperFactory.probe({ directory: root, options }, testOperation());
    assertEquals(supported, true);
  });
});
