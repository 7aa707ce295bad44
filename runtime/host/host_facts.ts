/** What this machine and this process are. Read once where it cannot change, anew where it can. */
import { runCommand } from "./command.ts";

/** Version of the running kernel, e.g. `6.1.0-18-amd64`. */
export function kernelVersion(): string {
  return Deno.osRelease();
}

/** Whether the running kernel is at least `major.minor`. */
export function kernelAtLeast(major: number, minor: number, release: string = Deno.osRelease()): boolean {
  const [, foundMajor, foundMinor] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  const found = Number(foundMajor ?? 0);
  return found > major || (found === major && Number(foundMinor ?? 0) >= minor);
}

/** `amd64` or `arm64`: the architecture in the words of image configurations. */
export function architecture(): "amd64" | "arm64" {
  return Deno.build.arch === "x86_64" ? "amd64" : "arm64";
}

/** Whether the effective user is root in its user namespace. */
export function isRoot(): boolean {
  return Deno.uid() === 0;
}

/** Whether this process lives in a user namespace other than the machine's first. */
export function inUserNamespace(): boolean {
  // The first namespace maps every id onto itself, in one line.
  return !/^\s*0\s+0\s+4294967295\s*$/.test(Deno.readTextFileSync("/proc/self/uid_map"));
}

/** Capabilities by number, as far as Lamina asks for them. */
const capabilityNumbers = {
  chown: 0,
  dac_override: 1,
  dac_read_search: 2,
  fowner: 3,
  setfcap: 31,
  mknod: 27,
  sys_chroot: 18,
  sys_admin: 21,
  sys_resource: 24,
} as const;

/** One of the capabilities that Lamina asks for. */
export type Capability = keyof typeof capabilityNumbers;

/** Which of the capabilities that Lamina asks for are in effect. */
export function effectiveCapabilities(): Set<Capability> {
  const mask = BigInt(`0x${statusField("CapEff") ?? "0"}`);
  const names = Object.keys(capabilityNumbers) as Capability[];
  return new Set(names.filter((name) => (mask >> BigInt(capabilityNumbers[name])) & 1n));
}

/** File system types that the kernel knows now; a module that is not loaded is missing. */
export function knownFileSystems(): Set<string> {
  return parseFileSystems(Deno.readTextFileSync("/proc/filesystems"));
}

/** The text of `/proc/filesystems`. */
export function parseFileSystems(text: string): Set<string> {
  return new Set(text.split("\n").map((line) => line.split("\t").at(-1)!.trim()).filter(Boolean));
}

/** Resident memory of this process. */
export function residentMemory_bytes(): number {
  return Number.parseInt(statusField("VmRSS") ?? "0", 10) * 1024;
}

/** Changes at each boot: what the mount table held before is gone when it differs. */
export function bootId(): string {
  return Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
}

/** Version of mount(8), e.g. `2.38.1`; undefined when it is not installed or not util-linux's. */
export async function mountProgramVersion(signal?: AbortSignal): Promise<string | undefined> {
  try {
    const { stdout } = await runCommand("mount", ["--version"], { timeout_ms: 10_000, signal });
    return /util-linux (\S+)/.exec(stdout)?.[1];
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof Error) return undefined;
    throw error;
  }
}

function statusField(name: string): string | undefined {
  const text = Deno.readTextFileSync("/proc/self/status");
  return new RegExp(`^${name}:\\s*(.*)$`, "m").exec(text)?.[1];
}

/** Whether SELinux is enabled, enforcing or not. */
export function selinuxEnabled(): boolean {
  try {
    Deno.statSync("/sys/fs/selinux/enforce");
    return true;
  } catch {
    return false;
  }
}
