import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { runCommand } from "../../runtime/host/command.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { canMountInside, createUserNamespace } from "../support/user_namespace.ts";

contractInside("overlay and vfs keep the contract in a user namespace", "rootless_contract.ts");
contractInside("overlay by fuse-overlayfs keeps the contract in a user namespace", "rootless_fuse_contract.ts");

/** The tests of a module in `rootless/`, run in a user namespace. */
function contractInside(name: string, file: string): void {
  rootTest(name, (t) => runInside(t, file));
}

async function runInside(t: Deno.TestContext, file: string): Promise<void> {
  await using namespace = await createUserNamespace();
  const works = namespace !== undefined && await canMountInside(namespace);
  await t.step({
    name: works ? "without any capability outside" : "ignored: the kernel gives no user namespace that may mount",
    ignore: !works,
    async fn() {
      await using scratch = await scratchDirectory();
      const module = fromFileUrl(new URL(`./rootless/${file}`, import.meta.url));
      const [program, ...args] = namespace!.command([Deno.execPath(), "test", "-A", "--no-check", module]);
      const { code, stdout, stderr } = await runCommand(program, args, {
        timeout_ms: 900_000,
        env: { LAMINA_TEST_SCRATCH: scratch.path, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      });
      const lines = stdout.split("\n");
      // What cannot be tried there is named here, too.
      for (const line of lines.filter((text) => text.includes("... ignored"))) {
        await t.step({ name: line.replace(/ \.\.\. ignored.*/, ""), ignore: true, fn() {} });
      }
      assertEquals(code, 0, lines.filter((text) => !text.includes("... ok")).join("\n") + stderr);
      assertMatch(stdout, /ok \| [1-9]\d+ passed \| 0 failed/);
    },
  });
}
