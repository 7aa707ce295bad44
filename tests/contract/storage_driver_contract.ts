/** The contract of every storage driver (see `drivers/storage/port.ts`), as tests on a real kernel. */
import { inUserNamespace } from "../../runtime/host/host_facts.ts";
import { rootTest } from "../support/scratch.ts";
import { applyCases } from "./apply_cases.ts";
import { changeCases } from "./change_cases.ts";
import { depthCases } from "./depth_cases.ts";
import { lifecycleCases } from "./lifecycle_cases.ts";
import { recoveryCases } from "./recovery_cases.ts";
import { directoryBacking } from "./support/backing.ts";
import type { ContractCase } from "./support/contract_case.ts";
import { DriverFixture, type DriverSetup } from "./support/driver_fixture.ts";
import { treeCases } from "./tree_cases.ts";

const allCases: readonly ContractCase[] = [
  ...lifecycleCases,
  ...treeCases,
  ...changeCases,
  ...applyCases,
  ...recoveryCases,
  ...depthCases,
];

/**
 * Registers every case as a test.
 *
 * @param name What is tested, e.g. `overlay with an index`.
 */
export function storageDriverContract(name: string, setup: DriverSetup): void {
  for (const { name: sentence, needs, run } of allCases) {
    const title = `${name}: ${sentence}`;
    const why = lacks(setup, needs) ? `needs ${needs}` : setup.excepted?.[sentence];
    if (why !== undefined) {
      Deno.test({ name: `${title} (does not apply: ${why})`, ignore: true, fn() {} });
      continue;
    }
    rootTest(title, async () => {
      await using fixture = await DriverFixture.create(setup);
      await run(fixture);
    });
  }
}

/** The same as steps of one test, which has made what the driver needs and takes it away afterwards. */
export async function storageDriverContractSteps(t: Deno.TestContext, setup: DriverSetup): Promise<void> {
  for (const { name: sentence, needs, run } of allCases) {
    const ignore = lacks(setup, needs);
    await t.step({
      name: ignore ? `${sentence} (does not apply: needs ${needs})` : sentence,
      ignore,
      async fn() {
        await using fixture = await DriverFixture.create(setup);
        await run(fixture);
      },
    });
  }
}

const isRootless = inUserNamespace();

function lacks({ factory, backing = directoryBacking }: DriverSetup, needs: ContractCase["needs"]): boolean {
  if (needs === "overlay") return factory.name !== "overlay";
  if (needs === "directories") return !backing.directories;
  return isRootless && needs === "device nodes";
}
