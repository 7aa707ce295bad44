/** Writes a set of files into a volume, in a process that a fault point may kill. Arguments: directory, JSON of texts. */
import { writeFilesAtomically } from "../../../runtime/host/atomic_writer.ts";

const [directory, json] = Deno.args;
const texts = JSON.parse(json!) as Record<string, string>;
const files = new Map(
  Object.entries(texts).map(([path, text]) => [path, { content: new TextEncoder().encode(text), mode: 0o644 }]),
);
await writeFilesAtomically(directory!, files, { what: "volume", durable: true });
