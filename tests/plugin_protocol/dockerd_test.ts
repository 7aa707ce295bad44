import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { commandOutput, type CommandResult, runCommand } from "../../runtime/host/command.ts";
import { startLamina } from "../e2e/lamina_process.ts";
import { startDockerd } from "../support/dockerd.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";

/**
 * Where dockerd reads addresses of plugins; there is no option to tell it another place. Whoever looks there meanwhile
 * sees the volumes of this test, so they have names that no other test has.
 */
const SPECS = "/etc/docker/plugins";

rootTest("a real dockerd keeps volumes with Lamina: it makes, lists, mounts and removes them", async () => {
  await using parts = new AsyncDisposableStack();
  const { path: directory } = parts.use(await scratchDirectory());
  await Deno.mkdir(join(directory, "plugin"), { mode: 0o700 });
  const socket = join(directory, "plugin/p.sock");
  const lamina = parts.use(await startLamina(directory, { serveArgs: ["--plugin-socket", socket] }));
  const driver = `lamina-test-${Deno.pid}`;
  await Deno.mkdir(SPECS, { recursive: true });
  parts.defer(() => Deno.remove(`${SPECS}/${driver}.spec`));
  await Deno.writeTextFile(`${SPECS}/${driver}.spec`, `unix://${socket}`);
  const dockerd = parts.use(await startDockerd(join(directory, "dockerd")));
  const run = (...args: string[]): Promise<CommandResult> =>
    runCommand("docker", ["-H", `unix://${dockerd.socket}`, ...args], {
      env: { DOCKER_CONFIG: directory },
      timeout_ms: 120_000,
    });
  const docker = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(...args);
    assertEquals(code, 0, `docker ${args.join(" ")}: ${stderr}`);
    return stdout.trim();
  };
  await Deno.mkdir(join(directory, "image/bin"), { recursive: true });
  await Deno.copyFile("/bin/busybox", join(directory, "image/bin/busybox"));
  await commandOutput("tar", ["-C", join(directory, "image"), "-cf", join(directory, "image.tar"), "."]);
  await docker("import", join(directory, "image.tar"), "busybox");
  const busybox = (mount: string, ...args: string[]) =>
    docker("run", "--rm", "--network", "none", "-v", mount, "busybox", "/bin/busybox", ...args);

  await docker("volume", "create", "-d", driver, "dockerd-data");
  assertEquals(await docker("volume", "ls", "-q", "-f", `driver=${driver}`), "dockerd-data");
  await busybox("dockerd-data:/data", "sh", "-c", "echo kept > /data/file");
  // What one container wrote the next one reads, and Lamina shows the same file.
  assertEquals(await busybox("dockerd-data:/data:ro", "cat", "/data/file"), "kept");
  const [{ mountpoint, used_by }] = JSON.parse(`[${await laminaJson(lamina.socket, "/v1/volumes/dockerd-data")}]`);
  assertEquals([await Deno.readTextFile(join(mountpoint, "file")), used_by], ["kept\n", []]);

  // While a container runs it is in use, for dockerd and for Lamina.
  const id = await docker(
    ...["run", "-d", "--network", "none", "-v", "dockerd-data:/data", "busybox", "/bin/busybox", "sleep", "600"],
  );
  assertStringIncludes((await run("volume", "rm", "dockerd-data")).stderr, "in use");
  assertEquals(JSON.parse(await laminaJson(lamina.socket, "/v1/volumes/dockerd-data")).used_by.length, 1);
  await docker("rm", "-f", id);
  assertEquals(JSON.parse(await laminaJson(lamina.socket, "/v1/volumes/dockerd-data")).used_by, []);

  // Options are Lamina's: a tmpfs that is mounted for as long as a container has it.
  await docker(...[
    "volume",
    "create",
    "-d",
    driver,
    "-o",
    "type=tmpfs",
    "-o",
    "device=tmpfs",
    "-o",
    "o=size=4m",
    "dockerd-quick",
  ]);
  assertStringIncludes(await busybox("dockerd-quick:/q", "df", "/q"), "4096");
  const { code, stderr } = await run("volume", "create", "-d", driver, "-o", "sise=1", "bad");
  assert(code !== 0 && stderr.includes("sise"), stderr);

  await docker("volume", "rm", "dockerd-data", "dockerd-quick");
  assertEquals(await docker("volume", "ls", "-q"), "");
  assertEquals(JSON.parse(await laminaJson(lamina.socket, "/v1/volumes")), []);
});

async function laminaJson(socket: string, path: string): Promise<string> {
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  const response = await fetch(`http://lamina${path}`, { client });
  assertEquals(response.status, 200);
  return await response.text();
}
