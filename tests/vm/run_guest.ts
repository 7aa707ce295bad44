/** Boots the guest under software emulation, runs one command in it, passes output and status through. */
import { join } from "@std/path";
import type { GuestImage } from "./guest_image.ts";
import { lockOf } from "./prune_cache.ts";

/** What to run and on what. */
export interface GuestRun {
  readonly image: GuestImage;
  /** A read-only erofs image of the tree that is mounted at `/tree`; see `guest_tree.ts`. */
  readonly tree: string;
  /** Shell command, run by bash in `/tree`. */
  readonly command: string;
  /** Disk images, `/dev/vdc` and on. `durable`: writes reach the file before they are acknowledged. */
  readonly disks?: readonly { readonly path: string; readonly durable?: boolean }[];
  /** Milliseconds until the machine is killed. Default 300,000. */
  readonly timeout_ms?: number;
  readonly memory_mib?: number;
  /** Called with each piece of output. Default: this process's own stdout and stderr. */
  readonly output?: (text: string, stream: "stdout" | "stderr") => void;
  /** Killing the machine by this signal is a power cut. */
  readonly signal?: AbortSignal;
}

/** How a run ended. */
export interface GuestResult {
  /** Exit status of the command; absent when the machine was killed or died first. */
  readonly status?: number;
  readonly reason: "ended" | "timeout" | "power-cut" | "died";
  /** What both streams said, up to 4 MiB. */
  readonly output: string;
  /** Last lines of the console, for a machine that died. */
  readonly console: string;
}

/** Boots, runs, waits. Never leaves a QEMU process or a temporary file behind. */
export async function runGuest(run: GuestRun): Promise<GuestResult> {
  const work = await Deno.makeTempDir({ prefix: "lamina-guest-" });
  // Shared: nobody deletes the image under the machine.
  using lock = await Deno.open(lockOf(run.image.directory), { create: true, write: true });
  await lock.lock(false);
  try {
    await Deno.writeTextFile(join(work, "command"), `${run.command}\n`);
    for (const pipe of ["out", "err"]) await Deno.writeTextFile(join(work, pipe), "");
    return await boot(run, work);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

async function boot(run: GuestRun, work: string): Promise<GuestResult> {
  const timeout_ms = run.timeout_ms ?? 300_000;
  const child = new Deno.Command("qemu-system-x86_64", {
    args: qemuArguments(run, work),
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let reason: GuestResult["reason"] = "ended";
  const kill = (why: GuestResult["reason"]) => {
    reason = why;
    try {
      child.kill("SIGKILL");
    } catch { /* ended already */ }
  };
  const timer = setTimeout(() => kill("timeout"), timeout_ms);
  const onAbort = () => kill("power-cut");
  run.signal?.addEventListener("abort", onAbort, { once: true });
  if (run.signal?.aborted) onAbort();
  const followed = { text: "" };
  const stopFollowing = new AbortController();
  const following = Promise.all([
    follow(join(work, "out"), "stdout", run, followed, stopFollowing.signal),
    follow(join(work, "err"), "stderr", run, followed, stopFollowing.signal),
  ]);
  const qemuSaid = new Response(child.stderr).text();
  try {
    await child.status;
  } finally {
    clearTimeout(timer);
    run.signal?.removeEventListener("abort", onAbort);
    stopFollowing.abort();
    await following;
  }
  const statusText = await readIfThere(join(work, "status"));
  const console = `${await qemuSaid}${(await readIfThere(join(work, "console"))).slice(-4000)}`;
  if (reason === "ended" && statusText.trim() === "") reason = "died";
  return {
    status: reason === "ended" ? Number(statusText) : undefined,
    reason,
    output: followed.text,
    console,
  };
}

function qemuArguments(run: GuestRun, work: string): string[] {
  const { directory } = run.image;
  // One processor: two emulated ones wait for each other so much that a suite costs 1.6 times as much of the host's.
  const args = [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-M", "pc", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "Nehalem", "-smp", "1"],
    ...["-m", String(run.memory_mib ?? 2048)],
    ...["-kernel", join(directory, "vmlinuz"), "-initrd", join(directory, "initrd")],
    ...["-append", "console=ttyS0 quiet panic=-1 mitigations=off apparmor=0 audit=0 no_timer_check"],
    ...drive("root", join(directory, "root.ext4"), "snapshot=on,cache=unsafe"),
    ...drive("tree", run.tree, "readonly=on"),
    ...["-device", "virtio-serial-pci", "-device", "virtio-rng-pci"],
    ...port("out", join(work, "out")),
    ...port("err", join(work, "err")),
    ...port("status", join(work, "status")),
    ...["-chardev", `file,id=console,path=${join(work, "console")}`, "-serial", "chardev:console"],
    ...["-fw_cfg", `name=opt/command,file=${join(work, "command")}`],
  ];
  run.disks?.forEach((disk, index) => {
    const cache = disk.durable ? "cache=writethrough" : "cache=unsafe,discard=unmap";
    args.push(...drive(`disk${index}`, disk.path, cache, `,serial=disk${index}`));
  });
  return args;
}

function drive(id: string, file: string, options: string, device = ""): string[] {
  return [
    "-drive",
    `if=none,id=${id},file=${file},format=raw,${options}`,
    "-device",
    `virtio-blk-pci,drive=${id}${device}`,
  ];
}

function port(name: string, file: string): string[] {
  return [
    "-chardev",
    `file,id=${name},path=${file},append=on`,
    "-device",
    `virtserialport,chardev=${name},name=${name}`,
  ];
}

/** Passes on what a file gets, until the signal and then its end. */
async function follow(
  path: string,
  stream: "stdout" | "stderr",
  run: GuestRun,
  kept: { text: string },
  signal: AbortSignal,
): Promise<void> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(65536);
  using file = await Deno.open(path);
  while (true) {
    const ending = signal.aborted;
    const count = await file.read(buffer);
    if (count !== null) {
      const text = decoder.decode(buffer.subarray(0, count), { stream: true });
      if (kept.text.length < 4 << 20) kept.text += text;
      if (run.output !== undefined) run.output(text, stream);
      else await Deno[stream].write(buffer.subarray(0, count));
    } else if (ending) {
      return;
    } else {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
