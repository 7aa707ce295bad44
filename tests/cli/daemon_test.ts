/** The daemon and the command line as processes, on a real root. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { startLamina } from "../e2e/lamina_process.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { exists, lamina, spawnLamina, until, writeRootfsTar } from "./support/process.ts";

rootTest("the command line does through the daemon what its commands say", async () => {
  await using scratch = await scratchDirectory();
  await using daemon = await startLamina(scratch.path);
  const tar = await writeRootfsTar(scratch.path);
  const ran = async (...args: string[]) => {
    const { code, stdout, stderr } = await lamina(daemon, args);
    assertEquals(code, 0, `lamina ${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  assertMatch(await ran("image", "import", tar, "--ref", "web:1"), /^web:1 {2}[0-9a-f]{12} {2}1 layer: 1 unpacked/);
  assertMatch(await ran("image", "import", tar, "--ref", "web:1"), /already present, nothing to do$/);
  assertEquals(await ran("container", "create", "web:1", "--name", "shop", "-v", "data:/data"), "shop");
  const rootfs = await ran("container", "mount", "shop");
  assertEquals(await Deno.readTextFile(join(rootfs, "etc/motd")), "hello\n");
  await Deno.writeTextFile(join(rootfs, "etc/new"), "new\n");
  assertStringIncludes(await ran("container", "diff", "shop"), "A /etc/new");
  assertMatch(await ran("container", "commit", "shop", "web:2"), /^sha256:[0-9a-f]{64}$/);
  const tree = await ran("image", "tree");
  assertStringIncludes(tree, "shared by 2 images");
  const file = join(scratch.path, "web.tar");
  await ran("image", "export", "web:2", "-o", file);
  await ran("container", "rm", "-f", "shop");
  await ran("image", "rm", "web:1");
  await ran("image", "rm", "web:2");
  assertMatch(await ran("image", "import", file), /^web:2 .* 2 unpacked, 0 shared$/);
  assertStringIncludes(await ran("check"), "everything agrees");
  // What a program reads is what the API says.
  const response = await daemon.request("/v1/images");
  assertEquals(JSON.parse(await ran("image", "ls", "--json")), await response.json());
});

rootTest("without a daemon and a root, what only looks says so and makes none", async () => {
  await using scratch = await scratchDirectory();
  const place = { root: join(scratch.path, "root"), socket: join(scratch.path, "run/x.sock") };
  for (const args of ["image ls", "container ls", "volume ls", "volume inspect data", "df", "info"]) {
    const { code, stderr } = await lamina(place, args.split(" "));
    assertEquals(code, 5, args);
    assertStringIncludes(stderr, `there is no root at ${place.root}. Start a daemon`, args);
    assertEquals(await exists(place.root), false, args);
  }
  assertStringIncludes((await lamina(place, ["image", "ls", "--embedded"])).stderr, "There is no root at");
  const { code, stderr } = await lamina(place, ["volume", "create", "data"]);
  assertEquals([code, stderr], [0, ""]);
  const saved = await lamina(place, ["volume", "backup", "data", "-o", join(scratch.path, "nodir/x.tar")]);
  assertEquals(saved.code, 3);
  assertStringIncludes(saved.stderr, `there is no directory ${scratch.path}/nodir. Make it first`);
});

rootTest("without a daemon the command line opens the root itself, and leaves it well", async () => {
  await using scratch = await scratchDirectory();
  const place = { root: join(scratch.path, "root"), socket: join(scratch.path, "run/x.sock") };
  const tar = await writeRootfsTar(scratch.path);
  for (
    const args of [["image", "import", tar, "--ref", "a:1"], ["container", "create", "a:1", "--name", "c"], [
      "container",
      "mount",
      "c",
    ]]
  ) {
    const { code, stderr } = await lamina(place, args);
    assertEquals([code, stderr], [0, ""]);
  }
  // The mount outlives the process that made it, and the next one knows it.
  const listed = JSON.parse((await lamina(place, ["container", "ls", "--json"])).stdout);
  assertEquals([listed[0].name, listed[0].mounted], ["c", true]);
  assertEquals(await Deno.readTextFile(join(listed[0].rootfs, "etc/motd")), "hello\n");
  const fromPipe = await lamina(place, ["container", "rm", "-f", "c"]);
  assertEquals(fromPipe.code, 0, fromPipe.stderr);
  assertEquals((await lamina(place, ["check"])).code, 0);
  const debug = await lamina(place, ["volume", "ls", "--log-level", "debug"]);
  assertStringIncludes(debug.stderr, "no daemon");
});

rootTest("exit codes say what went wrong: usage 2, not found 3, conflict 4, unavailable 5", async () => {
  await using scratch = await scratchDirectory();
  await using daemon = await startLamina(scratch.path);
  const cases: ReadonlyArray<readonly [string[], number, string]> = [
    [["image", "improt"], 2, "did you mean lamina image import?"],
    [["volume", "create", "a/b"], 2, "name"],
    [["container", "create", "x:1", "-v", "data:ro"], 2, "is a mode"],
    [["image", "inspect", "absent:1"], 3, "absent:1"],
    [["image", "import", "/does/not/exist"], 3, "/does/not/exist"],
    [["container", "mount", "absent"], 3, "absent"],
    [["volume", "rm", "absent"], 3, "absent"],
    [["container", "create", "absent:1"], 3, "absent:1"],
    [["info", "--embedded"], 5, String(daemon.pid)],
  ];
  for (const [args, expected, message] of cases) {
    const { code, stdout, stderr } = await lamina(daemon, args);
    assertEquals([code, stdout], [expected, ""], `lamina ${args.join(" ")}: ${stderr}`);
    assertMatch(stderr, /^lamina: /);
    assertStringIncludes(stderr, message);
  }
  const json = await lamina(daemon, ["volume", "inspect", "absent", "--json"]);
  assertEquals([json.code, JSON.parse(json.stderr).code], [3, "NOT_FOUND"]);
});

rootTest("a socket that was named, without a root, must have a daemon", async () => {
  await using scratch = await scratchDirectory();
  const place = { root: "", socket: join(scratch.path, "none.sock") };
  const { code, stderr } = await lamina(place, ["info"]);
  assertEquals(code, 5);
  assertStringIncludes(stderr, "none.sock");
});

rootTest(
  "a second daemon is refused: on the same root it names the holder's pid, on the same socket the socket",
  async () => {
    await using scratch = await scratchDirectory();
    await using daemon = await startLamina(scratch.path);
    const other = { root: join(scratch.path, "other"), socket: join(scratch.path, "run/other.sock") };
    const sameRoot = await lamina(other, ["serve", "--root", daemon.root]);
    assertEquals(sameRoot.code, 5);
    assertStringIncludes(sameRoot.stderr, `process ${daemon.pid}`);
    assertEquals(await exists(other.socket), false);
    const sameSocket = await lamina(other, ["serve", "--socket", daemon.socket]);
    assertEquals(sameSocket.code, 4);
    assertStringIncludes(sameSocket.stderr, daemon.socket);
    assertEquals((await daemon.request("/healthz")).status, 200, "the first goes on");
  },
);

rootTest("serve refuses a socket path that is taken, too long or open to others, and touches nothing", async () => {
  await using scratch = await scratchDirectory();
  const root = join(scratch.path, "root");
  const file = join(scratch.path, "file");
  await Deno.writeTextFile(file, "precious");
  const open = join(scratch.path, "open");
  await Deno.mkdir(open);
  await Deno.chmod(open, 0o777);
  const cases: ReadonlyArray<readonly [string, number]> = [
    [file, 4],
    [`/tmp/${"x".repeat(120)}`, 2],
    [join(open, "x.sock"), 1],
    [join(file, "x.sock"), 4],
  ];
  for (const [socket, expected] of cases) {
    const { code, stderr } = await lamina({ root, socket }, ["serve"]);
    assertEquals(code, expected, stderr);
    assertStringIncludes(stderr, "socket");
  }
  assertEquals(await Deno.readTextFile(file), "precious");
  assertEquals(await exists(root), false, "the root is not opened for nothing");
});

rootTest("a socket that a killed daemon left does not keep the next one from starting", async () => {
  await using scratch = await scratchDirectory();
  const first = await startLamina(scratch.path);
  Deno.kill(first.pid, "SIGKILL");
  await first[Symbol.asyncDispose]();
  assertEquals(await exists(first.socket), true);
  // A command line meanwhile opens the root itself.
  assertEquals((await lamina(first, ["volume", "ls"])).code, 0);
  await using second = await startLamina(scratch.path);
  assertEquals((await second.request("/healthz")).status, 200);
});

/** Starts an import whose archive does not end, and waits until the daemon works on it. */
async function endlessImport(place: { root: string; socket: string }, tar: string, extra: string[] = []) {
  const child = spawnLamina(place, ["image", "import", "-", "--ref", "half:1", ...extra]);
  const writer = child.stdin.getWriter();
  const archive = await Deno.readFile(tar);
  await writer.write(archive.subarray(0, archive.length - 300_000));
  const staging = join(place.root, "staging");
  await until(async () => {
    for await (const _ of Deno.readDir(staging)) return true;
    for await (const _ of Deno.readDir(join(place.root, "drivers/overlay/l"))) return true;
    return false;
  }).catch(() => {});
  const output = child.output();
  return {
    child,
    async ended() {
      const { code, stderr } = await output;
      // The other end of the pipe has gone with the process.
      await writer.close().catch(() => {});
      return { code, stderr: new TextDecoder().decode(stderr) };
    },
  };
}

