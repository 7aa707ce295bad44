import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";
import { makeVolume } from "./support/volumes.ts";

rootTest(
  "a mount that never ends is given up with its caller, blocks no other volume, and never shows its secret",
  async () => {
    await using test = await TestRuntime.open();
    // The helper that mount(8) runs for this type.
    const seen = join(test.scratch.path, "seen");
    const helper = "/sbin/mount.cifs";
    const script = join(test.scratch.path, "helper");
    // A real one is covered by ours in the tests' own mount namespace.
    const real = await Deno.stat(helper).then(() => true, () => false);
    await Deno.writeTextFile(
      script,
      `#!/bin/sh\necho "$@" > ${seen}\nfor o in "$@"; do case "$o" in *credentials=*) f=\${o##*credentials=}; cat "\${f%%,*}" >> ${seen};; esac; done\nexec sleep 600\n`,
    );
    await Deno.chmod(script, 0o755);
    if (real) await commandOutput("mount", ["--bind", script, helper]);
    else await Deno.copyFile(script, helper);
    try {
      const o = "username=me,password=hunter2,addr=127.0.0.1";
      await makeVolume(test, { name: "stuck", options: { type: "cifs", device: "//127.0.0.1/x", o } });
      await makeVolume(test, { name: "well", options: { type: "tmpfs", device: "tmpfs" } });
      const giveUp = new AbortController();
      const mounting = test.runtime.volumes.mount("stuck", "a", { ...test.operation, signal: giveUp.signal }).then(
        () => undefined,
        (error) => error,
      );
      // Others are served meanwhile.
      await test.runtime.volumes.mount("well", "b", test.operation);
      await test.runtime.volumes.unmount("well", "b", test.operation);
      while (!(await Deno.readTextFile(seen).catch(() => "")).includes("password")) await test.check();
      giveUp.abort(new Error("enough"));
      assert(await mounting !== undefined);
      const [args, ...credentials] = (await Deno.readTextFile(seen)).split("\n");
      assertEquals(args!.includes("hunter2"), false);
      assertEquals(credentials.join("\n"), "username=me\npassword=hunter2\n");
      assertEquals(test.runtime.volumes.inspect("stuck").used_by, []);
      await test.runtime.volumes.remove("stuck", test.operation);
    } finally {
      if (real) await commandOutput("umount", [helper]);
      else await Deno.remove(helper);
    }
  },
);
