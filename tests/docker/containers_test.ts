import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { rootTest } from "../support/scratch.ts";
import { type DockerClient, importSmallImage, startDocker } from "./support/docker_client.ts";

async function names(it: DockerClient, ...args: string[]): Promise<string[]> {
  return (await it.docker("ps", "-a", "--format", "{{.Names}}", ...args)).split("\n").filter(Boolean).sort();
}

rootTest("docker create takes -v, --mount, --tmpfs and the rest, and docker inspect shows them", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1", "-c", 'CMD ["serve"]', "-c", "ENV A=image", "-c", "LABEL from=image");
  await Deno.mkdir(join(it.directory, "host"));
  const id = await it.docker(
    ...["create", "--name", "c", "-v", "named:/n:ro", "-v", "/anonymous", "-v", `${it.directory}/host:/h`],
    ...[
      "--mount",
      "type=bind,src=/etc,dst=/host,readonly",
      "--mount",
      "type=volume,src=labelled,dst=/l,volume-label=a=b",
    ],
    ...["--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700", "--tmpfs", "/run:size=64k,exec"],
    ...["-e", "B=mine", "-l", "k=v", "-w", "/work", "-u", "1:2", "--read-only", "-h", "shop", "web:1", "echo", "hi"],
  );
  assertMatch(id, /^[0-9a-f]{64}$/);
  const [shown] = JSON.parse(await it.docker("inspect", "c"));
  assertEquals([shown.Id, shown.Name, shown.State.Status, shown.State.Running], [id, "/c", "created", false]);
  assertEquals([shown.Path, shown.Args, shown.Driver], ["echo", ["hi"], "overlay"]);
  const { Env, Cmd, Labels, WorkingDir, User, Hostname, Image } = shown.Config;
  assertEquals({ Env, Cmd, Labels, WorkingDir, User, Hostname, Image }, {
    Env: ["B=mine", "A=image"],
    Cmd: ["echo", "hi"],
    Labels: { from: "image", k: "v" },
    WorkingDir: "/work",
    User: "1:2",
    Hostname: "shop",
    Image: "web:1",
  });
  assertEquals([shown.HostConfig.ReadonlyRootfs, shown.HostConfig.Tmpfs], [true, { "/run": "size=64k,exec" }]);
  type MountPoint = { Destination: string; Type: string; RW: boolean; Name?: string; Source: string };
  const mounts = new Map<string, MountPoint>(shown.Mounts.map((mount: MountPoint) => [mount.Destination, mount]));
  const facts = (target: string) => [mounts.get(target)?.Type, mounts.get(target)?.RW];
  assertEquals(["/n", "/anonymous", "/h", "/host", "/l", "/t", "/run"].map(facts), [
    ["volume", false],
    ["volume", true],
    ["bind", true],
    ["bind", false],
    ["volume", true],
    ["tmpfs", true],
    ["tmpfs", true],
  ]);
  assertEquals([mounts.get("/n")?.Name, mounts.get("/h")?.Source], ["named", join(it.directory, "host")]);
  assertMatch(mounts.get("/anonymous")!.Name!, /^[0-9a-f]{64}$/);
  assertEquals(await it.docker("volume", "inspect", "-f", "{{json .Labels}}", "labelled"), '{"a":"b"}');
  // The runtime spec for crun or runc has the same.
  const native = JSON.parse(await it.daemon.lamina("container", "inspect", "c", "--json"));
  assertEquals(native.oci.process.args, ["echo", "hi"]);
  assertEquals([native.oci.process.cwd, native.oci.process.user], ["/work", "1:2"]);
  assertMatch(await it.docker("inspect", "-s", "-f", "{{.SizeRw}}", id.slice(0, 12)), /^\d+$/);
});

rootTest("docker create enforces --storage-opt or refuses it, and says no to what is wrong", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1");
  const cases: [string[], string][] = [
    [["-v", "aa:/x", "-v", "bb:/x", "web:1"], "/x"],
    [["-v", "aa:/x:ro,rw", "web:1"], "ro,rw"],
    [["-v", "name:relative", "web:1"], "relative"],
    [["--mount", "type=bind,src=/does/not/exist,dst=/x", "web:1"], "/does/not/exist"],
    [["--mount", "type=volume,src=vv,dst=/x,volume-driver=nope", "web:1"], "nope"],
    [["--mount", "type=image,src=nope:1,dst=/x", "web:1"], "No such image: nope:1"],
    [["--name", "n".repeat(300), "web:1"], "at most 128 characters"],
    [["--tmpfs", "/x:color=red", "web:1"], "color"],
    [["--volumes-from", "nobody", "web:1"], "nobody"],
    [["--storage-opt", "size=lots", "web:1"], "lots"],
    [["--name", "bad name", "web:1"], "name"],
    [["--platform", "linux/s390x", "--pull", "never", "web:1"], "platform"],
  ];
  for (const [args, word] of cases) {
    assertStringIncludes(await it.refused("create", ...args, "true"), word, args.join(" "));
  }
  await it.docker("create", "--name", "taken", "web:1", "true");
  assertStringIncludes(await it.refused("create", "--name", "taken", "web:1", "true"), "taken");
  assertEquals(await names(it), ["taken"]);
  assertEquals(await it.docker("volume", "ls", "-q"), "");
});

