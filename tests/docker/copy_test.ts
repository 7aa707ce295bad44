import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { rootTest } from "../support/scratch.ts";
import { type DockerClient, importSmallImage, startDocker, writeFiles } from "./support/docker_client.ts";

async function container(it: DockerClient, ...flags: string[]): Promise<void> {
  await importSmallImage(it, "web:1");
  await it.docker("create", "--name", "c", ...flags, "web:1", "true");
}

/** The entries of a tar that `docker cp SOURCE -` writes. */
async function entries(it: DockerClient, source: string): Promise<string[]> {
  return (await it.shell(`docker cp ${source} - | tar -tP`)).stdout.trim().split("\n");
}

rootTest("docker cp brings files and directories into a container, as cp does", async () => {
  await using it = await startDocker();
  await container(it);
  await writeFiles(it.directory, { "new": "new\n", "dir/x/y": "y\n", "kinds/sub": "a file\n" });
  await it.shell("chown 12:34 new && chmod 4750 new");
  const read = async (path: string) => (await it.shell(`docker cp -L c:${path} - | tar -xO`)).stdout;
  await it.docker("cp", "new", "c:/etc/");
  await it.docker("cp", "new", "c:/etc/renamed");
  await it.docker("cp", "dir", "c:/");
  await it.docker("cp", "dir", "c:/dir2");
  await it.docker("cp", "dir/.", "c:/etc");
  for (const path of ["/etc/new", "/etc/renamed"]) assertEquals(await read(path), "new\n");
  for (const path of ["/dir/x/y", "/dir2/x/y", "/etc/x/y"]) assertEquals(await read(path), "y\n");
  // Links are followed inside the container, one after the other, to what need not be there yet.
  await it.docker("cp", "new", "c:/chain/through");
  await it.docker("cp", "new", "c:/link");
  await it.docker("cp", "new", "c:/dangling");
  for (const path of ["/data/through", "/etc/motd", "/made-by-cp"]) assertEquals(await read(path), "new\n");
  const { stdout } = await it.shell("docker cp c:/etc/new - | tar -tv --numeric-owner");
  assertStringIncludes(stdout, "-rwsr-x--- 12/34");
  assertStringIncludes(await it.refused("cp", "dir", "c:/etc/motd"), "cannot copy directory");
  // Old clients have words of their own for it.
  assertMatch(await it.refused("cp", "new", "c:/no/such/place"), /(Could not find the file|No such).*\/no\/such/);
  // A directory is not replaced by a file, nor a file by a directory.
  assertStringIncludes(
    await it.refused("cp", "kinds/.", "c:/data"),
    'Cannot overwrite directory "/data/sub" with non-directory',
  );
  assertMatch(await it.refused("cp", "new", "nope:/x"), /No such container.*nope/);
});

rootTest("docker cp takes files and directories out of a container, as cp does", async () => {
  await using it = await startDocker();
  await container(it);
  const kind = async (path: string) => {
    const info = await Deno.lstat(join(it.directory, path));
    return info.isSymlink ? "link" : info.isDirectory ? "directory" : "file";
  };
  const list = async (path: string) =>
    (await Array.fromAsync(Deno.readDir(join(it.directory, path)))).map((e) => e.name).sort();
  await it.docker("cp", "c:/data", "out");
  assertEquals(await list("out"), ["f", "sub"]);
  await it.docker("cp", "c:/data", "out");
  assertEquals(await list("out/data"), ["f", "sub"]);
  await it.docker("cp", "c:/data/.", "contents");
  assertEquals(await list("contents"), ["f", "sub"]);
  await it.docker("cp", "c:/etc/motd", "renamed");
  assertEquals(await Deno.readTextFile(join(it.directory, "renamed")), "hello\n");
  await it.docker("cp", "c:/link", "link");
  await it.docker("cp", "-L", "c:/link", "followed");
  await it.docker("cp", "c:/chain", "chain");
  await it.docker("cp", "-L", "c:/chain", "followed-chain");
  await it.docker("cp", "c:/chain/", "by-slash");
  assertEquals(await Promise.all(["link", "followed", "chain", "followed-chain", "by-slash"].map(kind)), [
    "link",
    "file",
    "link",
    "directory",
    "directory",
  ]);
  assertEquals(await list("followed-chain"), ["f", "sub"]);
  await it.docker("cp", "c:/", "whole");
  await Deno.mkdir(join(it.directory, "into"));
  await it.docker("cp", "c:/", "into");
  assertEquals(await list("whole"), await list("into"));
  assert((await list("whole")).includes("dangling"));
  assertMatch(await it.refused("cp", "c:/nope", "x"), /(Could not find the file|No such).*\/nope/);
});

