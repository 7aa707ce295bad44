/**
 * Putting a file system on a device that has none, and never on one that holds anything: what is there is asked from
 * blkid(8) by probing, not from its cache.
 */
import { LaminaError } from "../core/errors.ts";
import { abortable } from "../core/keyed_lock.ts";
import type { Operation } from "../core/operation.ts";
import { type CommandResult, runCommand } from "./command.ts";
import { hostError } from "./errno_errors.ts";

/** What a device holds. */
export type DeviceContent =
  | { readonly kind: "nothing" }
  | { readonly kind: "file system"; readonly type: string }
  /** A partition table, a part of a RAID or a volume group, an encrypted disk, swap space. */
  | { readonly kind: "other"; readonly type: string };

/** Making a file system takes long on large disks. */
const FORMAT_MS = 1_800_000;
const CHECK_MS = 1_800_000;
const PROBE_MS = 60_000;

/** How each file system is made. They ask no questions; xfs and btrfs refuse a device with anything on it once more. */
const MAKERS: Readonly<Record<string, { readonly args: readonly string[]; readonly package: string }>> = {
  ext2: { args: ["-q", "-F", "-m", "0"], package: "e2fsprogs" },
  ext3: { args: ["-q", "-F", "-m", "0"], package: "e2fsprogs" },
  ext4: { args: ["-q", "-F", "-m", "0"], package: "e2fsprogs" },
  xfs: { args: ["-q"], package: "xfsprogs" },
  btrfs: { args: ["-q"], package: "btrfs-progs" },
  f2fs: { args: ["-q"], package: "f2fs-tools" },
  vfat: { args: [], package: "dosfstools" },
};

/** What makes a file system on `device`. Pure. @throws `UNSUPPORTED` naming those that can be made. */
export function formatCommand(type: string, device: string): { program: string; args: string[]; package: string } {
  const maker = Object.hasOwn(MAKERS, type) ? MAKERS[type] : undefined;
  if (maker === undefined) {
    throw new LaminaError(
      "UNSUPPORTED",
      `Cannot make a file system ${JSON.stringify(type)} on ${device}. There are: ${Object.keys(MAKERS).join(", ")}`,
    );
  }
  return { program: `mkfs.${type}`, args: [...maker.args, device], package: maker.package };
}

/** The answer of `blkid -p -o export`. Pure. @throws `UNAVAILABLE` where it knows no single answer. */
export function deviceContent(device: string, { code, stdout, stderr }: CommandResult): DeviceContent {
  if (code === 2) return { kind: "nothing" };
  const refuse = (why: string) =>
    new LaminaError("UNAVAILABLE", `Cannot tell what ${device} holds: ${why}. It is left as it is`, {
      details: { path: device, failure_class: "final" },
    });
  if (code === 8) {
    throw refuse("there are the marks of several file systems on it. Remove the wrong ones with wipefs(8)");
  }
  if (code !== 0) throw refuse(`blkid: ${stderr.trim().slice(0, 300) || `exit status ${code}`}`);
  const values = new Map(
    stdout.split("\n").map((line) => {
      const equals = line.indexOf("=");
      return [line.slice(0, equals), line.slice(equals + 1)];
    }),
  );
  const type = values.get("TYPE"), table = values.get("PTTYPE");
  if (type !== undefined && (values.get("USAGE") ?? "filesystem") === "filesystem") {
    return { kind: "file system", type };
  }
  if (type !== undefined) return { kind: "other", type: `${values.get("USAGE")} (${type})` };
  if (table !== undefined) return { kind: "other", type: `a partition table (${table})` };
  throw refuse("blkid found something and does not say what");
}

/** Asks the device. @throws `NOT_FOUND`, `DATA_LOSS` (cannot be read), `UNSUPPORTED` (no blkid), `UNAVAILABLE`. */
export async function probeDevice(device: string, { signal }: Operation): Promise<DeviceContent> {
  // A disk that cannot be read looks empty to blkid.
  await abortable(readStart(device), signal);
  const args = ["-p", "-o", "export", device];
  return deviceContent(device, await tool("blkid", args, "util-linux", PROBE_MS, signal));
}

