/** What every mounter must do, on the real kernel. Run by `command_mounter_test.ts` and `libc_mounter_test.ts`. */
import type { Mounter } from "../../runtime/host/mounter.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { batchCases } from "./support/batch_cases.ts";
import { Place, type PlaceTest } from "./support/place.ts";
import { singleMountCases } from "./support/single_mount_cases.ts";

/** Registers the suite for one implementation. `recursiveReadOnly`: whether the kernel can do that. */
export function mounterContract(name: string, makeMounter: () => Mounter, recursiveReadOnly: boolean): void {
  const test: PlaceTest = (sentence, body) =>
    rootTest(`${name}: ${sentence}`, async () => {
      await using scratch = await scratchDirectory();
      await body(new Place(makeMounter(), scratch.path));
    });
  singleMountCases(test, recursiveReadOnly);
  batchCases(test);
}
