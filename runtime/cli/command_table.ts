/** THE command table: every command of `lamina`. */
import type { Command } from "./command.ts";
import { capacityCommands } from "./commands/capacity.ts";
import { applyCommands } from "./commands/apply.ts";
import { completionCommands } from "./commands/completions.ts";
import { containerCommands } from "./commands/container.ts";
import { getCommands } from "./commands/get.ts";
import { imageCommands } from "./commands/image.ts";
import { serveCommand } from "./commands/serve.ts";
import { systemCommands } from "./commands/system.ts";
import { unionCommands } from "./commands/union.ts";
import { volumeCommands } from "./commands/volume.ts";
import { waitCommands } from "./commands/wait.ts";

/** See the head of the file. */
export const COMMANDS: readonly Command[] = [
  serveCommand,
  ...imageCommands,
  ...containerCommands,
  ...volumeCommands,
  ...unionCommands,
  ...capacityCommands,
  ...applyCommands,
  ...getCommands,
  ...waitCommands,
  ...systemCommands,
  ...completionCommands,
];
