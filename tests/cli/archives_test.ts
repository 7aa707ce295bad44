/** Archives and copies between a container and the host, through processes on a real root. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { runCommand } from "../../runtime/host/command.ts";
import { type LaminaProcess, startLamina } from "../e2e/lamina_process.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { exists, lamina, writeRootfsTar } from "./support/process.ts";

interface Shop extends AsyncDisposable {
  readonly directory: string;
  readonly rootfs: string;
  readonly daemon: LaminaProcess;
  run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  done(...args: string[]): Promise<string>;
}

/** A daemon with the image `web:1` and the mounted container `shop`. */
async function shop(): Promise<Shop> {
  const stack = new AsyncDisposableStack();
  const scratch = stack.use(await scratchDirectory());
  const daemon = stack.use(await startLamina(scratch.path));
  const run: Shop["run"] = (...args) => lamina(daemon, args, { cwd: scratch.path });
  const done: Shop["done"] = async (...args) => {
    const { code, stdout, stderr } = await run(...args);
    assertEquals(code, 0, `lamina ${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  await done("image", "import", await writeRootfsTar(scratch.path, 200_000), "--ref", "web:1");
  await done("container", "create", "web:1", "--name", "shop");
  const rootfs = await done("container", "mount", "shop");
  return { directory: scratch.path, rootfs, daemon, run, done, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

rootTest("image export writes the whole archive, and only then under its name", async () => {
  await using it = await shop();
  const file = join(it.directory, "out.tar");
  const { stderr } = await it.run("image", "export", "web:1", "--output", file);
  assertMatch(stderr, /^wrote .*out\.tar \(2\d\d KiB\)\n$/);
  const listed = await runCommand("tar", ["-tf", file]);
  assertEquals([listed.code, listed.stdout.includes("index.json")], [0, true], listed.stderr);
  for (const format of ["docker", "oci"]) {
    await it.done("image", "export", "web:1", "--format", format, "--compression", "gzip", "-o", file, "-q");
    assertMatch(await it.done("image", "import", file, "--ref", "web:1"), /already present/);
  }
  assertEquals((await it.run("image", "export", "web:1", "-o", it.directory)).code, 4);
  assertEquals((await it.run("image", "export", "web:1", "-o", "/does/not/exist/x.tar")).code, 3);
  assertEquals((await it.run("image", "export", "absent:1", "-o", join(it.directory, "no.tar"))).code, 3);
  assertEquals((await it.run("image", "export", "web:1", "-o", "/dev/null")).code, 0);
  const left = [...Deno.readDirSync(it.directory)].map(({ name }) => name).filter((name) => /out|no\.tar/.test(name));
  assertEquals(left, ["out.tar"]);
});

rootTest("image export makes an OCI layout directory that can be imported again", async () => {
  await using it = await shop();
  await it.done("image", "export", "web:1", "--format", "oci-dir", "-o", "layout");
  assertEquals([...Deno.readDirSync(join(it.directory, "layout"))].map(({ name }) => name).sort(), [
    "blobs",
    "index.json",
    "oci-layout",
  ]);
  assertMatch(await it.done("image", "import", "layout"), /^web:1 .*already present/);
  const again = await it.run("image", "export", "web:1", "--format", "oci-dir", "-o", "layout");
  assertEquals(again.code, 4);
  assertEquals((await it.run("image", "export", "web:1", "--format", "oci-dir")).code, 2);
});

rootTest("container export is a tar of the root", async () => {
  await using it = await shop();
  await it.done("container", "export", "shop", "-o", "root.tar");
  const { stdout } = await runCommand("tar", ["-xOf", join(it.directory, "root.tar"), "etc/motd"]);
  assertEquals(stdout, "hello\n");
});

rootTest("cp copies files and directories both ways as docker cp does", async () => {
  await using it = await shop();
  const local = (name: string) => join(it.directory, name);
  await it.done("container", "cp", "shop:/etc/motd", "motd-copy");
  assertEquals(await Deno.readTextFile(local("motd-copy")), "hello\n");
  await it.done("container", "cp", "shop:/etc", "etc-copy");
  assertEquals(await Deno.readTextFile(local("etc-copy/motd")), "hello\n");
  await it.done("container", "cp", "shop:/etc", "etc-copy");
  assertEquals(await Deno.readTextFile(local("etc-copy/etc/motd")), "hello\n");
  await it.done("container", "cp", "shop:/srv/link", "link-copy");
  assertEquals(await Deno.readLink(local("link-copy")), "/etc");

  await Deno.mkdir(local("site/sub"), { recursive: true });
  await Deno.writeTextFile(local("site/sub/page"), "page\n", { mode: 0o640 });
  await it.done("container", "cp", "site", "shop:/srv");
  assertEquals(await Deno.readTextFile(join(it.rootfs, "srv/site/sub/page")), "page\n");
  assertEquals((await Deno.stat(join(it.rootfs, "srv/site/sub/page"))).mode! & 0o777, 0o640);
  await it.done("container", "cp", "site/.", "shop:/srv/new");
  assertEquals(await exists(join(it.rootfs, "srv/new/sub/page")), true);
  await it.done("container", "cp", "site/sub/page", "shop:/etc/motd");
  assertEquals(await Deno.readTextFile(join(it.rootfs, "etc/motd")), "page\n");

  const cases: ReadonlyArray<readonly [string[], number]> = [
    [["shop:/absent", "x"], 3],
    [["absent:/etc", "x"], 3],
    [["absent-file", "shop:/etc"], 3],
    [["site", "shop:/etc/motd"], 4],
    [["site/sub/page", "shop:/no/such/directory"], 3],
    [["shop:/etc", "motd-copy"], 4],
    [["shop:/etc", "shop:/x"], 2],
    [["a", "b"], 2],
  ];
  for (const [[from, to], expected] of cases) {
    const { code, stderr } = await it.run("container", "cp", from!, to!);
    assertEquals(code, expected, `${from} -> ${to}: ${stderr}`);
  }
});

rootTest("cp gives and takes a tar on a pipe", async () => {
  await using it = await shop();
  const { LAMINA_SOCKET: _, ...rest } = Deno.env.toObject();
  const shell = async (script: string) => {
    const result = await runCommand("bash", ["-o", "pipefail", "-c", script], {
      cwd: it.directory,
      env: { ...rest, LAMINA_SOCKET: it.daemon.socket, LAMINA_ROOT: it.daemon.root },
    });
    assertEquals(result.code, 0, result.stderr);
    return result.stdout;
  };
  const cli = (await import("../e2e/lamina_process.ts")).laminaCommand().join(" ");
  assertStringIncludes(await shell(`${cli} container cp shop:/etc - | tar -t`), "etc/motd");
  await Deno.mkdir(join(it.directory, "in"));
  await Deno.writeTextFile(join(it.directory, "in/file"), "piped\n");
  await shell(`tar -C in -c file | ${cli} container cp - shop:/srv`);
  assertEquals(await Deno.readTextFile(join(it.rootfs, "srv/file")), "piped\n");
});

rootTest(
  "cp never follows a link out: neither one of the container onto the host, nor one in the destination",
  async () => {
    await using it = await shop();
    const outside = join(it.directory, "outside");
    await Deno.mkdir(outside);
    // In the container, a link with the host's name of a directory leads to that name inside.
    await Deno.symlink(outside, join(it.rootfs, "srv/evil"));
    await Deno.writeTextFile(join(it.directory, "payload"), "x");
    const inside = await it.run("container", "cp", "payload", "shop:/srv/evil/");
    assertEquals(inside.code, 3, inside.stderr);
    assertEquals([...Deno.readDirSync(outside)], []);
    // On the host, a directory of the archive meets a link of the same name.
    await Deno.mkdir(join(it.rootfs, "srv/tree/sub"), { recursive: true });
    await Deno.writeTextFile(join(it.rootfs, "srv/tree/sub/file"), "x");
    await Deno.mkdir(join(it.directory, "target/tree"), { recursive: true });
    await Deno.symlink(outside, join(it.directory, "target/tree/sub"));
    await it.run("container", "cp", "shop:/srv/tree", "target");
    assertEquals([...Deno.readDirSync(outside)], [], "nothing was written through the link");
  },
);