rootTest("docker cp writes a tar to standard output and reads one from standard input", async () => {
  await using it = await startDocker();
  await container(it);
  assertEquals(await entries(it, "c:/data"), ["data/", "data/f", "data/sub/"]);
  assertEquals(await entries(it, "c:/data/."), ["./", "./f", "./sub/"]);
  assertEquals(await entries(it, "c:/etc/motd"), ["motd"]);
  assertEquals((await entries(it, "c:/")).slice(0, 3), ["/", "/bin/", "/chain"]);
  await writeFiles(it.directory, { "tree/a/b": "deep\n" });
  assertEquals((await it.shell("tar -C tree -c a | docker cp - c:/data")).code, 0);
  assertEquals((await it.shell("tar -C tree -cz a | docker cp - c:/bin")).code, 0);
  assertEquals((await it.docker("diff", "c")).split("\n").filter((line) => line.endsWith("/b")), [
    "A /bin/a/b",
    "A /data/a/b",
  ]);
  const junk = await it.shell("echo no tar | docker cp - c:/data 2>&1 || true");
  assertStringIncludes(junk.stdout, "tar");
  const hostile = await it.shell("tar -C tree -cP --transform 's,^a,../../up,' a | docker cp - c:/data 2>&1 || true");
  assertEquals(await entries(it, "c:/made-by-cp").catch(() => "absent"), [""], hostile.stdout);
});

rootTest("docker cp reaches the volumes of a container that is not mounted, and a mounted one as it is", async () => {
  await using it = await startDocker();
  await container(it, "-v", "vol:/v", "-v", "locked:/l:ro");
  await writeFiles(it.directory, { new: "new\n" });
  await it.docker("cp", "new", "c:/v/");
  assertEquals(await Deno.readTextFile(join(it.daemon.root, "volumes/vol/_data/new")), "new\n");
  assertEquals(await entries(it, "c:/v"), ["v/", "v/new"]);
  assert((await it.refused("cp", "new", "c:/l/")).length > 0);
  const rootfs = (await it.daemon.lamina("container", "mount", "c")).trim();
  await it.docker("cp", "new", "c:/etc/while-mounted");
  assertEquals(await Deno.readTextFile(join(rootfs, "etc/while-mounted")), "new\n");
  await it.daemon.lamina("container", "unmount", "c");
  assertEquals(JSON.parse(await it.daemon.lamina("check", "--json")).findings, []);
});

rootTest("docker cp moves megabytes both ways unchanged", async () => {
  await using it = await startDocker();
  await container(it);
  const { code, stderr } = await it.shell(`
    head -c 30000000 /dev/urandom > big; truncate -s 40M sparse
    docker cp big c:/data/ && docker cp sparse c:/data/
    docker cp c:/data/big back && docker cp c:/data/sparse sparse2
    cmp big back && cmp sparse sparse2`);
  assertEquals([code, stderr], [0, ""]);
});

rootTest("docker cp refuses a read-only root and changes nothing", async () => {
  await using it = await startDocker();
  await container(it, "--read-only");
  await writeFiles(it.directory, { new: "new\n" });
  assertStringIncludes(await it.refused("cp", "new", "c:/etc/"), "read-only");
  assertEquals(await it.docker("diff", "c"), "");
});
