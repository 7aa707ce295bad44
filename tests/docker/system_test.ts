import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { runCommand } from "../../runtime/host/command.ts";
import { laminaCommand, startLamina } from "../e2e/lamina_process.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { importSmallImage, startDocker } from "./support/docker_client.ts";

const processMessage = "it does not run processes. Mount the container's root with `lamina container mount`";

rootTest("docker version and docker info say what answers", async () => {
  await using it = await startDocker();
  const version = JSON.parse(await it.docker("version", "--format", "{{json .Server}}"));
  assertEquals([version.Platform.Name, version.ApiVersion, version.MinAPIVersion], ["Lamina", "1.47", "1.24"]);
  const { stdout } = await it.shell("docker info --format '{{json .}}'");
  const info = JSON.parse(stdout);
  assertEquals([info.Driver, info.DockerRootDir, info.Containers], ["overlay", it.daemon.root, 0]);
  assertStringIncludes((await it.shell("docker info 2>&1")).stdout, "it does not run processes");
  assertStringIncludes(
    (await it.shell("DOCKER_API_VERSION=1.99 docker ps 2>&1 || true")).stdout,
    "Maximum supported API version is 1.47",
  );
  assertStringIncludes(
    (await it.shell("DOCKER_API_VERSION=1.20 docker ps 2>&1 || true")).stdout,
    "Minimum supported API version is 1.24",
  );
  assertEquals((await it.shell("DOCKER_API_VERSION=1.24 docker volume ls -q")).code, 0);
});

rootTest("docker system df counts images, containers and volumes", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1");
  await it.docker("create", "--name", "c", "-v", "vol:/v", "web:1", "true");
  await it.docker("volume", "create", "unused");
  assertEquals(
    await it.docker("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}}"),
    "Images 1 1\nContainers 1 0\nLocal Volumes 2 1\nBuild Cache 0 0",
  );
  const verbose = await it.docker("system", "df", "-v");
  for (const word of ["web", "c", "vol", "unused"]) {
    assert(new RegExp(`^${word}\\b| ${word}$`, "m").test(verbose), `${word} in ${verbose}`);
  }
  await it.docker("rm", "c");
  assertStringIncludes(await it.docker("system", "prune", "-af"), "deleted: sha256:");
  assertEquals(await it.docker("images", "-q"), "");
});

rootTest("docker events tells what happened and what happens, by time and by filter", async () => {
  await using it = await startDocker();
  await it.docker("volume", "create", "one");
  // The end is known: what comes until then is shown, and the command ends by itself.
  const { stdout, stderr, code } = await it.shell(`
    until=$(($(date +%s) + 4))
    docker events --since 0 --until $until --format '{{.Type}} {{.Action}} {{.Actor.Attributes.name}}' > all &
    docker events --until $until --filter volume=two --format '{{json .}}' > json &
    sleep 1
    docker volume create two >/dev/null
    docker volume rm one >/dev/null
    wait; cat all; echo --; cat json`);
  assertEquals([code, stderr], [0, ""]);
  const [all, json] = stdout.split("--\n");
  assertStringIncludes(all!, "volume create one\n");
  assertStringIncludes(all!, "volume create two\n");
  assertStringIncludes(all!, "volume destroy one\n");
  const event = JSON.parse(json!.trim());
  assertEquals([event.Type, event.Action, event.Actor.ID, event.scope], ["volume", "create", "two", "local"]);
  assertEquals(Math.floor(event.timeNano / 1e9), event.time);
  assertStringIncludes(await it.refused("events", "--since", "0", "--until", "1s", "--filter", "color=red"), "color");
});

rootTest("docker events of containers carry their labels and image", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1");
  await it.docker("create", "--name", "c", "--label", "k=v", "web:1", "true");
  await it.docker("rename", "c", "d");
  await it.docker("rm", "d");
  const { stdout } = await it.shell(
    "docker events --since 0 --until $(($(date +%s) + 1)) --filter type=container --format '{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.image}}'",
  );
  assertStringIncludes(stdout, "create c web:1\n");
  assertStringIncludes(stdout, "rename ");
  assertStringIncludes(stdout, "destroy d ");
});