async function nothingIsLeft(place: { root: string; socket: string }): Promise<void> {
  await until(async () => (await lamina(place, ["check"])).code === 0);
  assertEquals(JSON.parse((await lamina(place, ["image", "ls", "--json"])).stdout), []);
  assertEquals([...Deno.readDirSync(join(place.root, "staging"))], []);
  const info = JSON.parse((await lamina(place, ["info", "--json"])).stdout);
  assertEquals(info.layers, 0);
}

rootTest("a client that is killed in the middle of an import leaves nothing behind", async () => {
  await using scratch = await scratchDirectory();
  await using daemon = await startLamina(scratch.path);
  const tar = await writeRootfsTar(scratch.path, 2_000_000);
  const running = await endlessImport(daemon, tar);
  running.child.kill("SIGKILL");
  await running.ended();
  await nothingIsLeft(daemon);
});

rootTest("an interrupted import is rolled back and ends with 130", async () => {
  await using scratch = await scratchDirectory();
  await using daemon = await startLamina(scratch.path);
  const tar = await writeRootfsTar(scratch.path, 2_000_000);
  const running = await endlessImport(daemon, tar);
  running.child.kill("SIGINT");
  assertEquals((await running.ended()).code, 130);
  await nothingIsLeft(daemon);
});

rootTest("an interrupted import without a daemon is rolled back and ends with 130", async () => {
  await using scratch = await scratchDirectory();
  const place = { root: join(scratch.path, "root"), socket: join(scratch.path, "run/x.sock") };
  assertEquals((await lamina(place, ["gc"])).code, 0);
  const tar = await writeRootfsTar(scratch.path, 2_000_000);
  const running = await endlessImport(place, tar, ["--embedded"]);
  running.child.kill("SIGINT");
  assertEquals((await running.ended()).code, 130);
  await nothingIsLeft(place);
});

