/** Manifests on the command line, against a daemon. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { project } from "../architecture/sources.ts";
import { startLamina } from "../e2e/lamina_process.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { lamina, type Place } from "./support/process.ts";

const example = (name: string) => join(project, "tests/examples", name);

/** Runs a line; its output must hold each of `words`, its status be `code`. */
async function says(place: Place, line: string, words: readonly string[], code = 0, stdin?: string): Promise<string> {
  const result = await lamina(place, line.split(" "), stdin === undefined ? {} : { stdin });
  const output = `${result.stdout}${result.stderr}`;
  assertEquals(result.code, code, `lamina ${line}: ${output}`);
  for (const word of words) assertStringIncludes(output, word, `lamina ${line}`);
  return result.stdout;
}

rootTest("people apply, look, wait and delete", async () => {
  await using scratch = await scratchDirectory();
  await using daemon = await startLamina(scratch.path);
  const file = example("secret.yaml");
  await says(daemon, `apply -f ${file} --dry-run`, ["secret/database created (dry run)"]);
  await says(daemon, "get all", ["There are none in namespace default"]);
  await says(daemon, `apply -f ${file}`, ["secret/database created", "pod/secret-files created"]);
  await says(daemon, `apply -f ${file}`, ["secret/database unchanged", "pod/secret-files unchanged"]);
  await says(daemon, "wait po secret-files --for=mounted", ["pod/secret-files mounted"]);
  await says(daemon, "get po", ["NAME", "READY", "secret-files", "0/1", "ErrImageNeverPull"]);
  await says(daemon, "get pods -A -o wide", ["NAMESPACE", "default", "small:1"]);
  await says(daemon, "get events", ["ErrImageNeverPull", "pod/secret-files"]);
  await says(daemon, "wait pod/secret-files --for=condition=Ready --timeout=300ms", ["is not imported"], 1);
  await says(daemon, "wait pod/secret-files --for=jsonpath={.status.phase}=Pending", ["condition met"]);
  const shown = await says(daemon, "describe secret database", ["username: 5 bytes", "Events: none"]);
  assert(!shown.includes("YWRtaW4="));
  const secret = JSON.parse(await says(daemon, "get secret database -o json", []));
  assertEquals(secret.data.username, "YWRtaW4=");
  await says(daemon, "get secret/database -o yaml", ["kind: Secret", "username: YWRtaW4="]);
  await says(daemon, "get pods,secrets -o name", ["pod/secret-files", "secret/database"]);
  await says(daemon, "delete pod secret-files", ["pod/secret-files deleted"]);
  await says(daemon, `delete -f ${file}`, ["There is no Pod"], 3);
  await says(daemon, `delete -f ${file} --ignore-not-found`, ["secret/database deleted"]);
  await says(daemon, "get all -A", ["There are none"]);
  const log = Deno.readTextFileSync(join(scratch.path, "daemon.log"));
  for (const value of ["YWRtaW4=", "1f2d1e2e67df"]) assert(!log.includes(value), "the log has no secrets");
});

rootTest("a directory is applied file by file, into the namespace that is asked for", async () => {
  await using scratch = await scratchDirectory();
  await using daemon = await startLamina(scratch.path);
  const manifests = join(scratch.path, "manifests");
  Deno.mkdirSync(join(manifests, "deep"), { recursive: true });
  const map = (name: string) =>
    JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { a: "b" } });
  Deno.writeTextFileSync(join(manifests, "b.json"), map("b"));
  Deno.writeTextFileSync(join(manifests, "a.yml"), map("a"));
  Deno.writeTextFileSync(join(manifests, "notes.txt"), "no manifest");
  Deno.writeTextFileSync(join(manifests, "deep/c.yaml"), map("c"));
  assertEquals(
    await says(daemon, `apply -f ${manifests} -n shop`, []),
    "configmap/a created\nconfigmap/b created\n",
  );
  await says(daemon, `apply -R -f ${manifests} -n shop`, ["configmap/c created"]);
  await says(daemon, "get cm", ["There are none"]);
  await says(daemon, "get cm -n shop -o name", ["configmap/a", "configmap/b", "configmap/c"]);
  await says(daemon, "get cm a", ['no ConfigMap "a" in namespace "default"'], 3);
  await says(daemon, "delete cm --all -n shop", ["configmap/a deleted", "configmap/c deleted"]);
});

rootTest("what is wrong is told with its place, and nothing is sent", async () => {
  await using scratch = await scratchDirectory();
  await using daemon = await startLamina(scratch.path);
  const good = "{apiVersion: v1, kind: ConfigMap, metadata: {name: good}}";
  const wrong = "{apiVersion: v1, kind: ConfigMap, metadata: {name: bad}, data: {a: 1}}";
  await says(
    daemon,
    "apply -f -",
    ["standard input, document 2 (line 3)", "data.a: must be a string"],
    2,
    `${good}\n---\n${wrong}\n`,
  );
  await says(daemon, "get cm", ["There are none"]);
  await says(daemon, "apply -f -", ["line 2, column 1: Tabs"], 2, "a:\n\tb: 1\n");
  await says(daemon, "apply -f /nowhere/at.yaml", ["/nowhere/at.yaml: it does not exist"], 3);
  await says(daemon, "apply", ["-f FILE"], 2);
  await says(daemon, "get podz", ["did you mean pods?"], 2);
  await says(daemon, "get pods x -o xml", ["--output is one of"], 2);
  await says(daemon, "wait pod x --for=condition=Ready --timeout=100ms", ["there is no such object"], 3);
  await says(daemon, "wait pod x --for=tea", ["--for is condition=TYPE"], 2);
  await says(daemon, "wait pod x --for=delete", ["pod/x deleted"]);
  await says(daemon, "delete pod", ["KIND NAME"], 2);
  await says(daemon, "delete x/y/z", ["is not KIND/NAME"], 2);
});
