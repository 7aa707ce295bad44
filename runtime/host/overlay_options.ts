/**
 * The directories in the options of an overlay, and three ways to write them so that they fit the kernel's page and
 * survive mount(8). Pure.
 *
 * In a `Mount` the options are in overlayfs's own syntax: `lowerdir=` holds directories separated by `:` (`::` before
 * data-only ones), and a `\` takes the meaning of a special character away from the next one.
 */
import { nameOfOption } from "./mount_options.ts";
import { LaminaError } from "../core/errors.ts";

/** Bytes of options that mount(2) takes. */
export const MAX_DATA_BYTES = 4095;

/** Options up to this length are left as they are. */
const SHORT_DATA_BYTES = 1024;

/** Layers that overlayfs stacks. */
export const MAX_LOWER_DIRECTORIES = 500;

/** The directories of an overlay, unescaped. */
export interface OverlayDirectories {
  /** Topmost first; an empty string stands for each further `:` before a data-only layer. */
  readonly lower: readonly string[];
  readonly upper?: string;
  readonly work?: string;
  /** All other options as they were. */
  readonly others: readonly string[];
}

/** Options as the kernel gets them, and from where. */
export interface OverlayForm {
  readonly data: readonly string[];
  /** Directory to mount from; absent: any. */
  readonly cwd?: string;
  /** The names `0`, `1`, … (base 36) must be links to these paths, in a fresh directory to mount from. */
  readonly links?: readonly string[];
}

const encoder = new TextEncoder();

/** The directory as a part of an overlay option. */
export function escapeOverlayDirectory(path: string): string {
  return path.replace(/[\\:,]/g, "\\$&");
}

/**
 * Takes the options of an overlay apart.
 *
 * @throws `INVALID_ARGUMENT` without a lower directory, or with more than the kernel stacks.
 */
export function parseOverlayOptions(data: readonly string[]): OverlayDirectories {
  const others: string[] = [];
  let lower: string[] = [], upper: string | undefined, work: string | undefined;
  for (const option of data) {
    const [, name, value] = /^(lowerdir|upperdir|workdir)=([^]*)$/.exec(option) ?? [];
    if (name === "lowerdir") lower = splitEscaped(value!);
    else if (name === "upperdir") upper = unescape(value!);
    else if (name === "workdir") work = unescape(value!);
    else others.push(option);
  }
  const count = lower.filter((path) => path !== "").length;
  if (count === 0) {
    const shown = others.map(nameOfOption).join(",");
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Cannot mount an overlay without a lowerdir (options: ${shown || "none"})`,
    );
  }
  if (count > MAX_LOWER_DIRECTORIES) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Cannot mount an overlay of ${count} lower directories: the kernel stacks at most ${MAX_LOWER_DIRECTORIES}. ` +
        "Flatten the image",
      { details: { layers: count, limit: MAX_LOWER_DIRECTORIES } },
    );
  }
  return { lower, upper, work, others };
}

/**
 * The first of these forms that fits: the paths as they are, while they are few; relative to the directory that all
 * lower ones share; by short links. The kernel writes the options out whenever anybody reads the mount table, at a
 * cost that grows with their length: that is why many paths are made short although they would fit.
 *
 * @throws `INVALID_ARGUMENT` when even links do not fit.
 */
export function fittingOverlayForm(directories: OverlayDirectories): OverlayForm {
  const plain = overlayData(directories, (path) => path);
  const plainFits = isPlain(directories, (path) => path) && dataSize_bytes(plain) <= MAX_DATA_BYTES;
  if (plainFits && dataSize_bytes(plain) <= SHORT_DATA_BYTES) return { data: plain };
  const cwd = commonDirectory(directories.lower.filter((path) => path !== ""));
  if (cwd !== undefined) {
    const relative = (path: string) =>
      path.startsWith(cwd === "/" ? cwd : `${cwd}/`) ? path.slice(cwd.length).replace(/^\/+/, "") : path;
    const data = overlayData(directories, relative);
    if (isPlain(directories, relative) && dataSize_bytes(data) <= MAX_DATA_BYTES) return { data, cwd };
  }
  if (plainFits) return { data: plain };
  const links: string[] = [];
  const linked = overlayData(directories, (path) => (links.push(path) - 1).toString(36));
  if (dataSize_bytes(linked) <= MAX_DATA_BYTES) return { data: linked, links };
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot mount an overlay: its options take ${dataSize_bytes(linked)} bytes, the kernel takes ${MAX_DATA_BYTES}`,
  );
}

/** The options with each directory as `name` says, escaped. */
export function overlayData(directories: OverlayDirectories, name: (path: string) => string): string[] {
  const write = (path: string) => path === "" ? "" : escapeOverlayDirectory(name(path));
  const data = [`lowerdir=${directories.lower.map(write).join(":")}`];
  if (directories.upper !== undefined) data.push(`upperdir=${write(directories.upper)}`);
  if (directories.work !== undefined) data.push(`workdir=${write(directories.work)}`);
  return [...data, ...directories.others];
}

/** Bytes of options joined by commas. */
export function dataSize_bytes(data: readonly string[]): number {
  return encoder.encode(data.join(",")).length;
}

/**
 * Whether every path passes through mount(8) as it is. A quote keeps libmount from seeing the next comma, and kernels
 * differ in which escapes they undo: such paths are linked instead.
 */
function isPlain(directories: OverlayDirectories, name: (path: string) => string): boolean {
  const paths = [...directories.lower, directories.upper ?? "", directories.work ?? ""];
  return paths.every((path) => path === "" || !/["\\,:]|^\s|\s$/.test(name(path)));
}

/** The deepest directory that is above all paths; undefined unless all are absolute. */
export function commonDirectory(paths: readonly string[]): string | undefined {
  if (paths.length === 0 || paths.some((path) => !path.startsWith("/"))) return undefined;
  let common = parents(paths[0]!);
  for (const path of paths.slice(1)) {
    const other = parents(path);
    let same = 0;
    while (same < common.length && common[same] === other[same]) same++;
    common = common.slice(0, same);
  }
  return `/${common.join("/")}`;
}

function parents(path: string): string[] {
  return path.split("/").filter(Boolean).slice(0, -1);
}

function unescape(text: string): string {
  return text.replace(/\\([^])/g, "$1");
}

function splitEscaped(text: string): string[] {
  const parts: string[] = [];
  let part = "";
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\" && i + 1 < text.length) part += text[++i];
    else if (text[i] === ":") {
      parts.push(part);
      part = "";
    } else part += text[i];
  }
  return [...parts, part];
}
