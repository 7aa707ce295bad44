/**
 * Run in a user namespace by `fuse_fallback_test.ts`: opens the overlay driver without options on a root in the directory
 * given, makes a layer and a container on it, and says in JSON what came of that.
 */
import { overlayFactory } from "../../overlay/overlay_driver.ts";
import { CommandMounter } from "../../runtime/host/command_mounter.ts";
import { say } from "../support/say.ts";
import { DriverFixture } from "../contract/support/driver_fixture.ts";

const base = Deno.args[0]!;
const mounter = new CommandMounter();
await using f = await DriverFixture.create({ factory: overlayFactory, mounter, base });
const probe = await overlayFactory.probe({ directory: f.directory, options: {} }, f.operation);
await f.layer("base", undefined, async (root) => {
  await Deno.writeTextFile(`${root}/kept`, "kept");
  await Deno.writeTextFile(`${root}/deleted`, "deleted");
});
const mounts = await f.prepare("work", "base");
await f.mounted(mounts, async (root) => {
  await Deno.remove(`${root}/deleted`);
  await Deno.writeTextFile(`${root}/added`, await Deno.readTextFile(`${root}/kept`));
});
say(JSON.stringify({
  supported: probe.supported,
  program: f.driver.status.mount_program,
  type: mounts[0]!.type,
  changes: await f.changes("work"),
}));
