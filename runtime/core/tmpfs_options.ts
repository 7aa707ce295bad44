/** Options of a tmpfs that a container may ask for. Pure. */

/** Those that exclude each other; the first of each pair is the default. */
const SWITCHES: ReadonlyArray<readonly string[]> = [
  ["noexec", "exec"],
  ["nosuid", "suid"],
  ["nodev", "dev"],
  ["relatime", "norelatime", "noatime", "atime", "strictatime"],
  ["diratime", "nodiratime"],
  ["async", "sync"],
];
const VALUES: Readonly<Record<string, RegExp>> = {
  uid: /^\d{1,10}$/,
  gid: /^\d{1,10}$/,
  nr_inodes: /^\d{1,15}[kmg]?$/i,
  nr_blocks: /^\d{1,15}[kmg]?$/i,
  huge: /^(always|never|within_size|advise)$/,
};

/** Whether `option` is one that is passed on, e.g. `exec` or `uid=1000`. Size, mode and access have fields of their own. */
export function isTmpfsOption(option: string): boolean {
  return tmpfsOptionFamily(option) !== undefined;
}

/** What an option decides, the same for those that exclude each other; `undefined` for what is unknown or malformed. */
export function tmpfsOptionFamily(option: string): string | undefined {
  const at = option.indexOf("=");
  if (at < 0) return SWITCHES.find((names) => names.includes(option))?.[0];
  const name = option.slice(0, at);
  return Object.hasOwn(VALUES, name) && VALUES[name]!.test(option.slice(at + 1)) ? name : undefined;
}

/** The options of a mount(8): what was asked for, and `noexec`, `nosuid`, `nodev` where nothing else was. */
export function tmpfsMountOptions(options: readonly string[]): string[] {
  const families = new Set(options.map(tmpfsOptionFamily));
  return [...["nosuid", "nodev", "noexec"].filter((name) => !families.has(name)), ...options];
}
