/** The daemon's configuration file. */
import * as z from "zod";
import { fileError } from "../api/file_error.ts";
import { LaminaError, messageOf } from "../core/errors.ts";

const absolutePath = z.string().max(4096).regex(/^\/[^\0]*$/, "must be an absolute path");

/** JSON; what is given on the command line wins. */
export const ServeConfig = z.strictObject({
  root: absolutePath.optional(),
  socket: absolutePath.optional(),
  docker_socket: absolutePath.optional(),
  plugin_socket: absolutePath.optional(),
  storage_driver: z.string().min(1).max(64).optional(),
  mounter: z.enum(["command", "libc"]).optional(),
  storage_options: z.record(z.string(), z.string()).optional(),
  stop_timeout_ms: z.int().min(0).max(3_600_000).optional(),
});
/** See the schema of the same name. */
export type ServeConfig = z.infer<typeof ServeConfig>;

/** @throws `NOT_FOUND`, `INVALID_ARGUMENT` naming the field. */
export async function readServeConfig(path: string): Promise<ServeConfig> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (error) {
    throw fileError(error, `Cannot read the configuration ${path}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new LaminaError("INVALID_ARGUMENT", `The configuration ${path} is not JSON: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const parsed = ServeConfig.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new LaminaError("INVALID_ARGUMENT", `The configuration ${path} is wrong: ${z.prettifyError(parsed.error)}`);
}
