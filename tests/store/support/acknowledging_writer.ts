/** Writes numbered rows for ever, and tells each number once its commit is on disk: `PATH FIRST-NUMBER`. */
import { Store } from "../../../runtime/store/store.ts";

const [path, first] = Deno.args;
const store = new Store(path!);
const encoder = new TextEncoder();
for (let i = Number(first);; i++) {
  await store.write((tx) => tx.run("INSERT INTO settings (key, value) VALUES (?, ?)", `row ${i}`, String(i)));
  Deno.stdout.writeSync(encoder.encode(`${i}\n`));
}