async function readStart(device: string): Promise<void> {
  try {
    using file = await Deno.open(device, { read: true });
    const buffer = new Uint8Array(65536);
    const count = await file.read(buffer);
    if (count === null || count < 4096) {
      throw new LaminaError("INVALID_ARGUMENT", `Cannot use ${device}: it is too small for a file system`);
    }
  } catch (error) {
    throw hostError(error, `Cannot read ${device}`, { path: device });
  }
}

/** What {@linkcode prepareDevice} is to do. */
export interface PrepareRequest {
  /** A block device. */
  readonly device: string;
  /** Wanted; absent: what is there, else ext4. */
  readonly type?: string;
  /** Nothing is written: neither a file system nor a repair. */
  readonly read_only: boolean;
}

/**
 * Makes sure that there is a sound file system on a device: an empty device gets one, another is checked, and small
 * damage repaired.
 *
 * @returns its type.
 * @throws `CONFLICT` (it holds something else, or another file system), `DATA_LOSS` (damaged beyond automatic repair).
 */
export async function prepareDevice(
  { device, type, read_only }: PrepareRequest,
  operation: Operation,
): Promise<string> {
  const wanted = type || undefined;
  const content = await probeDevice(device, operation);
  const refuse = (why: string) =>
    new LaminaError("CONFLICT", `Cannot mount ${device}: ${why}`, { details: { path: device } });
  switch (content.kind) {
    case "nothing": {
      if (read_only) throw refuse("there is no file system on it, and a read-only volume is never formatted");
      const command = formatCommand(wanted ?? "ext4", device);
      const result = await tool(command.program, command.args, command.package, FORMAT_MS, operation.signal);
      if (result.code !== 0) {
        throw new LaminaError(
          "INTERNAL",
          `Cannot make a file system on ${device}: ${command.program}: ${said(result)}`,
        );
      }
      return wanted ?? "ext4";
    }
    case "other":
      throw refuse(`there is no file system on it but ${content.type}, which is never formatted. Give another device`);
    case "file system": {
      const { type: found } = content;
      if (wanted !== undefined && wanted !== found && !(wanted.startsWith("ext") && found.startsWith("ext"))) {
        throw refuse(
          `there is ${found} on it, but fsType asks for ${wanted}. Set fsType to ${found}, or empty the device`,
        );
      }
      if (!read_only) await check(device, operation);
      return found;
    }
  }
}

async function check(device: string, { signal }: Operation): Promise<void> {
  const result = await tool("fsck", ["-a", device], "util-linux", CHECK_MS, signal);
  const damaged = damageOf(result);
  if (damaged === undefined) return;
  throw new LaminaError(
    "DATA_LOSS",
    `Cannot mount ${device}: its file system is damaged, and fsck does not dare to repair it by itself: ${damaged}. ` +
      `Look at it with fsck ${device}`,
    { details: { path: device } },
  );
}

/**
 * What fsck(8) could not repair; `undefined` when the file system may be mounted. A missing checker (status 8) is no
 * damage: the kernel itself looks when it mounts.
 */
export function damageOf(result: CommandResult): string | undefined {
  return (result.code & 4) !== 0 && result.code < 128 ? said(result) : undefined;
}

async function tool(
  program: string,
  args: readonly string[],
  package_: string,
  timeout_ms: number,
  signal: AbortSignal,
): Promise<CommandResult> {
  try {
    return await runCommand(program, args, { signal, timeout_ms });
  } catch (error) {
    if (!(error instanceof LaminaError) || error.code !== "UNSUPPORTED") throw error;
    throw new LaminaError("UNSUPPORTED", `${error.message}. Install the package ${package_}`, { cause: error });
  }
}

function said({ stdout, stderr, code }: CommandResult): string {
  return (stderr.trim() || stdout.trim()).split("\n").slice(-3).join(" ").slice(0, 400) || `exit status ${code}`;
}
