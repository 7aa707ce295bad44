/**
 * `deno task bench:peers [--install]`: the same work by Lamina, containerd, Docker and podman, each on a private
 * directory of one journaled disk, in one run. What is not installed is left out; `--install` installs it from Debian.
 */
import { parseArgs } from "@std/cli/parse-args";
import { join } from "@std/path/posix";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { startLamina } from "../../tests/e2e/lamina_process.ts";
import { compile } from "../../tests/support/compile.ts";
import { againInside, canUnshare, isInside } from "../../tests/support/mount_namespace.ts";
import { ensurePackages } from "../../tests/support/packages.ts";
import { bold, red, say } from "../../tests/support/say.ts";
import { benchDisk } from "../support/bench_disk.ts";
import { debianImage } from "../support/debian_image.ts";
import { writeDeepImage } from "../support/deep_image.ts";
import {
  type Figures,
  measureContainerd,
  measureDocker,
  measureLamina,
  measurePodman,
  type Sources,
} from "./measures.ts";
import { isInstalled, startContainerd, startDockerd } from "./peer_processes.ts";

const { install } = parseArgs(Deno.args, { boolean: ["install"] });

async function main(): Promise<number> {
  if (Deno.uid() !== 0) {
    say(red("The benchmarks mount file systems: please run them as root."));
    return 1;
  }
  if (!isInside) {
    if (install) await ensurePackages("peers");
    if (await canUnshare()) return await againInside(Deno.args);
  }
  const image = await debianImage();
  const binary = (await compile(Deno.build.arch)).path;
  await using disk = await benchDisk();
  const sources = await prepareSources(disk.path, image.layout("gzip"));
  const rows: Array<[string, Figures]> = [];
  {
    await using lamina = await startLamina(await directory(disk.path, "l"), { binary });
    rows.push(["Lamina", await measureLamina(lamina, sources)]);
  }
  if (await isInstalled("containerd")) {
    await using containerd = await startContainerd(await directory(disk.path, "c"));
    rows.push(["containerd", await measureContainerd(containerd, sources)]);
  }
  if (await isInstalled("dockerd")) {
    await using dockerd = await startDockerd(await directory(disk.path, "d"));
    rows.push(["dockerd", await measureDocker(dockerd, sources)]);
  }
  if (await isInstalled("podman")) rows.push(["podman", await measurePodman(join(disk.path, "p"), sources)]);
  table(rows);
  return 0;
}

/** The images in the forms that each of them takes. */
async function prepareSources(disk: string, layout: string): Promise<Sources> {
  const deep = join(disk, "deep");
  await writeDeepImage(deep, "deep:6", 6);
  const archives: Record<string, string> = {};
  for (const [name, from] of [["debian", layout], ["deep", deep]] as const) {
    archives[`${name}.oci`] = join(disk, `${name}.oci.tar`);
    await commandOutput("tar", ["-cf", archives[`${name}.oci`]!, "-C", from, "."]);
    archives[`${name}.docker`] = join(disk, `${name}.docker.tar`);
    const source = name === "debian" ? `oci:${from}:debian:gzip` : `oci:${from}:deep:6`;
    await commandOutput("skopeo", [
      "--insecure-policy",
      "copy",
      source,
      `docker-archive:${archives[`${name}.docker`]}:bench/${name}:1`,
    ], { timeout_ms: 300_000 });
  }
  await runCommand("sync", ["-f", disk]);
  return {
    debianOci: archives["debian.oci"]!,
    debianDocker: archives["debian.docker"]!,
    deepOci: archives["deep.oci"]!,
    deepDocker: archives["deep.docker"]!,
    disk,
  };
}

async function directory(disk: string, name: string): Promise<string> {
  await Deno.mkdir(join(disk, name));
  return join(disk, name);
}

function table(rows: ReadonlyArray<readonly [string, Figures]>): void {
  say();
  say(bold("Each on a private directory of one journaled disk, warm, medians"));
  const names = [...new Set(rows.flatMap(([, figures]) => Object.keys(figures)))];
  const width = Math.max(...names.map((name) => name.length));
  say(`${"".padEnd(width)}  ${rows.map(([who]) => who.padStart(12)).join("")}`);
  for (const name of names) {
    const cells = rows.map(([, figures]) => (figures[name] ?? "-").padStart(12));
    say(`${name.padEnd(width)}  ${cells.join("")}`);
  }
}

Deno.exit(await main());
