import { assert, assertEquals } from "@std/assert";
import { isLaminaError } from "../../runtime/core/errors.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

/** Files come, grow, shrink, change their kind and go, until the shell is killed. */
const WRITER = `i=0; echo ready; while :; do i=$((i + 1)); n=$((i % 20))
  echo "$i$i$i" > f$n; echo more >> f$(((i + 7) % 20)); rm -rf f$(((i + 3) % 20)) d$(((i + 5) % 9))
  mkdir -p d$((i % 9)); echo x > d$((i % 9))/x; ln -sfn f$n link; done`;

for (const storageDriver of ["overlay", "vfs"]) {
  rootTest(
    `a container that is committed while it is written to gives a whole image, or a clear refusal (${storageDriver})`,
    async () => {
      await using test = await TestRuntime.withImage({ storageDriver });
      await test.create({ name: "busy" });
      const { rootfs } = await test.mount("busy");
      const writer = new Deno.Command("sh", { args: ["-c", WRITER], cwd: rootfs, stdout: "piped", stderr: "null" })
        .spawn();
      const made: string[] = [];
      try {
        await writer.stdout.getReader().read(); // it is under way
        for (let i = 0; i < 8; i++) {
          try {
            const reference = `busy:${i}`;
            await test.runtime.containers.commit("busy", { reference, changes: [] }, test.operation);
            made.push(reference);
          } catch (error) {
            // A file that shrinks while it is read cannot be archived.
            assert(isLaminaError(error, "CONFLICT"), String(error));
          }
        }
      } finally {
        writer.kill("SIGKILL");
        await writer.status;
      }
      await test.unmount("busy");
      // Whatever was made holds what its digests say, and what was refused has left nothing.
      assertEquals(await test.check({ deep: true }), []);
      for (const reference of made) {
        await test.create({ name: "copy", image: reference });
        await test.mount("copy");
        await test.unmount("copy");
        await test.remove("copy");
      }
    },
  );
}
