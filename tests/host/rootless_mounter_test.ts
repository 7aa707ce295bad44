import { assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { runCommand } from "../../runtime/host/command.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { canMountInside, createUserNamespace } from "../support/user_namespace.ts";

rootTest("both mounters keep the contract in a user namespace, locked flags included", async (t) => {
  await using scratch = await scratchDirectory();
  const locked = `${scratch.path}/locked`;
  await Deno.mkdir(locked);
  const options = "nosuid,nodev,noexec,noatime";
  assertEquals((await runCommand("mount", ["-t", "tmpfs", "-o", options, "locked", locked])).code, 0);
  await using namespace = await createUserNamespace();
  const works = namespace !== undefined && await canMountInside(namespace);
  await t.step({
    name: works ? "without any capability outside" : "ignored: the kernel gives no user namespace that may mount",
    ignore: !works,
    async fn() {
      const module = fromFileUrl(new URL("./rootless/rootless_mounter.ts", import.meta.url));
      const [program, ...args] = namespace!.command([Deno.execPath(), "test", "-A", "--no-check", module]);
      const { code, stdout, stderr } = await runCommand(program, args, {
        env: {
          LAMINA_TEST_SCRATCH: scratch.path,
          LAMINA_TEST_LOCKED: locked,
          NO_COLOR: "1",
          DENO_NO_UPDATE_CHECK: "1",
        },
      });
      assertEquals(code, 0, stdout.split("\n").filter((text) => !text.includes("... ok")).join("\n") + stderr);
      assertMatch(stdout, /ok \| [1-9]\d+ passed \| 0 failed/);
    },
  });
});
