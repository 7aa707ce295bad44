/** The grammars of `-v`, `--mount` and `--tmpfs`, as a command line takes them. Pure: text in, mount specs out. */
import { LaminaError } from "./errors.ts";
import type { MountRequest } from "./model/mount.ts";
import { parseSize } from "./size_text.ts";

/** Makes a relative host path (`./x`) absolute; absent, such a path is refused. */
export type ResolvePath = (path: string) => string;

const volumeName = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const modes: Readonly<Record<string, boolean>> = { ro: true, rw: false };

/**
 * `src:dst` or `src:dst:ro`: a host path (absolute, or starting with `.`) or a named volume, and where it appears in
 * the container. A missing host directory is made, as Docker's `-v` does.
 *
 * @throws `INVALID_ARGUMENT` that says which part is wrong and what would be right.
 */
export function parseVolumeFlag(text: string, resolvePath?: ResolvePath): MountRequest {
  const refuse = (why: string): never => refused("-v", text, why);
  const parts = text.split(":");
  if (parts.length > 3) refuse("it has more than three parts. Write SOURCE:TARGET or SOURCE:TARGET:ro");
  const [source = "", target = "", mode] = parts;
  if (parts.length === 1) refuse("the target is missing. Write SOURCE:TARGET, e.g. data:/var/lib/data");
  if (source === "") refuse("the source is empty. Name a volume or a host path before the colon");
  if (target in modes && mode === undefined) refuse(`"${target}" is a mode, and the target is missing`);
  checkTarget(target, refuse);
  if (mode !== undefined && !(mode in modes)) {
    refuse(`"${mode.slice(0, 40)}" is no mode that is known here. Use ro or rw, once`);
  }
  const read_only = modes[mode ?? "rw"]!;
  return isPath(source)
    ? { type: "bind", source: hostPath(source, resolvePath, refuse), target, read_only, create_source: true }
    : { type: "volume", source: checkedName(source, refuse) as never, target, read_only };
}

/**
 * `type=bind,source=…,target=…[,readonly]`, also with `volume` (the default) and `tmpfs` (`tmpfs-size`, `tmpfs-mode`).
 * A missing host path is not made unless `bind-create-src` says so.
 */
export function parseMountFlag(text: string, resolvePath?: ResolvePath): MountRequest {
  const refuse = (why: string): never => refused("--mount", text, why);
  const fields = new Map<string, string>();
  for (const item of text.split(",")) {
    const [key = "", value] = splitOnce(item, "=");
    const name = MOUNT_KEYS[key.toLowerCase()];
    if (name === undefined) refuse(`"${key.slice(0, 40)}" is no key that is known here. Use ${MOUNT_KEY_LIST}`);
    if (fields.has(name!)) refuse(`"${key}" was given twice`);
    if (value === undefined && !SWITCHES.has(name!)) refuse(`"${key}" needs a value`);
    if (value === "") refuse(`"${key}" has an empty value`);
    fields.set(name!, value ?? "true");
  }
  const flag = (name: string): boolean => {
    const value = fields.get(name) ?? "false";
    if (!/^(1|0|true|false)$/.test(value)) refuse(`"${name}" is true, false, 1 or 0; not "${value.slice(0, 40)}"`);
    return value === "1" || value === "true";
  };
  const only = (type: string, ...names: string[]) => {
    for (const name of names) if (fields.has(name)) refuse(`"${name}" is for type=${type} only`);
  };
  const type = fields.get("type") ?? "volume";
  const target = fields.get("target") ?? refuse("the target is missing");
  checkTarget(target, refuse);
  const read_only = flag("readonly");
  const source = fields.get("source");
  if (type !== "tmpfs") only("tmpfs", "tmpfs-size", "tmpfs-mode");
  if (type !== "bind") only("bind", "bind-create-src");
  switch (type) {
    case "bind": {
      if (source === undefined) refuse("the source is missing");
      const path = hostPath(source!, resolvePath, refuse);
      return { type, source: path, target, read_only, create_source: flag("bind-create-src") };
    }
    case "volume":
      if (source === undefined) refuse("the source is missing: name a volume");
      return { type, source: checkedName(source!, refuse) as never, target, read_only };
    case "tmpfs":
      if (source !== undefined) refuse("a tmpfs has no source");
      return tmpfs(target, read_only, fields.get("tmpfs-size"), fields.get("tmpfs-mode"), refuse);
    default:
      return refuse(`the type is bind, volume or tmpfs; not "${type.slice(0, 40)}"`);
  }
}

