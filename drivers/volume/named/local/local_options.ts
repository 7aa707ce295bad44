/** The options of the driver `local`, as Docker's: `type`, `o`, `device`, `size`, and `inodes`. Pure. */
import { LaminaError } from "../../../../runtime/core/errors.ts";
import { parseSize } from "../../../../runtime/core/size_text.ts";
import type { NamedVolume } from "../volume_driver.ts";

/** What the options ask for. */
export type LocalPlan =
  /** A directory of its own. */
  | { readonly kind: "directory" }
  /** A directory, or an image, of enforced capacity. */
  | { readonly kind: "sized"; readonly size_bytes: number; readonly inodes?: number }
  /** Something that is mounted while the volume is used. */
  | {
    readonly kind: "mount";
    /** For a bind `none`. */
    readonly type: string;
    readonly device: string;
    readonly options: readonly string[];
  };

const KNOWN = ["type", "o", "device", "size", "inodes"];
/** Smaller volumes hold nothing but themselves. */
const SMALLEST_BYTES = 1 << 20;
/** Of `o`, in the order in which mount(8) takes them. */
const MOST_OPTIONS = 100;
/** Types whose mount takes a size and a number of inodes. */
const IN_MEMORY = new Set(["tmpfs"]);

/**
 * What the options of a volume ask for.
 *
 * @throws `INVALID_ARGUMENT`: an unknown option, one that needs another, a size that is none, a size where nothing
 * would enforce it. The message never shows what is in `o`.
 */
export function planLocal({ name, options }: NamedVolume): LocalPlan {
  const refuse = (why: string): never => {
    throw new LaminaError("INVALID_ARGUMENT", `Cannot use volume "${name}": ${why}`);
  };
  for (const [key, value] of Object.entries(options)) {
    if (!KNOWN.includes(key)) {
      refuse(`driver "local" has no option ${JSON.stringify(key.slice(0, 80))}. It has ${KNOWN.join(", ")}`);
    }
    if (value === "") refuse(`the option "${key}" is empty. Give it a value or leave it out`);
    // deno-lint-ignore no-control-regex
    if (/[\x00\n]/.test(value)) refuse(`the option "${key}" holds a NUL character or a line break`);
  }
  const { type, device, o } = options;
  if (type !== undefined && device === undefined) refuse('the option "type" needs "device"');
  if (device !== undefined && type === undefined) refuse('the option "device" needs "type"');
  if (o !== undefined && type === undefined) refuse('the option "o" needs "type" and "device"');
  const size_bytes = options.size === undefined ? undefined : sizeOf(options.size, refuse);
  const inodes = options.inodes === undefined ? undefined : inodesOf(options.inodes, refuse);
  if (type === undefined || device === undefined) {
    if (size_bytes !== undefined) return { kind: "sized", size_bytes, ...(inodes === undefined ? {} : { inodes }) };
    if (inodes !== undefined) refuse('the option "inodes" needs "size"');
    return { kind: "directory" };
  }
  return planMount({ type, device, o, size_bytes, inodes }, refuse);
}

function planMount(
  given: { type: string; device: string; o?: string; size_bytes?: number; inodes?: number },
  refuse: (why: string) => never,
): LocalPlan {
  const { device, size_bytes, inodes } = given;
  const options = (given.o ?? "").split(",").filter((option) => option !== "");
  if (options.length > MOST_OPTIONS) refuse(`"o" has more than ${MOST_OPTIONS} options`);
  if (!/^[a-z][a-z0-9._-]{0,31}$/.test(given.type)) {
    refuse(`${JSON.stringify(given.type.slice(0, 80))} is no file system type`);
  }
  if (options.some((option) => /^(re)?mount$|^move$/.test(option))) refuse('"o" may not ask for a remount or a move');
  const bind = options.includes("bind") || options.includes("rbind") || given.type === "bind";
  const type = bind ? "none" : given.type;
  if (type === "none" && !bind) refuse('the type "none" needs "o=bind" or "o=rbind"');
  if (bind && !device.startsWith("/")) refuse(`the device of a bind must be an absolute path, not ${shown(device)}`);
  if (size_bytes === undefined && inodes === undefined) {
    return { kind: "mount", type, device, options: bind && given.type === "bind" ? ["bind", ...options] : options };
  }
  if (!IN_MEMORY.has(type)) {
    refuse(
      `nothing enforces a size on what is mounted from elsewhere (type "${type}"). Limit it where it comes from, or ` +
        "leave out type, device and o",
    );
  }
  const limits = [
    ...(size_bytes === undefined ? [] : [`size=${size_bytes}`]),
    ...(inodes === undefined ? [] : [`nr_inodes=${inodes}`]),
  ];
  const twice = options.find((option) => limits.some((limit) => limit.split("=")[0] === option.split("=")[0]));
  if (twice !== undefined) refuse(`"${twice.split("=")[0]}" is given twice: in "o" and as an option of its own`);
  return { kind: "mount", type, device, options: [...options, ...limits] };
}

function sizeOf(text: string, refuse: (why: string) => never): number {
  const size_bytes = parseSize(text);
  if (size_bytes === undefined) refuse(`${shown(text)} is no size. Write 500m, 10g or a number of bytes`);
  if (size_bytes! < SMALLEST_BYTES) refuse(`a size of ${size_bytes} bytes is too small. The least is 1m`);
  return size_bytes!;
}

function inodesOf(text: string, refuse: (why: string) => never): number {
  if (!/^[1-9]\d{0,11}$/.test(text)) refuse(`${shown(text)} is no number of inodes`);
  return Number(text);
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}

const SECRET = /^(password2?|passwd|pass|secret|key)=/i;

/** A driver's options as they are shown: passwords masked. */
export function maskedOptions(options: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(options).map(([key, value]) => {
      if (key === "o") return [key, value.split(",").map(maskedOption).join(",")];
      if (key === "device") return [key, value.replace(/^((?:[a-z]+:)?\/\/[^/@:]*):[^/@]*@/i, "$1:********@")];
      return [key, SECRET.test(`${key}=`) ? "********" : value];
    }),
  );
}

function maskedOption(option: string): string {
  return option.replace(SECRET, (name) => `${name}********\0`).replace(/\0.*$/s, "");
}

/** The options of a mount without the secrets, and the secrets, by name. */
export function withoutSecrets(options: readonly string[]): {
  readonly plain: readonly string[];
  readonly secrets: ReadonlyMap<string, string>;
} {
  const secrets = new Map<string, string>();
  const plain: string[] = [];
  for (const option of options) {
    const at = option.indexOf("=");
    if (at > 0 && SECRET.test(option)) secrets.set(option.slice(0, at).toLowerCase(), option.slice(at + 1));
    else plain.push(option);
  }
  return { plain, secrets };
}
