import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { rootTest } from "../support/scratch.ts";
import { type DockerClient, importSmallImage, startDocker } from "./support/docker_client.ts";

async function volumeNames(it: DockerClient, ...args: string[]): Promise<string[]> {
  return (await it.docker("volume", "ls", "-q", ...args)).split("\n").filter(Boolean).sort();
}

rootTest("docker volume create, ls and inspect show what was asked for", async () => {
  await using it = await startDocker();
  assertEquals(await it.docker("volume", "create", "--label", "tier=db", "--label", "empty=", "data1"), "data1");
  assertEquals(await it.docker("volume", "create", "--name", "other"), "other");
  const anonymous = await it.docker("volume", "create");
  assertMatch(anonymous, /^[0-9a-f]{64}$/);
  assertEquals(await volumeNames(it), [anonymous, "data1", "other"].sort());
  const [shown] = JSON.parse(await it.docker("volume", "inspect", "data1"));
  assertMatch(shown.CreatedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assertEquals({ ...shown, CreatedAt: "" }, {
    CreatedAt: "",
    Driver: "local",
    Labels: { empty: "", tier: "db" },
    Mountpoint: join(it.daemon.root, "volumes/data1/_data"),
    Name: "data1",
    Options: null,
    Scope: "local",
  });
  assertEquals(
    await it.docker(
      "volume",
      "ls",
      "--format",
      '{{.Name}}|{{.Driver}}|{{.Label "tier"}}|{{.Scope}}',
      "--filter",
      "name=^data1$",
    ),
    "data1|local|db|local",
  );
  // Again is no error, with other labels neither.
  assertEquals(await it.docker("volume", "create", "data1"), "data1");
  assertMatch(await it.refused("volume", "inspect", "nope"), /no such volume/i);
  assertStringIncludes(await it.refused("volume", "create", "a/b"), "volume name");
  assertStringIncludes(await it.refused("volume", "create", "-d", "nope", "vol"), "nope");
  assertStringIncludes(await it.refused("volume", "create", "-o", "color=red", "vol"), "color");
  assertEquals(await volumeNames(it, "--filter", "name=vol"), []);
});

rootTest("docker volume ls filters by use, driver, label and a regular expression for the name", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1");
  await it.docker("volume", "create", "--label", "a=1", "alpha");
  await it.docker("volume", "create", "--label", "a=2", "--label", "b", "beta");
  await it.docker("create", "-v", "gamma:/g", "web:1", "true");
  assertEquals(await volumeNames(it, "--filter", "dangling=true"), ["alpha", "beta"]);
  assertEquals(await volumeNames(it, "--filter", "dangling=false"), ["gamma"]);
  assertEquals(await volumeNames(it, "--filter", "label=a"), ["alpha", "beta"]);
  assertEquals(await volumeNames(it, "--filter", "label=a=2", "--filter", "label=b"), ["beta"]);
  assertEquals(await volumeNames(it, "--filter", "name=^.{4}$"), ["beta"]);
  assertEquals(await volumeNames(it, "--filter", "name=alp", "--filter", "name=gam"), ["alpha", "gamma"]);
  assertEquals(await volumeNames(it, "--filter", "driver=local"), ["alpha", "beta", "gamma"]);
  assertEquals(await volumeNames(it, "--filter", "driver=other"), []);
  assertStringIncludes(await it.refused("volume", "ls", "--filter", "size=1"), "size");
  assertStringIncludes(await it.refused("volume", "ls", "--filter", "name=("), "name");
});

