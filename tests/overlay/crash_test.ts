/** What SIGKILL leaves of an operation on a snapshot, at each of the driver's fault points, and what the next start makes of it. */
import { assert, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { FAULT_POINTS } from "../../runtime/host/faults.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { LibcMounter } from "../../runtime/host/libc_mounter.ts";
import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { DriverFixture } from "../contract/support/driver_fixture.ts";
import { rootTest } from "../support/scratch.ts";

/** What is there after each acknowledgement, besides `base`. */
const states: Record<string, string[]> = {
  "": [],
  prepared: ["work"],
  committed: ["layer"],
  applied: ["layer", "applied"],
  removed: ["layer"],
};
const order = Object.keys(states);

// Each pass of a point that the child makes: the second pass of the first two is in `apply`.
const points = FAULT_POINTS.filter((point) => point.startsWith("snapshot.")).flatMap((point) =>
  point === "snapshot.directory_made" || point === "snapshot.row_written" ? [point, `${point}:2`] : [point]
);

for (const point of points) {
  rootTest(`overlay: a start after SIGKILL at ${point} finds all that was acknowledged and nothing half`, async () => {
    await using f = await DriverFixture.create({ factory: overlayFactory, mounter: new LibcMounter() });
    await f.layer("base", undefined, (root) => Deno.writeTextFile(`${root}/file`, "text"));
    await commandOutput("tar", ["-C", f.directory, "-cf", join(f.scratch.path, "layer.tar"), "empty"]);
    await f.leave();
    const { stdout, signal } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", fromFileUrl(new URL("./crash_child.ts", import.meta.url)), f.scratch.path],
      env: { LAMINA_FAULT: point },
      stdin: "null",
    }).output();
    assertEquals(signal, "SIGKILL");
    const acknowledged = new TextDecoder().decode(stdout).split("\n").slice(0, -1).at(-1) ?? "";
    await f.comeBack();
    await f.driver.cleanup(f.operation);
    // The interrupted step is undone or complete.
    const next = order[order.indexOf(acknowledged) + 1]!;
    const keys = (await f.keys()).slice(1);
    assert([states[acknowledged], states[next]].some((state) => state!.join() === keys.join()), `${keys}`);
    assertEquals(await f.driver.check({ repair: false }, f.operation), []);
    const directories = await Array.fromAsync(Deno.readDir(join(f.directory, "l")));
    assertEquals(directories.length, 1 + keys.length);
    assertEquals(await Array.fromAsync(Deno.readDir(join(f.directory, "trash"))), []);
    await f.look("base", async (root) => assertEquals(await Deno.readTextFile(`${root}/file`), "text"));
  });
}
