/** THE command table: every command of `lamina`. */
import type { Command } from "./command.ts";
import { capacityCommands } from "./commands/capacity.ts";
import { completionCommands } from "./commands/completions.ts";
import { containerCommands } from "./commands/container.ts";
import { imageCommands } from "./commands/image.ts";
import { serveCommand } from "./commands/serve.ts";
import { systemCommands } from "./commands/system.ts";
import { unionCommands } from "./commands/union.ts";
import { volumeCommands } from "./commands/volume.ts";

/** See the head of the file. */
export const COMMANDS: readonly Command[] = [
  serveCommand,
  ...imageCommands,
  ...containerCommands,
  ...volumeCommands,
  ...unionCommands,
  ...capacityCommands,
  ...systemCommands,
  ...completionCommands,
];
