/** Power cuts: the guest is killed at a chosen moment and booted again on the same disk. */
import { commandOutput } from "../../runtime/host/command.ts";
import { runGuest } from "./run_guest.ts";
import type { GuestImage } from "./guest_image.ts";

/** A machine whose disk outlives it. */
export interface DurableMachine {
  readonly image: GuestImage;
  /** Image of the project, see `guest_tree.ts`. */
  readonly tree: string;
  /** The disk's file, see {@linkcode makeDurableDisk}; the guest mounts it at `/durable`. */
  readonly disk: string;
  readonly timeout_ms: number;
}

/** When the power goes: so many milliseconds after the command's standard output had this text. */
export interface CutMoment {
  readonly marker: string;
  readonly delay_ms: number;
}

/** What a boot brought. */
export interface Life {
  /** Whether the power went; else the command ended by itself. */
  readonly cut: boolean;
  readonly status?: number;
  readonly stdout: string;
  /** Standard error and, for a machine that died, its console. */
  readonly complaints: string;
}

/** Makes a disk with a journaled file system. */
export async function makeDurableDisk(path: string, size: string): Promise<void> {
  await commandOutput("truncate", ["-s", size, path]);
  await commandOutput("mke2fs", ["-q", "-t", "ext4", "-F", path]);
}

/**
 * Boots, runs `command` with the disk at `/durable`, and cuts the power at `moment` (absent: not at all). Each write of
 * the guest is on the disk before it is acknowledged to the guest; what the guest never wrote out is lost.
 */
export async function live(machine: DurableMachine, command: string, moment?: CutMoment): Promise<Life> {
  const cut = new AbortController();
  const said = { stdout: "", stderr: "" };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const result = await runGuest({
    image: machine.image,
    tree: machine.tree,
    command: `set -e; export DENO_DIR=/tmp/deno-dir; cp -a /tree/.deno-dir $DENO_DIR
      mkdir /durable; mount -o noatime /dev/vdc /durable; ${command}`,
    disks: [{ path: machine.disk, durable: true }],
    timeout_ms: machine.timeout_ms,
    signal: cut.signal,
    output(text, stream) {
      said[stream] += text;
      if (moment === undefined || timer !== undefined || !said.stdout.includes(moment.marker)) return;
      timer = setTimeout(() => cut.abort(), moment.delay_ms);
    },
  });
  clearTimeout(timer);
  const died = result.reason === "died" || result.reason === "timeout";
  return {
    cut: result.reason === "power-cut",
    status: result.status,
    stdout: said.stdout,
    complaints: `${said.stderr}${died ? `\nthe machine ${result.reason}: ${result.console}` : ""}`,
  };
}