rootTest("docker ps lists and filters; without -a nothing runs", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1");
  await importSmallImage(it, "app:1", "-m", "other");
  await it.docker("create", "--name", "one", "-l", "tier=front", "-v", "vol:/v", "web:1", "serve", "-x");
  await it.docker("create", "--name", "two", "-l", "tier=back", "web:1", "true");
  const id = await it.docker("create", "--name", "three", "app:1", "true");
  assertEquals(await it.docker("ps", "-q"), "");
  assertEquals(await names(it), ["one", "three", "two"]);
  assertEquals(
    await it.docker(
      "ps",
      "-a",
      "--filter",
      "name=one",
      "--format",
      '{{.Image}}|{{.Command}}|{{.State}}|{{.Status}}|{{.Mounts}}|{{.Label "tier"}}',
    ),
    'web:1|"serve -x"|created|Created|vol|front',
  );
  assertEquals(await names(it, "--filter", "label=tier"), ["one", "two"]);
  assertEquals(await names(it, "--filter", "label=tier=back"), ["two"]);
  assertEquals(await names(it, "--filter", "ancestor=app:1"), ["three"]);
  assertEquals(await names(it, "--filter", "volume=vol"), ["one"]);
  assertEquals(await names(it, "--filter", "volume=/v"), ["one"]);
  assertEquals(await names(it, "--filter", `id=${id.slice(0, 8)}`), ["three"]);
  assertEquals(await names(it, "--filter", "since=one"), ["three", "two"]);
  assertEquals(await names(it, "--filter", "before=two"), ["one"]);
  assertEquals(await names(it, "--filter", "status=running"), []);
  assertEquals(await names(it, "--filter", "status=created", "--filter", "name=^/t"), ["three", "two"]);
  assertEquals(await names(it, "-n", "1"), ["three"]);
  assertMatch(await it.docker("ps", "-as", "--format", "{{.Size}}", "-n", "1"), /^[\d.]+k?B \(virtual [\d.]+kB\)$/);
  assertStringIncludes(await it.refused("ps", "-a", "--filter", "status=happy"), "happy");
  assertStringIncludes(await it.refused("ps", "-a", "--filter", "color=red"), "color");
  assertStringIncludes(await it.refused("ps", "-a", "--filter", "since=nobody"), "No such container: nobody");
});

rootTest("docker diff, commit and export see what docker cp put into a container", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1", "-c", "ENV A=1");
  await it.docker("create", "--name", "c", "-e", "B=2", "web:1", "serve");
  assertEquals(await it.docker("diff", "c"), "");
  await it.shell("echo changed > motd && docker cp motd c:/etc/ && docker cp motd c:/etc/new");
  assertEquals(await it.docker("diff", "c"), "C /etc\nC /etc/motd\nA /etc/new");
  const id = await it.docker(
    "commit",
    "-m",
    "why",
    "-a",
    "who",
    "-c",
    'ENTRYPOINT ["/x"]',
    "-c",
    "LABEL l=1",
    "c",
    "web:2",
  );
  const shown =
    '{{.Id}} {{.Comment}} {{.Author}} {{json .Config.Entrypoint}} {{json .Config.Env}} {{index .Config.Labels "l"}}';
  assertEquals(await it.docker("inspect", "-f", shown, "web:2"), `${id} why who ["/x"] ["A=1","B=2"] 1`);
  assertEquals((await it.docker("history", "-q", "web:2")).split("\n"), [id.slice(7, 19), "<missing>"]);
  // The layer below has no time of its own: that of the commit is not its.
  const ages = (await it.docker("history", "--format", "{{.CreatedSince}}", "web:2")).split("\n");
  assertEquals([/second|minute/.test(ages[0]!), ages[1]], [true, "N/A"]);
  assertMatch(await it.docker("commit", "c"), /^sha256:[0-9a-f]{64}$/);
  assertStringIncludes(await it.refused("commit", "-c", "RUN true", "c"), "RUN true");
  assertStringIncludes(await it.refused("commit", "nope"), "No such container: nope");
  const { stdout } = await it.shell("docker export c | tar -xO etc/motd; docker export -o e.tar c; tar -tf e.tar");
  assertStringIncludes(stdout, "changed\n");
  assertStringIncludes(stdout, "etc/new\n");
  const old = await it.docker("create", "web:2", "true");
  assertEquals(await it.docker("diff", old), "");
});

rootTest("docker rename, rm and container prune", async () => {
  await using it = await startDocker();
  // "kim" is no beginning of an id, as a gone "c" could be of the other container's.
  await importSmallImage(it, "web:1");
  await it.docker("create", "--name", "a", "web:1", "true");
  await it.docker("create", "--name", "b", "-l", "keep", "web:1", "true");
  await it.docker("rename", "a", "kim");
  assertEquals(await names(it), ["b", "kim"]);
  assertStringIncludes(await it.refused("rename", "b", "kim"), "kim");
  assertStringIncludes(await it.refused("rename", "nope", "d"), "No such container: nope");
  assertEquals(await it.docker("inspect", "-f", "{{.Name}}", "/kim"), "/kim");
  await it.daemon.lamina("container", "mount", "kim");
  assertStringIncludes(await it.refused("rm", "kim"), "mounted");
  assertEquals(await it.docker("container", "prune", "-f", "--filter", "label!=keep"), "Total reclaimed space: 0B");
  assertEquals(await it.docker("rm", "-f", "kim"), "kim");
  assertStringIncludes(await it.refused("rm", "kim"), "No such container: kim");
  const id = await it.docker("create", "web:1", "true");
  const pruned = await it.docker("container", "prune", "-f", "--filter", "label!=keep");
  assertStringIncludes(pruned, `Deleted Containers:\n${id}`);
  assertEquals(await names(it), ["b"]);
  assert((await it.docker("container", "prune", "-f")).includes("Total reclaimed space"));
  assertEquals(await names(it), []);
  assertEquals(JSON.parse(await it.daemon.lamina("check", "--json")).findings, []);
});