/** `/path[:size=64m,mode=1777,ro]`. */
export function parseTmpfsFlag(text: string): MountRequest {
  const refuse = (why: string): never => refused("--tmpfs", text, why);
  const [target = "", options] = splitOnce(text, ":");
  checkTarget(target, refuse);
  const fields = new Map<string, string>();
  for (const item of options === undefined ? [] : options.split(",")) {
    const [key = "", value] = splitOnce(item, "=");
    if (!["size", "mode", "ro", "rw"].includes(key)) {
      refuse(`"${item.slice(0, 40)}" is no option that is known here. Use size=, mode=, ro`);
    }
    if (fields.has(key)) refuse(`"${key}" was given twice`);
    fields.set(key, value ?? "");
  }
  if (fields.has("ro") && fields.has("rw")) refuse("it is ro or rw, not both");
  return tmpfs(target, fields.has("ro"), fields.get("size"), fields.get("mode"), refuse);
}

type Refuse = (why: string) => never;

const MOUNT_KEYS: Readonly<Record<string, string>> = {
  type: "type",
  source: "source",
  src: "source",
  target: "target",
  destination: "target",
  dst: "target",
  readonly: "readonly",
  ro: "readonly",
  "bind-create-src": "bind-create-src",
  "tmpfs-size": "tmpfs-size",
  "tmpfs-mode": "tmpfs-mode",
};
const MOUNT_KEY_LIST = "type, source, target, readonly, bind-create-src, tmpfs-size, tmpfs-mode";
const SWITCHES = new Set(["readonly", "bind-create-src"]);

function tmpfs(target: string, read_only: boolean, size: string | undefined, mode: string | undefined, refuse: Refuse) {
  const size_bytes = size === undefined ? undefined : parseSize(size);
  if (size !== undefined && (size_bytes === undefined || size_bytes === 0)) {
    refuse(`"${size.slice(0, 40)}" is no size. Write bytes, or a number with k, m or g, e.g. 64m`);
  }
  if (mode !== undefined && !/^[0-7]{1,4}$/.test(mode)) {
    refuse(`"${mode.slice(0, 40)}" is no mode. Write it in octal, e.g. 1777`);
  }
  return {
    type: "tmpfs" as const,
    target,
    ...(size_bytes === undefined ? {} : { size_bytes }),
    mode: mode === undefined ? 0o1777 : parseInt(mode, 8),
    read_only,
  };
}

function isPath(source: string): boolean {
  return source.startsWith("/") || /^\.{1,2}(\/|$)/.test(source);
}

function hostPath(source: string, resolvePath: ResolvePath | undefined, refuse: Refuse): string {
  if (source.includes("\0")) refuse("the source contains NUL");
  if (source.length > 4096) refuse("the source has more than 4,096 characters");
  if (source.startsWith("/")) return source;
  if (resolvePath === undefined || !isPath(source)) {
    return refuse(`the source "${source.slice(0, 80)}" must be an absolute path, or start with ./`);
  }
  return resolvePath(source);
}

function checkedName(name: string, refuse: Refuse): string {
  if (name.includes("/")) {
    refuse(`"${name.slice(0, 80)}" is no volume name, and a host path starts with / or ./`);
  }
  if (!volumeName.test(name) || name.length > 255) {
    refuse(
      `"${name.slice(0, 80)}" is no volume name: 2 to 255 letters, digits, _ . -, and a letter or digit first`,
    );
  }
  return name;
}

function checkTarget(target: string, refuse: Refuse): void {
  if (!target.startsWith("/")) refuse(`the target "${target.slice(0, 80)}" must be an absolute path in the container`);
  if (target.includes("\0")) refuse("the target contains NUL");
  if (target.length > 4096) refuse("the target has more than 4,096 characters");
  if (target.split("/").includes("..")) refuse('the target must not contain ".."');
  if (/^[/.]*$/.test(target)) refuse('the target must not be "/"');
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function refused(flag: string, text: string, why: string): never {
  throw new LaminaError("INVALID_ARGUMENT", `Invalid ${flag} ${JSON.stringify(text.slice(0, 120))}: ${why}`);
}
