/** Idioms that are at home in one place only, or nowhere. */

/** One rule. */
export interface IdiomRule {
  /** A sentence, for the failure. */
  readonly rule: string;
  readonly pattern: RegExp;
  /** Whether the rule looks at this file. */
  readonly where: (path: string) => boolean;
  /** Whether comments count as well. */
  readonly comments?: boolean;
}

const shipped = (path: string) => /^(mod\.ts|runtime\/|overlay\/|drivers\/)/.test(path);
const notHost = (path: string) => shipped(path) && !path.startsWith("runtime/host/");
const core = (path: string) => path.startsWith("runtime/core/");
const anywhere = () => true;

/** All of them. */
export const IDIOM_RULES: readonly IdiomRule[] = [
  { rule: "only runtime/host runs programs", pattern: /Deno\.Command\b|node:child_process/, where: notHost },
  { rule: "only runtime/host calls the C library", pattern: /Deno\.dlopen\b/, where: notHost },
  { rule: "only runtime/host reads /proc and /sys", pattern: /["'`]\/(proc|sys)\//, where: notHost },
  { rule: "runtime/core knows nothing of Deno", pattern: /\bDeno\.|["']node:/, where: core },
  { rule: "runtime/core has no clock", pattern: /\bDate\.now\b|\bnew Date\(\)|\bperformance\./, where: core },
  { rule: "runtime/core has no randomness", pattern: /\bMath\.random\b|\bcrypto\./, where: core },
  {
    rule: "only the edges end the process",
    pattern: /\bDeno\.exit\(/,
    where: (path) => shipped(path) && path !== "runtime/main.ts" && !path.startsWith("runtime/cli/"),
  },
  {
    rule: "only the command line writes to the terminal",
    pattern: /\bconsole\.|\bDeno\.(stdout|stderr)\b/,
    where: (path) => shipped(path) && path !== "runtime/main.ts" && !path.startsWith("runtime/cli/"),
  },
  { rule: "no unfinished business", pattern: /\b(TODO|FIXME|XXX|HACK)\b/, where: anywhere, comments: true },
  {
    rule: "no paths of one machine, no hosts of registries and mirrors",
    pattern: /\/root\/\.|\/work\/|registry\.npmjs|\.debian\.org|\bdl\.deno\.land|\bjsr\.io/,
    where: anywhere,
    comments: true,
  },
  {
    rule: "the field's own words: storage driver, snapshot, rootfs",
    pattern: /graph ?driver|snapshotter\b(?!')|root ?file ?system directory/i,
    // Docker's dialect has Docker's words.
    where: (path) => shipped(path) && !path.startsWith("runtime/api/docker/"),
  },
];
