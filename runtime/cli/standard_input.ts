/** Standard input as an archive. */
import type { ByteStream } from "../services.ts";
import { UsageError } from "./parse.ts";

/**
 * The bytes of standard input.
 *
 * @throws {UsageError} when that is a terminal: nobody types a tar.
 */
export function standardInput(what: string): ByteStream {
  if (Deno.stdin.isTerminal()) {
    throw new UsageError(`Standard input is a terminal, not ${what}`, "pipe one in, or name a file");
  }
  return Deno.stdin.readable;
}
