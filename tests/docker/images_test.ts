import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { rootTest } from "../support/scratch.ts";
import { importSmallImage, startDocker } from "./support/docker_client.ts";

rootTest("docker import makes images of rootfs tars, from a file and from standard input", async () => {
  await using it = await startDocker();
  const id = await importSmallImage(it, "web:1", "--change", 'CMD ["/bin/serve", "-v"]', "-c", "ENV A=1", "-m", "mine");
  assertMatch(id, /^sha256:[0-9a-f]{64}$/m);
  const format =
    "{{json .Config.Cmd}} {{json .Config.Env}} {{.Comment}} {{.Os}}/{{.Architecture}} {{len .RootFS.Layers}}";
  const arch = Deno.build.arch === "x86_64" ? "amd64" : "arm64";
  assertEquals(
    await it.docker("image", "inspect", "-f", format, "web:1"),
    `["/bin/serve","-v"] ["A=1"] mine linux/${arch} 1`,
  );
  const { stdout } = await it.shell("gzip -c small.tar | docker import - team/app");
  assertStringIncludes(stdout, "sha256:");
  assertEquals(await it.docker("images", "--format", "{{.Repository}}:{{.Tag}}", "team/app"), "team/app:latest");
  // Without a name it has only its id; what an archive looks like does not matter.
  await it.shell("docker save -o saved.tar web:1 && docker import -m nameless saved.tar");
  const [nameless] = (await it.docker("images", "-q", "--no-trunc", "--filter", "dangling=true")).split("\n");
  assertEquals(await it.docker("image", "inspect", "-f", "{{.RepoTags}} {{.Comment}}", nameless!), "[] nameless");
  assertMatch((await it.shell("echo no tar | docker import - x:1 || true")).stderr, /tar/);
  assertEquals(await it.docker("images", "-q", "x"), "");
});

rootTest("docker save and docker load move images, with progress and without", async () => {
  await using it = await startDocker();
  const id = (await importSmallImage(it, "web:1")).split("\n").at(-1)!;
  await it.docker("tag", "web:1", "team/web:a");
  await it.docker("tag", id, "team/web:b");
  await it.docker("save", "-o", "two.tar", "web:1", "team/web");
  const { stdout: manifest } = await it.shell("tar -xOf two.tar manifest.json");
  assertEquals(JSON.parse(manifest)[0].RepoTags.sort(), ["team/web:a", "team/web:b", "web:1"]);
  await it.docker("rmi", "-f", id);
  assertEquals(await it.docker("images", "-q"), "");
  const loaded = await it.docker("load", "-i", "two.tar");
  assertStringIncludes(loaded, "Loaded image: web:1");
  assertStringIncludes(loaded, "Loaded image: team/web:b");
  assertEquals(await it.docker("images", "-q", "--no-trunc", "web"), id);
  // By its id it is saved without a name.
  assertEquals(
    (await it.shell(`docker save ${id} | gzip > one.tgz && docker rmi -f ${id} && docker load -q < one.tgz`)).code,
    0,
  );
  assertEquals(await it.docker("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}"), `${id} <none>`);
  assertStringIncludes(await it.refused("load", "-i", "small.tar"), "docker import");
  assertStringIncludes(await it.refused("save", "-o", "x.tar", "nope"), "No such image: nope:latest");
  const cut = await it.shell("head -c 3000 two.tar | docker load 2>&1 || echo refused");
  assertStringIncludes(cut.stdout, "refused");
  assertEquals(JSON.parse(await it.daemon.lamina("check", "--json")).findings, []);
});

rootTest("docker images lists and filters", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1", "-c", "LABEL tier=front", "-m", "first");
  await importSmallImage(it, "web:2", "-c", "LABEL tier=back", "-m", "second");
  await importSmallImage(it, "team/app:1", "-m", "third");
  const names = async (...args: string[]) =>
    (await it.docker("images", "--format", "{{.Repository}}:{{.Tag}}", ...args)).split("\n").filter(Boolean).sort();
  assertEquals(await names(), ["team/app:1", "web:1", "web:2"]);
  assertEquals(await names("web"), ["web:1", "web:2"]);
  assertEquals(await names("docker.io/library/web:2"), ["web:2"]);
  assertEquals(await names("--filter", "reference=w*:1"), ["web:1"]);
  assertEquals(await names("--filter", "reference=*/app"), ["team/app:1"]);
  assertEquals(await names("--filter", "label=tier"), ["web:1", "web:2"]);
  assertEquals(await names("--filter", "label=tier=back"), ["web:2"]);
  assertEquals(await names("--filter", "dangling=true"), []);
  assertEquals(await names("--filter", "before=team/app:1", "--filter", "since=web:1"), ["web:2"]);
  assertStringIncludes(await it.refused("images", "--filter", "color=red"), "color");
  assertStringIncludes(await it.refused("images", "--filter", "dangling=perhaps"), "dangling=perhaps");
});

