/** Manifests on the command line, against a daemon. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { errorLines } from "../../runtime/cli/errors.ts";
import { project } from "../architecture/sources.ts";
import { laminaCommand, startLamina } from "../e2e/lamina_process.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { laminaAt } from "./support/in_process.ts";
import { lamina, type Place } from "./support/process.ts";

const example = (name: string) => join(project, "tests/examples", name);

/** Runs a line; its output must hold each of `words`, its status be `code`. */
async function says(place: Place, line: string, words: readonly string[], code = 0, stdin?: string): Promise<string> {
  const result = await runLine(place, line.split(" "), stdin);
  assertEquals(result.code, code, `lamina ${line}: ${result.output}`);
  for (const word of words) assertStringIncludes(result.output, word, `lamina ${line}`);
  return result.stdout;
}

async function runLine(place: Place, args: readonly string[], stdin: string | undefined) {
  if (stdin !== undefined) {
    const { code, stdout, stderr } = await lamina(place, [...args], { stdin });
    return { code, stdout, output: `${stdout}${stderr}` };
  }
  // Without a process each, which takes most of a second.
  const { code, out, err, error } = await laminaAt(place.socket, args);
  const told = error === undefined ? [] : errorLines(error);
  return { code, stdout: out === "" ? "" : `${out}\n`, output: [out, err, ...told].join("\n") };
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
  await says(daemon, "wait pod x --for=ready", ["did you mean condition=Ready?"], 2);
  await says(daemon, "wait pod x --for=delete", ["pod/x deleted"]);
  await says(daemon, "delete pod", ["KIND NAME", "delete pods --all"], 2);
  await says(daemon, "delete pod web --grace-period soon", ["--grace-period takes seconds"], 2);
  await says(daemon, "delete pod web --force --grace-period 5", ["--force means --grace-period 0"], 2);
  await says(daemon, "delete pod x --all", ["--all and --selector go with one KIND"], 2);
  await says(daemon, "get pods -l a=(", ["is no selector of labels"], 2);
  await says(daemon, "get pods x -l a=b", ["NAME goes not with --selector"], 2);
  await says(daemon, "get pods,pvc -w", ["--watch goes with one KIND"], 2);
  await says(daemon, "wait pods --all --for=mounted", ["nothing to wait for"], 3);
  await says(daemon, "wait pods --all --for=delete", []);
  const claim = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c}, " +
    "spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10X}}}}";
  const { stderr } = await lamina(daemon, ["apply", "-f", "-"], { stdin: claim });
  assertStringIncludes(stderr, "spec.resources.requests.storage: must be a quantity: digits and one of Ki, Mi, Gi");
  assertEquals(stderr.match(/resources\.requests\.storage/g)?.length, 1);
  await says(daemon, "delete x/y/z", ["is not KIND/NAME"], 2);
});

rootTest("objects are taken by their labels, waited for and described together", async () => {
  await using scratch = await scratchDirectory();
  await using daemon = await startLamina(scratch.path);
  const map = (name: string, tier: string) =>
    `{apiVersion: v1, kind: ConfigMap, metadata: {name: ${name}, labels: {app: shop, tier: ${tier}}}}`;
  const pod =
    "{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: shop}}, spec: {containers: [{name: main, " +
    'image: "small:1", volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, emptyDir: {}}]}}';
  await says(daemon, "apply -f -", [], 0, [map("a", "web"), map("b", "db"), pod].join("\n---\n"));
  assertEquals(await says(daemon, "get cm -l tier=web -o name", []), "configmap/a\n");
  assertEquals(await says(daemon, "get cm -l app=shop,tier!=web -o name", []), "configmap/b\n");
  await says(daemon, "get all -l app=shop", ["pod/web", "configmap/a", "configmap/b"]);
  await says(daemon, "wait pods --all --for=mounted", ["pod/web mounted"]);
  await says(daemon, "wait pods -l app=shop --for=mounted", ["pod/web mounted"]);
  const shown = await says(daemon, "describe pod web", [
    "VolumesReady: true",
    "ContainersReady: False (ContainersNotReady)",
  ]);
  assertEquals(/^Created: \d{4}-/m.test(shown), true, shown);
  assertEquals(shown.match(/why: .*not imported/g)?.length, 1, shown);
  await says(daemon, "delete cm -l tier=db", ["configmap/b deleted"]);
  await says(daemon, "get cm", ["a"]);
  await says(daemon, "delete pods --all --force", ["pod/web deleted"]);
});

rootTest("a watch tells what is there and every change, in columns", async () => {
  await using scratch = await scratchDirectory();
  await using daemon = await startLamina(scratch.path);
  const map = (name: string) => `{apiVersion: v1, kind: ConfigMap, metadata: {name: ${name}, labels: {app: ${name}}}}`;
  await says(daemon, "apply -f -", [], 0, map("first"));
  const [program, ...prefix] = laminaCommand();
  const watch = new Deno.Command(program, {
    args: [...prefix, "get", "cm", "-w", "-l", "app!=hidden"],
    env: { LAMINA_ROOT: daemon.root, LAMINA_SOCKET: daemon.socket, RUST_BACKTRACE: "0" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  try {
    const text = watch.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let unread = "";
    const next = async () => {
      while (!unread.includes("\n")) {
        const { value, done } = await text.read();
        if (done) return unread;
        unread += value;
      }
      const [line, ...rest] = unread.split("\n");
      unread = rest.join("\n");
      return line!;
    };
    assertStringIncludes(await next(), "NAME");
    assertStringIncludes(await next(), "first");
    await says(daemon, "apply -f -", [], 0, map("hidden"));
    await says(daemon, "apply -f -", [], 0, map("second"));
    assertStringIncludes(await next(), "second");
    await says(daemon, "delete cm first", []);
    assertStringIncludes(await next(), "first (deleted)");
    await text.cancel();
  } finally {
    watch.kill("SIGTERM");
    await watch.status;
  }
});
