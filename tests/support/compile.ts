/**
 * `deno task compile`: the binary, `dist/lamina`, for this architecture or another one. Made again only when a source
 * changed. `deno compile` needs Deno's runtime for the target, which it fetches from Deno's own host; where that cannot
 * be reached, the npm registry has a program made by the same version of Deno, whose runtime serves as well.
 */
import { join } from "@std/path/posix";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { project, readSources, shippedPlaces } from "../architecture/sources.ts";
import { bundle } from "./bundle.ts";
import { bold, duration, say } from "./say.ts";
import { isThere } from "../../runtime/host/is_there.ts";

/** Architectures for which binaries are made. */
export type Architecture = "x86_64" | "aarch64";

interface Target {
  readonly output: string;
  readonly triple: string;
  /** Fallback for the runtime, for Deno 2.7.11 only. */
  readonly runtime: { readonly name: string; readonly integrity: string };
}

const runtimeVersion = "2.7.11";
const targets: Readonly<Record<Architecture, Target>> = {
  x86_64: {
    output: "dist/lamina",
    triple: "x86_64-unknown-linux-gnu",
    runtime: {
      name: "@stdy/cli-linux-x64@0.22.2",
      integrity: "sha512-kp5QdG26EC8gEzVXI0YgzmiiFHz7DFCNRLNfAWa2rDPHr/jUBnfkP8AlbTPmv0YNQpnKn1wzSWHFw88fn/OTog==",
    },
  },
  aarch64: {
    output: "dist/lamina-arm64",
    triple: "aarch64-unknown-linux-gnu",
    runtime: {
      name: "@stdy/cli-linux-arm64@0.22.2",
      integrity: "sha512-HjSQdAt40CpYIauUKJ1xyIEsdrf5LtQP1x8Su7BEZJN94807ROJXxabW+jXyc48823tVBkrnxNUUTrBK4TVTRw==",
    },
  },
};

/** What {@linkcode compile} made or found. */
export interface CompiledBinary {
  /** Absolute path. */
  readonly path: string;
  /** Nothing had changed. */
  readonly cached: boolean;
}

/**
 * Makes the binary of `architecture` unless it is up to date. Safe to call from several processes at once.
 *
 * @throws `INTERNAL` with the words of deno or npm.
 */
export async function compile(architecture: Architecture): Promise<CompiledBinary> {
  const target = targets[architecture];
  const cache = join(project, ".cache/compile");
  await Deno.mkdir(cache, { recursive: true });
  await Deno.mkdir(join(project, "dist"), { recursive: true });
  using lock = await Deno.open(join(cache, `${architecture}.lock`), { create: true, write: true });
  await lock.lock(true);
  const path = join(project, target.output);
  const stamp = join(cache, `${architecture}.sha256`);
  const wanted = await fingerprint(target);
  if (await textOf(stamp) === wanted && await isThere(path)) return { path, cached: true };
  await denoCompile(target, path, cache);
  await Deno.writeTextFile(stamp, wanted);
  return { path, cached: false };
}

async function denoCompile(target: Target, output: string, cache: string): Promise<void> {
  const bundled = join(cache, `bundle-${target.triple}`);
  await commandOutput("rm", ["-rf", "--", bundled]);
  const { main, workers } = await bundle(bundled);
  const temporary = `${output}.new`;
  // No code cache: it would lie under a name that anyone can know in a directory that anyone can write to.
  const args = ["compile", "--quiet", "-A", "--no-check", "--no-config", "--no-lock", "--no-code-cache"];
  args.push("--target", target.triple);
  // A small young heap: edge devices would rather have the memory (see drivers/storage/layer/pool_worker.ts).
  args.push("--v8-flags=--max-semi-space-size=2");
  args.push(...workers.flatMap((worker) => ["--include", worker]), "--output", temporary, main);
  const options = { cwd: bundled, timeout_ms: 600_000 };
  const fallback = join(cache, `denort-${target.triple}`);
  const given = Deno.env.get("DENORT_BIN");
  if (given === undefined && !await isThere(fallback)) {
    const result = await runCommand(Deno.execPath(), args, options);
    if (result.code === 0) return await Deno.rename(temporary, output);
    if (!result.stderr.includes("denort")) throw new Error(`deno compile failed: ${result.stderr}`);
    await fetchRuntime(target, fallback);
  }
  await commandOutput(Deno.execPath(), args, { ...options, env: { DENORT_BIN: given ?? fallback } });
  await Deno.rename(temporary, output);
}

async function fetchRuntime({ runtime }: Target, path: string): Promise<void> {
  if (Deno.version.deno !== runtimeVersion) {
    throw new Error(`Deno's host cannot be reached, and the npm registry has the runtime of ${runtimeVersion} only`);
  }
  say(`Deno's own host cannot be reached: taking its runtime from the npm package ${runtime.name}`);
  const directory = await Deno.makeTempDir({ dir: join(path, "..") });
  try {
    const packed = await commandOutput("npm", ["pack", "--silent", "--json", runtime.name], {
      cwd: directory,
      timeout_ms: 600_000,
    });
    const [{ filename, integrity }] = JSON.parse(packed);
    if (integrity !== runtime.integrity) throw new Error(`${runtime.name} is not what it was: ${integrity}`);
    await commandOutput("tar", ["-xzf", filename, "package/bin/steady"], { cwd: directory });
    await Deno.chmod(join(directory, "package/bin/steady"), 0o755);
    await Deno.rename(join(directory, "package/bin/steady"), path);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function fingerprint(target: Target): Promise<string> {
  const parts = [
    Deno.version.deno,
    await Deno.readTextFile(import.meta.filename!),
    await Deno.readTextFile(join(project, "tests/support/bundle.ts")),
    JSON.stringify(target),
    Deno.env.get("DENORT_BIN") ?? "",
  ];
  for (const { path, text } of readSources(shippedPlaces)) parts.push(path, text);
  for (const name of ["deno.json", "deno.lock", "runtime/import_map.json"]) {
    parts.push(await Deno.readTextFile(join(project, name)));
  }
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(parts.join("\0")));
  return new Uint8Array(hash).toHex();
}

async function textOf(path: string): Promise<string | undefined> {
  return await isThere(path) ? await Deno.readTextFile(path) : undefined;
}

if (import.meta.main) {
  const architecture = Deno.args[0] === "aarch64" ? "aarch64" : "x86_64";
  const begun = performance.now();
  const { path, cached } = await compile(architecture);
  const { size } = await Deno.stat(path);
  const how = cached ? "is up to date" : `made in ${duration(performance.now() - begun)}`;
  say(`${bold(path.slice(project.length + 1))} ${how}, ${(size / 2 ** 20).toFixed(0)} MiB`);
}
