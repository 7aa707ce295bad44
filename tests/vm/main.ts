/**
 * `deno task test:vm -- COMMAND…`: runs one shell command in the guest, with the working tree at /tree and a journaled
 * disk at /scratch.
 *
 * Options before the command: `--zfs` (with the zfs module), `--disk FILE` (repeatable), `--timeout SECONDS`.
 * Exit status: the command's; 124 time-out, 125 the machine failed.
 */
import { parseArgs } from "@std/cli/parse-args";
import { ensurePackages } from "../support/packages.ts";
import { ensureGuestImage, whyNoGuest } from "./guest_image.ts";
import { GUEST_CACHE } from "./guest_part.ts";
import { makeGuestTree } from "./guest_tree.ts";
import { runGuest } from "./run_guest.ts";
import { makeScratchDisk, prepareGuest } from "./run_suite.ts";
import { ensureZfsModules } from "./zfs_modules.ts";

// `deno task` passes its own `--` on.
const args = Deno.args[0] === "--" ? Deno.args.slice(1) : Deno.args;
const { _: words, ...options } = parseArgs(args, {
  boolean: ["zfs"],
  string: ["disk", "timeout", "module"],
  collect: ["disk", "module"],
  stopEarly: true,
});
const [moduleOptions, diskOptions] = [options.module as string[], options.disk as string[]];
const encoder = new TextEncoder();
// Standard output is the command's.
const say = (line: string) => void Deno.stderr.writeSync(encoder.encode(`vm: ${line}\n`));

async function main(): Promise<number> {
  const command = (words[0] === "--" ? words.slice(1) : words).join(" ");
  if (command === "") {
    say("usage: deno task test:vm -- [--zfs] [--disk FILE]… [--module FILE.ts]… [--timeout SECONDS] COMMAND");
    return 2;
  }
  await ensurePackages("vm");
  const why = await whyNoGuest();
  if (why !== undefined) {
    say(why);
    return 125;
  }
  const zfsModules = options.zfs ? await ensureZfsModules(GUEST_CACHE, say) : undefined;
  const image = await ensureGuestImage(GUEST_CACHE, zfsModules, say);
  const work = await Deno.makeTempDir({ prefix: "lamina-vm-" });
  try {
    const mentioned = command.match(/\S+\.ts/g) ?? [];
    await makeGuestTree(`${work}/tree.erofs`, [...moduleOptions, ...mentioned, "mod.ts"]);
    await makeScratchDisk(`${work}/scratch.img`);
    const disks = [...diskOptions, `${work}/scratch.img`];
    const result = await runGuest({
      image,
      tree: `${work}/tree.erofs`,
      command: `${prepareGuest(`/dev/vd${"cdefghij"[disks.length - 1]}`)}; set +e; ${command}`,
      disks: disks.map((path) => ({ path })),
      timeout_ms: Number(options.timeout ?? 600) * 1000,
    });
    if (result.status !== undefined) return result.status;
    say(`the machine ${result.reason}\n${result.console}`);
    return result.reason === "timeout" ? 124 : 125;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

Deno.exit(await main());