rootTest("docker tag, rmi and history follow names and ids", async () => {
  await using it = await startDocker();
  const id = (await importSmallImage(it, "web:1", "-m", "note")).split("\n").at(-1)!;
  const short = id.slice(7, 19);
  assertMatch(
    await it.docker("history", "--format", "{{.ID}} {{.Comment}} {{.CreatedBy}}", "web:1"),
    new RegExp(`^${short} note `),
  );
  await it.docker("tag", "web:1", "docker.io/library/same:1");
  await it.docker("tag", short, "team/web");
  assertEquals(
    await it.docker("inspect", "-f", "{{json .RepoTags}}", "same:1"),
    '["same:1","team/web:latest","web:1"]',
  );
  assertStringIncludes(await it.refused("rmi", short), "must be forced");
  assertEquals(await it.docker("rmi", "same:1"), "Untagged: same:1");
  assertEquals(await it.docker("rmi", "-f", "team/web"), "Untagged: team/web:latest");
  await it.docker("create", "--name", "user", "web:1", "true");
  assertStringIncludes(await it.refused("rmi", "web:1"), "user");
  await it.docker("rm", "user");
  const gone = await it.docker("rmi", "web:1");
  assertStringIncludes(gone, "Untagged: web:1");
  assertStringIncludes(gone, `Deleted: ${id}`);
  assertStringIncludes(await it.refused("rmi", "web:1"), "No such image: web:1");
  assertStringIncludes(await it.refused("tag", "web:1", "web:2"), "No such image: web:1");
  assertStringIncludes(await it.refused("history", "web:1"), "No such image: web:1");
});

rootTest("docker image prune takes dangling images, with -a unused ones, and heeds its filters", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "used:1", "-m", "1");
  await importSmallImage(it, "kept:1", "-m", "2", "-c", "LABEL keep=yes");
  await importSmallImage(it, "loose:1", "-m", "3");
  await it.shell("docker import -m 4 small.tar");
  await it.docker("create", "used:1", "true");
  const names = async () => (await it.docker("images", "--format", "{{.Repository}}")).split("\n").sort().join(" ");
  assertEquals(await names(), "<none> kept loose used");
  assertStringIncludes(await it.docker("image", "prune", "-f", "--filter", "until=1h"), "0B");
  assertEquals(await names(), "<none> kept loose used");
  assertStringIncludes(await it.docker("image", "prune", "-f"), "deleted: sha256:");
  assertEquals(await names(), "kept loose used");
  assertStringIncludes(await it.docker("image", "prune", "-af", "--filter", "label!=keep"), "untagged: loose:1");
  assertEquals(await names(), "kept used");
  await it.docker("image", "prune", "-af");
  assertEquals(await names(), "used");
});

rootTest("what needs a registry or a builder is refused with what to do instead", async () => {
  await using it = await startDocker();
  await importSmallImage(it, "web:1");
  for (const args of [["pull", "web:1"], ["search", "web"], ["create", "nope:1"]]) {
    assertStringIncludes(await it.refused(...args), "it downloads nothing. Bring images as archives");
  }
  assertStringIncludes(await it.refused("create", "nope:1"), "Unable to find image 'nope:1' locally");
  assertStringIncludes(await it.refused("create", "--pull", "never", "nope:1"), "No such image: nope:1");
  assertStringIncludes(await it.refused("push", "web:1"), "docker save");
  const { stdout, stderr } = await it.shell(
    "mkdir ctx; echo FROM web:1 > ctx/Dockerfile; DOCKER_BUILDKIT=0 docker build ctx 2>&1 || true",
  );
  assert((stdout + stderr).includes("it does not build"), stdout + stderr);
});
