/** The real docker command line, pointed at a Lamina daemon of its own. */
import { join } from "@std/path/posix";
import { assertEquals } from "@std/assert";
import { type CommandResult, runCommand } from "../../../runtime/host/command.ts";
import { type LaminaProcess, startLamina } from "../../e2e/lamina_process.ts";
import { scratchDirectory } from "../../support/scratch.ts";

/** A daemon with a socket for Docker's clients, and their command line. */
export interface DockerClient extends AsyncDisposable {
  readonly daemon: LaminaProcess;
  /** Of the dialect. */
  readonly socket: string;
  /** A directory for files of the test; where the commands run. */
  readonly directory: string;
  /** Runs `docker ARGS`, which must succeed. @returns its output without the last line's end */
  docker(...args: string[]): Promise<string>;
  /** Runs `docker ARGS`, which must fail. @returns what it said on standard error */
  refused(...args: string[]): Promise<string>;
  /** Runs a shell script in which `docker` means the same. */
  shell(script: string): Promise<CommandResult>;
}

/** Starts both. */
export async function startDocker(env: Readonly<Record<string, string>> = {}): Promise<DockerClient> {
  await using parts = new AsyncDisposableStack();
  const scratch = parts.use(await scratchDirectory());
  const socket = join(scratch.path, "run/d.sock");
  const daemon = parts.use(await startLamina(scratch.path, { serveArgs: ["--docker-socket", socket], env }));
  const directory = join(scratch.path, "files");
  await Deno.mkdir(join(directory, "config"), { recursive: true });
  const clientEnv = {
    DOCKER_HOST: `unix://${socket}`,
    DOCKER_CONFIG: join(directory, "config"),
    TZ: "UTC",
    LC_ALL: "C",
  };
  const run = (program: string, args: readonly string[]) =>
    runCommand(program, args, { cwd: directory, env: clientEnv, timeout_ms: 120_000 });
  const held = parts.move();
  return {
    daemon,
    socket,
    directory,
    async docker(...args) {
      const { code, stdout, stderr } = await run("docker", args);
      assertEquals({ code, stderr: code === 0 ? "" : stderr }, { code: 0, stderr: "" }, `docker ${args.join(" ")}`);
      return stdout.replace(/\n$/, "");
    },
    async refused(...args) {
      const { code, stdout, stderr } = await run("docker", args);
      assertEquals(code === 0 ? stdout : "", "", `docker ${args.join(" ")} succeeded`);
      if (code === 0) throw new Error(`docker ${args.join(" ")} succeeded`);
      return stderr.trim();
    },
    shell: (script) => run("sh", ["-euc", script]),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Text of each file below a directory; a path that ends in `/` is a directory, a text `-> target` a link. */
export async function writeFiles(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name);
    await Deno.mkdir(name.endsWith("/") ? path : join(path, ".."), { recursive: true });
    if (name.endsWith("/")) continue;
    if (text.startsWith("-> ")) await Deno.symlink(text.slice(3), path);
    else await Deno.writeTextFile(path, text);
  }
}

/** A small image by `docker import`: its id. */
export async function importSmallImage(client: DockerClient, reference: string, ...flags: string[]): Promise<string> {
  const tree = join(client.directory, "small");
  await writeFiles(tree, {
    "etc/motd": "hello\n",
    "data/f": "from the image\n",
    "data/sub/": "",
    "bin/": "",
    "link": "-> /etc/motd",
    "dlink": "-> data",
    "chain": "-> dlink",
    "dangling": "-> /made-by-cp",
  });
  await client.shell("tar --numeric-owner --owner=0 --group=0 -C small -cf small.tar . && rm -rf small");
  return await client.docker("import", ...flags, "small.tar", reference);
}
