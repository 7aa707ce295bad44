/** One JSON value a line. */
import { LaminaError } from "../core/errors.ts";

/** Most characters of a line. */
const MAX_LINE = 16 * 2 ** 20;

/** The values of an NDJSON stream as they come. Stops the stream when the reader has enough. */
export async function* jsonLines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<unknown> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n", start)) {
      if (end > start) yield parse(rest.slice(start, end));
      start = end + 1;
    }
    rest = rest.slice(start);
    if (rest.length > MAX_LINE) throw new LaminaError("INTERNAL", "The daemon sent a line without end");
  }
  if (rest.trim() !== "") yield parse(rest);
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new LaminaError("INTERNAL", `The daemon sent a line that is no JSON: ${line.slice(0, 200)}`, {
      cause: error,
    });
  }
}
