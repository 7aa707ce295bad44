/** What the grammars of `-v`, `--mount`, `--tmpfs` and `--volumes-from` have in common. Pure. */
import { LaminaError } from "./errors.ts";
import { parseSize } from "./size_text.ts";
import { tmpfsOptionFamily } from "./tmpfs_options.ts";

/** Makes a relative host path (`./x`) absolute; absent, such a path is refused. */
export type ResolvePath = (path: string) => string;

/** Throws what is wrong with the text of a flag. */
export type Refuse = (why: string) => never;

const volumeName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** Ways in which mounts travel between host and container. */
export const PROPAGATIONS = ["private", "rprivate", "shared", "rshared", "slave", "rslave"] as const;

/** A {@linkcode Refuse} for one flag and the text that it was given. */
export function refusal(flag: string, text: string): Refuse {
  return (why) => {
    throw new LaminaError("INVALID_ARGUMENT", `Invalid ${flag} ${JSON.stringify(text.slice(0, 120))}: ${why}`);
  };
}

/** What the user wrote, short enough for a message. */
export function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}

/** Whether a source means a host path and not a volume. */
export function isHostPath(source: string): boolean {
  return source.startsWith("/") || /^\.{1,2}(\/|$)/.test(source);
}

/** An absolute host path. */
export function hostPath(source: string, resolvePath: ResolvePath | undefined, refuse: Refuse): string {
  if (source.includes("\0")) refuse("the source contains NUL");
  if (source.length > 4096) refuse("the source has more than 4,096 characters");
  if (source.startsWith("/")) return source;
  if (resolvePath === undefined || !isHostPath(source)) {
    return refuse(`the source ${shown(source)} must be an absolute path, or start with ./`);
  }
  return resolvePath(source);
}

/** The name of a volume. */
export function checkedVolumeName(name: string, refuse: Refuse): string {
  if (name.includes("/")) refuse(`${shown(name)} is no volume name, and a host path starts with / or ./`);
  if (!volumeName.test(name) || name.length > 255) {
    refuse(`${shown(name)} is no volume name: 2 to 255 letters, digits, _ . -, and a letter or digit first`);
  }
  return name;
}

/** A place inside the container. */
export function checkTarget(target: string, refuse: Refuse): void {
  if (!target.startsWith("/")) refuse(`the target ${shown(target)} must be an absolute path in the container`);
  if (target.includes("\0")) refuse("the target contains NUL");
  if (target.length > 4096) refuse("the target has more than 4,096 characters");
  if (target.split("/").includes("..")) refuse('the target must not contain ".."');
  if (/^[/.]*$/.test(target)) refuse('the target must not be "/"');
}

/** A path below the top of a volume or image. */
export function checkSubpath(subpath: string, refuse: Refuse): string {
  if (subpath.startsWith("/")) {
    refuse(`the subpath ${shown(subpath)} must be relative to the top of the volume or image`);
  }
  if (subpath.includes("\0")) refuse("the subpath contains NUL");
  if (subpath.length > 4096) refuse("the subpath has more than 4,096 characters");
  if (subpath.split("/").includes("..")) refuse('the subpath must not contain ".."');
  return subpath;
}

/** Size and mode of a tmpfs as the fields of a mount. */
export function tmpfsFields(
  size: string | undefined,
  mode: string | undefined,
  refuse: Refuse,
): { size_bytes?: number; mode?: number } {
  const size_bytes = size === undefined ? undefined : parseSize(size);
  if (size !== undefined && (size_bytes === undefined || size_bytes === 0)) {
    refuse(`${shown(size)} is no size. Write bytes, or a number with k, m or g, e.g. 64m`);
  }
  if (mode !== undefined && !/^[0-7]{1,4}$/.test(mode)) {
    refuse(`${shown(mode)} is no mode. Write it in octal, e.g. 1777`);
  }
  return {
    ...(size_bytes === undefined ? {} : { size_bytes }),
    ...(mode === undefined ? {} : { mode: parseInt(mode, 8) }),
  };
}

/** Options of a tmpfs, each family once. */
export function checkTmpfsOptions(options: readonly string[], refuse: Refuse): void {
  const seen = new Map<string, string>();
  for (const option of options) {
    const family = tmpfsOptionFamily(option) ??
      refuse(`${shown(option)} is no option that is known here. Use size=, mode=, ro, exec, suid, dev, uid=, gid=, …`);
    const other = seen.get(family);
    if (other !== undefined) refuse(`${shown(option)} and ${shown(other)} exclude each other. Give one of them, once`);
    seen.set(family, option);
  }
}

/** `a=b=c` as `a` and `b=c`; without a separator the second is undefined. */
export function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}
