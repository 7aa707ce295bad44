/** File systems on thin devices: making, mounting, resizing. */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { readDevice } from "../../../runtime/host/block_devices.ts";
import { type CommandResult, runCommand } from "../../../runtime/host/command.ts";
import type { ThinFileSystem } from "./options.ts";

/** What each needs installed, by Debian's package. */
export const FILE_SYSTEM_TOOLS: Readonly<Record<ThinFileSystem, { package: string; programs: readonly string[] }>> = {
  ext4: { package: "e2fsprogs", programs: ["mkfs.ext4", "resize2fs", "e2fsck"] },
  xfs: { package: "xfsprogs", programs: ["mkfs.xfs", "xfs_growfs"] },
};

/** Makes an empty file system. @param options `inodes`: how many files ext4 has room for; xfs makes them as needed. */
export async function makeFileSystem(
  fs: ThinFileSystem,
  device: string,
  { signal }: Operation,
  options: { readonly inodes?: number } = {},
): Promise<void> {
  // Blocks are not discarded or written in advance: a thin device has none yet. Nothing is kept back for root.
  const inodes = options.inodes === undefined ? [] : ["-N", String(options.inodes)];
  const ext4 = ["-q", "-F", "-m", "0", "-I", "256", ...inodes];
  const args = fs === "ext4"
    ? [...ext4, "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", device]
    : ["-q", "-f", "-K", device];
  await tool(fs, `mkfs.${fs}`, args, `Cannot make a file system on ${device}`, signal);
}

/** Options of a mount. `recovering`: a mount for reading of a device that can be written, as a log may want. */
export function mountOptions(fs: ThinFileSystem, access: "rw" | "ro", discard: boolean): string[] {
  return [
    access,
    // Every snapshot has the identity of the base device, which xfs refuses to have twice.
    ...(fs === "xfs" ? ["nouuid"] : []),
    ...(discard && access === "rw" ? ["discard"] : []),
  ];
}

/** Lets a mounted file system fill its device. */
export async function growFileSystem(
  fs: ThinFileSystem,
  device: string,
  mounted: string,
  { signal }: Operation,
): Promise<void> {
  const attempted = `Cannot grow the file system on ${device}`;
  if (fs === "ext4") await tool(fs, "resize2fs", [device], attempted, signal);
  else await tool(fs, "xfs_growfs", [mounted], attempted, signal);
}

/** Lets an ext4 that is not mounted fill its device. @throws `DATA_LOSS` when it is damaged. */
export async function growUnmounted(device: string, { signal }: Operation): Promise<void> {
  const attempted = `Cannot grow the file system on ${device}`;
  const checked = await run("ext4", "e2fsck", ["-f", "-p", device], signal);
  // 1: errors were corrected.
  if (checked.code > 1) throw new LaminaError("DATA_LOSS", `${attempted}: e2fsck: ${lastLine(checked)}`);
  await tool("ext4", "resize2fs", [device], attempted, signal);
}

/**
 * Shrinks a file system that is not mounted. ext4 only.
 *
 * @param options `fresh`: nobody's data is on it but what its parent has as well. Then it is made as small as it can be,
 * beyond what resize2fs finds comfortable, and checked; should that fail, the caller throws it away.
 * @throws `INVALID_ARGUMENT` when what is in it does not fit.
 */
export async function shrinkFileSystem(
  device: string,
  size_bytes: number,
  options: { readonly fresh: boolean },
  { signal }: Operation,
): Promise<void> {
  const attempted = `Cannot limit the file system on ${device} to ${size_bytes} bytes`;
  const check = async () => {
    const checked = await run("ext4", "e2fsck", ["-f", "-y", device], signal);
    // 1: errors were corrected.
    if (checked.code > 1) throw new LaminaError("DATA_LOSS", `${attempted}: e2fsck: ${lastLine(checked)}`);
  };
  await check();
  const force = options.fresh ? ["-f"] : [];
  const result = await run("ext4", "resize2fs", [...force, device, `${Math.floor(size_bytes / 1024)}K`], signal);
  if (result.code !== 0) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `${attempted}: what is in it needs more (${lastLine(result)}). Give a larger size`,
    );
  }
  if (options.fresh) await check();
}

/** A file system as its superblock tells it. */
export interface FileSystemState {
  readonly fs: ThinFileSystem;
  readonly size_bytes: number;
  /** What is in it, as statfs(2) would count it. Only for an ext4 that was unmounted in order: it has no log to replay. */
  readonly settled?: { readonly size_bytes: number; readonly inodes: number };
}

/** The file system on a device; `undefined` for anything else. */
export function fileSystemOn(device: string): FileSystemState | undefined {
  return parseSuperblock(readDevice(device, 0, 4096));
}

/** The first 4,096 bytes of a device. Pure. */
export function parseSuperblock(bytes: Uint8Array<ArrayBuffer>): FileSystemState | undefined {
  if (bytes.length < 4096) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint32(0) === 0x58465342) {
    return { fs: "xfs", size_bytes: view.getUint32(4) * Number(view.getBigUint64(8)) };
  }
  const word = (offset: number) => view.getUint32(1024 + offset, true);
  if (view.getUint16(1024 + 56, true) !== 0xef53) return undefined;
  const incompatible = word(96);
  const wide = (incompatible & 0x80) !== 0;
  const blocks = word(4) + (wide ? word(336) * 2 ** 32 : 0);
  const free = word(12) + (wide ? word(344) * 2 ** 32 : 0);
  const block_bytes = 1024 * 2 ** word(24);
  const overhead = word(584);
  // "Needs recovery" is the flag 4; the lowest bit of the state says that it was unmounted.
  const isSettled = overhead !== 0 && (incompatible & 4) === 0 && (view.getUint16(1024 + 58, true) & 1) === 1;
  return {
    fs: "ext4",
    size_bytes: blocks * block_bytes,
    ...(isSettled
      ? { settled: { size_bytes: (blocks - overhead - free) * block_bytes, inodes: word(0) - word(16) } }
      : {}),
  };
}

async function tool(
  fs: ThinFileSystem,
  program: string,
  args: readonly string[],
  attempted: string,
  signal: AbortSignal,
): Promise<void> {
  const result = await run(fs, program, args, signal);
  if (result.code !== 0) throw new LaminaError("INTERNAL", `${attempted}: ${program}: ${lastLine(result)}`);
}

async function run(
  fs: ThinFileSystem,
  program: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<CommandResult> {
  try {
    return await runCommand(program, args, { signal, timeout_ms: 1_800_000 });
  } catch (error) {
    if (!(error instanceof LaminaError) || error.code !== "UNSUPPORTED") throw error;
    throw new LaminaError("UNSUPPORTED", `${error.message}. Install the package ${FILE_SYSTEM_TOOLS[fs].package}`, {
      cause: error,
    });
  }
}

function lastLine({ stdout, stderr, code }: CommandResult): string {
  return (stderr.trim() || stdout.trim()).split("\n").at(-1)?.slice(0, 300) || `exit status ${code}`;
}
