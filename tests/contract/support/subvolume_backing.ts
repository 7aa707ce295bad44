/** The trees of the btrfs driver: directories with a subvolume in each. */
import { commandOutput } from "../../../runtime/host/command.ts";
import { type Backing, directoryBacking, directoryOf } from "./backing.ts";

/** See the head of the file. */
export const subvolumeBacking: Backing = {
  ...directoryBacking,
  async lose(f, id) {
    const directory = directoryOf(f, id);
    await commandOutput("btrfs", ["subvolume", "delete", `${directory}/fs`]);
    await Deno.remove(directory);
  },
  async meddle(f, id, body) {
    const tree = `${directoryOf(f, id)}/fs`;
    const readOnly = await commandOutput("btrfs", ["property", "get", "-ts", tree, "ro"]);
    await commandOutput("btrfs", ["property", "set", "-ts", tree, "ro", "false"]);
    try {
      return await body(tree);
    } finally {
      await commandOutput("btrfs", ["property", "set", "-ts", tree, "ro", readOnly.trim().slice("ro=".length)]);
    }
  },
};
