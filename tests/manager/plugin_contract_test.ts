/** The plugins of the manager's own tests keep the contract: what is proved with them holds for real ones. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { CommandMounter } from "../../runtime/host/command_mounter.ts";
import { pluginContract } from "./plugin_contract.ts";
import { bindPlugin, devicePlugin, filePlugin, tmpfsPlugin, volume } from "./support/real_manager.ts";

const mounter = new CommandMounter();

pluginContract("a bind", (directory) => {
  const source = join(directory, "source");
  Deno.mkdirSync(source, { recursive: true });
  Deno.writeTextFileSync(join(source, "file"), "text");
  return {
    plugin: bindPlugin,
    spec: volume("v", { bind: source }).spec,
    check: (path) => assertEquals(Deno.readTextFileSync(join(path, "file")), "text"),
  };
});
pluginContract("a tmpfs", () => ({ plugin: tmpfsPlugin, spec: volume("v", { tmpfs: "x" }).spec }));
pluginContract("a file", () => ({
  plugin: filePlugin,
  spec: volume("v", { file: "text" }).spec,
  check: (path) => assertEquals(Deno.readTextFileSync(join(path, "file")), "text"),
}));
pluginContract("a device", () => ({ plugin: devicePlugin({ mounter }), spec: volume("v", { device: "x" }).spec }));