rootTest("docker volume rm spares what is in use, and prune what a person named", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1");
  await it.docker("volume", "create", "free");
  await it.docker("volume", "create", "named");
  const anonymous = await it.docker("volume", "create");
  const labelled = await it.docker("volume", "create", "--label", "keep");
  await it.docker("create", "--name", "user", "-v", "used:/u", "web:1", "true");
  assertStringIncludes(await it.refused("volume", "rm", "used"), "use");
  assertStringIncludes(await it.refused("volume", "rm", "-f", "used"), "use");
  assertEquals(await it.docker("volume", "rm", "free"), "free");
  assertMatch(await it.refused("volume", "rm", "free"), /no such volume/i);
  await it.docker("volume", "rm", "-f", "free");
  const pruned = await it.docker("volume", "prune", "-f", "--filter", "label!=keep");
  assertStringIncludes(pruned, anonymous);
  const { stdout: version } = await it.shell("docker version -f '{{.Client.APIVersion}}'");
  const namedGoes = Number(version.split(".")[1]) < 42;
  assertEquals(await volumeNames(it), [labelled, ...(namedGoes ? [] : ["named"]), "used"].sort());
  if (!namedGoes) await it.docker("volume", "prune", "-af");
  else await it.docker("volume", "prune", "-f");
  assertEquals(await volumeNames(it), ["used"]);
});

rootTest("docker rm -v removes anonymous volumes and keeps the named and host directories", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1", "-c", "VOLUME /data");
  const host = join(it.directory, "host");
  await Deno.mkdir(host);
  await Deno.writeTextFile(join(host, "mine"), "do not delete");
  await it.docker("create", "--name", "c", "-v", "named:/n", "-v", "/anonymous", "-v", `${host}:/h`, "web:1", "true");
  const before = await volumeNames(it);
  assertEquals(before.length, 3, "named, /anonymous, and the image's /data");
  assertStringIncludes(before.join(" "), "named");
  await it.docker("rm", "-v", "c");
  assertEquals(await volumeNames(it), ["named"]);
  assertEquals(await Deno.readTextFile(join(host, "mine")), "do not delete");
  // Without -v the anonymous one stays behind, and is found.
  await it.docker("create", "--name", "d", "-v", "/anonymous", "web:1", "true");
  await it.docker("rm", "-f", "d");
  assertEquals((await volumeNames(it, "--filter", "dangling=true")).length, 3);
});

rootTest("a data container is shared with --volumes-from and backed up to a host directory", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1");
  const backup = join(it.directory, "backup");
  await Deno.mkdir(backup);
  await it.docker("create", "--name", "dbdata", "-v", "/dbdata", "web:1", "true");
  await it.docker("create", "--name", "db1", "--volumes-from", "dbdata", "web:1", "true");
  await it.docker(
    "create",
    "--name",
    "saver",
    "--volumes-from",
    "dbdata:ro",
    "-v",
    `${backup}:/backup`,
    "web:1",
    "true",
  );
  const source = '{{range .Mounts}}{{if eq .Destination "/dbdata"}}{{.Name}} {{.RW}}{{end}}{{end}}';
  const [name, rw] = (await it.docker("inspect", "-f", source, "dbdata")).split(" ");
  assertEquals(rw, "true");
  assertEquals(await it.docker("inspect", "-f", source, "db1"), `${name} true`);
  assertEquals(await it.docker("inspect", "-f", source, "saver"), `${name} false`);
  // What an engine would run inside: write through one, read through the other, tar to the host.
  const one = (await it.daemon.lamina("container", "mount", "db1")).trim();
  const two = (await it.daemon.lamina("container", "mount", "saver")).trim();
  await Deno.writeTextFile(join(one, "dbdata/table"), "rows\n");
  assertEquals(await Deno.readTextFile(join(two, "dbdata/table")), "rows\n");
  assertEquals((await it.shell(`cd ${two} && tar -cf backup/backup.tar dbdata`)).code, 0);
  for (const container of ["db1", "saver"]) await it.daemon.lamina("container", "unmount", container);
  assertEquals(await it.docker("rm", "-v", "dbdata", "db1"), "dbdata\ndb1");
  assert((await volumeNames(it)).includes(name!), "the volume is in use by the third container");
  await it.docker("rm", "-v", "saver");
  assertEquals(await volumeNames(it), []);
  assertStringIncludes((await it.shell(`tar -xOf ${backup}/backup.tar dbdata/table`)).stdout, "rows");
});