rootTest("a daemon that is stopped in the middle of an import rolls it back and ends with 0", async () => {
  await using scratch = await scratchDirectory();
  const tar = await writeRootfsTar(scratch.path, 2_000_000);
  {
    await using daemon = await startLamina(scratch.path, { serveArgs: ["--stop-timeout", "0.2"] });
    const running = await endlessImport(daemon, tar);
    assertEquals((await daemon.stop()).code, 0);
    const { code, stderr } = await running.ended();
    assertEquals(code, 5, stderr);
    assertEquals(await exists(daemon.socket), false);
  }
  await using daemon = await startLamina(scratch.path);
  await nothingIsLeft(daemon);
});

rootTest("a daemon ends at once at the second signal", async () => {
  await using scratch = await scratchDirectory();
  const tar = await writeRootfsTar(scratch.path, 2_000_000);
  await using daemon = await startLamina(scratch.path, { serveArgs: ["--stop-timeout", "3000"] });
  const running = await endlessImport(daemon, tar);
  Deno.kill(daemon.pid, "SIGTERM");
  await until(async () => (await Deno.readTextFile(join(scratch.path, "daemon.log"))).includes("stopping"));
  assertEquals((await daemon.stop()).code, 143);
  assertEquals((await running.ended()).code, 5);
});

rootTest("a reader that has enough ends the command without a word", async () => {
  await using scratch = await scratchDirectory();
  await using daemon = await startLamina(scratch.path);
  const tar = await writeRootfsTar(scratch.path, 5_000_000);
  assertEquals((await lamina(daemon, ["image", "import", tar, "--ref", "a:1"])).code, 0);
  const child = spawnLamina(daemon, ["image", "export", "a:1"]);
  const reader = child.stdout.getReader();
  assert((await reader.read()).value!.length > 0);
  await reader.cancel();
  child.stdin.close();
  const stderr = await new Response(child.stderr).text();
  assertEquals([(await child.status).code, stderr], [0, ""]);
});

rootTest("serve takes its places from a configuration file, and the command line wins", async () => {
  await using scratch = await scratchDirectory();
  const config = join(scratch.path, "lamina.json");
  await Deno.writeTextFile(config, JSON.stringify({ storage_driver: "vfs", stop_timeout_ms: 100 }));
  await using daemon = await startLamina(scratch.path, { serveArgs: ["--config", config] });
  assertEquals((await (await daemon.request("/v1/info")).json()).storage_driver, "vfs");
  await Deno.writeTextFile(config, JSON.stringify({ socked: "/x" }));
  const wrong = await lamina(daemon, ["serve", "--config", config]);
  assertEquals(wrong.code, 2);
  assertStringIncludes(wrong.stderr, "socked");
});
