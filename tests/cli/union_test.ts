import { assertEquals, assertMatch } from "@std/assert";
import { lamina } from "./support/in_process.ts";

Deno.test("union mount sends absolute branches and target", async () => {
  const { code, out, runtime } = await lamina(["union", "mount", "--branch", "/dir1=ro:/dir2=rw", "-b", "/c", "/mnt"]);
  assertEquals([code, out.trim()], [0, "/mnt"]);
  assertEquals(runtime.calls[0]!.args[0], {
    branches: [
      { directory: "/dir1", access: "ro" },
      { directory: "/dir2", access: "rw" },
      { directory: "/c", access: "ro" },
    ],
    target: "/mnt",
  });
});

Deno.test("union mount without a branch or with a bad one is a usage error", async () => {
  assertEquals((await lamina(["union", "mount", "/mnt"])).code, 2);
  const { code, error } = await lamina(["union", "mount", "--branch", "dir1=rx", "/mnt"]);
  assertEquals(code, 2);
  assertMatch(String(error), /neither =ro nor =rw/);
});

Deno.test("union unmount names the target or the id", async () => {
  const byTarget = await lamina(["union", "unmount", "/mnt"]);
  assertEquals(byTarget.runtime.calls[0]!.args.slice(0, 2), ["/mnt", { lazy: false }]);
  const byId = await lamina(["union", "unmount", "--lazy", "0123456789abcdef"]);
  assertEquals(byId.runtime.calls[0]!.args.slice(0, 2), ["0123456789abcdef", { lazy: true }]);
});

Deno.test("union ls shows branches in their grammar", async () => {
  assertMatch((await lamina(["union", "ls"])).out, /\/mnt +\/dir1=ro +mergerfs +yes/);
});