rootTest("what runs processes answers 501 and says what to do; who mistyped a name learns that first", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1");
  await it.docker("create", "--name", "c", "web:1", "true");
  for (const verb of ["start", "stop", "restart", "kill", "pause", "unpause", "wait", "logs", "top"]) {
    assertStringIncludes(await it.refused(verb, "c"), processMessage, verb);
  }
  assertStringIncludes(await it.refused("exec", "c", "ls"), processMessage);
  assertStringIncludes(await it.refused("run", "-d", "web:1", "true"), processMessage);
  assertStringIncludes(await it.refused("start", "nope"), "No such container: nope");
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: it.socket } });
  for (
    const [method, path] of [["POST", "start"], ["POST", "attach"], ["GET", "stats"], ["POST", "exec"], [
      "POST",
      "resize",
    ]]
  ) {
    const response = await fetch(`http://d/v1.41/containers/c/${path}`, { method, client } as RequestInit);
    assertEquals(response.status, 501, path);
    assertStringIncludes((await response.json()).message, processMessage);
  }
  client.close();
});

rootTest("docker run in the foreground says what Lamina is, exits with 125 and leaves nothing mounted", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1");
  for (const flags of ["", "-i", "--rm", "-i --rm", "-d", "-a stdout"]) {
    const { code, stdout, stderr } = await it.shell(`docker run ${flags} -v data:/d web:1 true </dev/null`);
    assertEquals([code, stdout], [125, flags === "-d" ? stdout : ""], `docker run ${flags}: ${stderr}`);
    // Our words, once, and none of the client's about connections and exit codes.
    const [first, ...rest] = stderr.split("\n").filter((line) => !line.startsWith("Run 'docker") && line.trim() !== "");
    assertStringIncludes(first!, "Lamina is the storage half of a container engine", flags);
    assertEquals(rest, [], `docker run ${flags}`);
  }
  const started = await it.shell("docker create --name kim web:1 true >/dev/null; docker start -a kim");
  assertEquals(started.code, 1);
  assertStringIncludes(started.stderr, processMessage);
  const containers = JSON.parse(await it.daemon.lamina("container", "ls", "--json"));
  assertEquals(containers.map(({ mounted }: { mounted: boolean }) => mounted), Array(7).fill(false));
  await it.docker("container", "prune", "-f");
  assertEquals(await it.docker("volume", "rm", "data"), "data");
});

rootTest("who waits for the end of a container hears when it is gone", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1");
  await it.docker("create", "--name", "kim", "web:1", "true");
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path: it.socket } });
  const wait = (condition: string) =>
    fetch(`http://d/v1.41/containers/kim/wait?condition=${condition}`, { method: "POST", client } as RequestInit);
  // The headers come at once: clients start the container only after that.
  const [exit, removal] = [await wait("next-exit"), await wait("removed")];
  assertEquals([exit.status, removal.status], [200, 200]);
  await it.docker("rm", "kim");
  assertEquals([await exit.json(), await removal.json()], [{ StatusCode: 0 }, { StatusCode: 0 }]);
  const gone = await wait("removed");
  assertEquals([gone.status, (await gone.json()).message], [404, "No such container: kim"]);
});

rootTest("commands about networks, swarms and plugins stay pleasant", async () => {
  await using it = await startDocker();
  assertEquals(await it.docker("network", "ls", "-q"), "");
  assertEquals(await it.docker("plugin", "ls", "-q"), "");
  assertMatch(await it.refused("network", "inspect", "x"), /not found|no such network/i);
  assertStringIncludes(await it.refused("network", "create", "x"), "it has no networks");
  assertStringIncludes(await it.refused("node", "ls"), "swarm");
  assertStringIncludes(await it.refused("swarm", "init"), "swarm");
  assertStringIncludes(await it.refused("inspect", "nothing"), "No such object: nothing");
});

rootTest("lamina serve refuses one path for two sockets, and takes the second from its configuration", async () => {
  await using scratch = await scratchDirectory();
  const [program, ...prefix] = laminaCommand();
  const socket = join(scratch.path, "run/one.sock");
  const args = ["serve", "--root", join(scratch.path, "other"), "--socket", socket, "--docker-socket", socket];
  const { code, stderr } = await runCommand(program, [...prefix, ...args], { env: { RUST_BACKTRACE: "0" } });
  assertEquals(code, 2);
  assertStringIncludes(stderr, "--docker-socket");
  const config = join(scratch.path, "config.json");
  const docker = join(scratch.path, "run/docker.sock");
  await Deno.writeTextFile(config, JSON.stringify({ docker_socket: docker }));
  await using daemon = await startLamina(scratch.path, { serveArgs: ["--config", config] });
  assertEquals((await Deno.stat(docker)).mode! & 0o777, 0o600);
  await daemon.stop();
  assertEquals(await Deno.stat(docker).then(() => "there", () => "gone"), "gone");
});
