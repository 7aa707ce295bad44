/** The parts of the contract that touch files, on other file systems than the one all tests run on. */
import { vfsFactory } from "../../drivers/storage/vfs/vfs_driver.ts";
import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { rootTest } from "../support/scratch.ts";
import { applyCases } from "./apply_cases.ts";
import { changeCases } from "./change_cases.ts";
import { depthCases } from "./depth_cases.ts";
import { DriverFixture } from "./support/driver_fixture.ts";
import { otherFileSystem } from "./support/other_file_system.ts";
import { treeCases } from "./tree_cases.ts";

const cases = [...treeCases, ...changeCases, ...applyCases, depthCases[0]!];
const mounter = new LibcMounter();

for (
  const [factory, type] of [
    [overlayFactory, "tmpfs"],
    [overlayFactory, "xfs"],
    [overlayFactory, "btrfs"],
    [vfsFactory, "btrfs"],
  ] as const
) {
  rootTest(`${factory.name} keeps the contract on ${type}`, async (t) => {
    await using fileSystem = await otherFileSystem(type);
    if (fileSystem === undefined) {
      await t.step({ name: `ignored: ${type} cannot be made or mounted here`, ignore: true, fn() {} });
      return;
    }
    for (const { name, run } of cases) {
      await t.step(name, async () => {
        await using fixture = await DriverFixture.create({ factory, mounter, base: fileSystem.path });
        await run(fixture);
      });
    }
  });
}
