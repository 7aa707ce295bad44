/** Commits of the store on a journaled disk: one alone, and a hundred that share one. */
import { join } from "@std/path/posix";
import { Store, type Transaction } from "../runtime/store/store.ts";
import { benchDirectory } from "./support/bench_daemon.ts";
import { measured } from "./support/recorder.ts";

const store = new Store(join(benchDirectory(), "store.db"));
let number = 0;
const insert = (tx: Transaction) => {
  tx.run("INSERT INTO settings (key, value) VALUES (?, ?)", `key ${number++}`, "value");
};

measured({
  name: "store, one commit",
  group: "store",
  baseline: true,
  iterations: 200,
  run: () => store.write(insert),
});
measured({
  name: "store, 100 writes at once",
  group: "store",
  iterations: 60,
  run: () => Promise.all(Array.from({ length: 100 }, () => store.write(insert))),
});
