/** Which test modules run in which guest, and what that guest needs. Pure. */

/** Test modules that share one guest. */
export interface GuestSuite {
  readonly name: string;
  /** Paths from the project's directory. */
  readonly files: readonly string[];
  /** Needs the zfs module, which takes minutes to build once. */
  readonly zfs: boolean;
  readonly memory_mib: number;
}

type SuiteRule = Omit<GuestSuite, "files"> & {
  /** The file's path has this. */
  readonly matches: RegExp;
};

/** The first that matches a file takes it. A guest a suite: suites run beside each other, modules one after another. */
const RULES: readonly SuiteRule[] = [
  { name: "zfs contract", matches: /zfs.*contract|contract.*zfs/, zfs: true, memory_mib: 2048 },
  { name: "zfs", matches: /zfs/, zfs: true, memory_mib: 2048 },
  {
    name: "devicemapper contract",
    matches: /devicemapper.*contract|contract.*devicemapper/,
    zfs: false,
    memory_mib: 2048,
  },
  { name: "devicemapper", matches: /devicemapper/, zfs: false, memory_mib: 2048 },
  { name: "others", matches: /(?:)/, zfs: false, memory_mib: 2048 },
];

/** Whether a test module runs in a guest only. */
export function isGuestTest(file: string): boolean {
  return file.endsWith("_guest_test.ts");
}

/** Whether a module takes a place among the guests instead of one among the host's: it runs in one, or boots some. */
export function needsGuest(file: string): boolean {
  return isGuestTest(file) || /^tests\/vm\/(guest|power_cut)_test\.ts$/.test(file);
}

/** The guests for these modules; those that wait for the zfs module come last. */
export function guestSuites(files: readonly string[]): GuestSuite[] {
  const suites = new Map<string, GuestSuite & { files: string[] }>();
  for (const file of [...files].sort()) {
    const { matches: _, ...rule } = RULES.find(({ matches }) => matches.test(file))!;
    const suite = suites.get(rule.name) ?? { ...rule, files: [] };
    suites.set(rule.name, suite);
    suite.files.push(file);
  }
  return [...suites.values()].sort((a, b) => Number(a.zfs) - Number(b.zfs));
}
