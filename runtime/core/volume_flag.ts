/** The grammars of `-v`, `--tmpfs` and `--volumes-from`, as a command line takes them. Pure: text in, requests out. */
import type { MountPropagation, MountRequest } from "./model/mount.ts";
import {
  checkedVolumeName,
  checkTarget,
  checkTmpfsOptions,
  hostPath,
  isHostPath,
  PROPAGATIONS,
  refusal,
  type Refuse,
  type ResolvePath,
  shown,
  splitOnce,
  tmpfsFields,
} from "./mount_text.ts";

/** Modes of which at most one is given. */
const FAMILIES: Readonly<Record<string, readonly string[]>> = {
  access: ["rw", "ro"],
  relabel: ["z", "Z"],
  propagation: PROPAGATIONS,
  copy: ["nocopy"],
  consistency: ["consistent", "cached", "delegated"],
};

/**
 * `DST`, `SRC:DST` or `SRC:DST:MODE,…`: an anonymous volume, a named one, or a host path (absolute, or starting with
 * `.`), and where it appears in the container. A missing host directory is made, as Docker's `-v` does. Modes: see
 * {@linkcode FAMILIES}; `consistent`, `cached` and `delegated` change nothing on Linux.
 *
 * @throws `INVALID_ARGUMENT` that says which part is wrong and what would be right.
 */
export function parseVolumeFlag(text: string, resolvePath?: ResolvePath): MountRequest {
  const refuse = refusal("-v", text);
  const parts = text.split(":");
  if (parts.length > 3) refuse("it has more than three parts. Write SOURCE:TARGET or SOURCE:TARGET:ro");
  if (parts.length === 1) return anonymousVolume(text, refuse);
  const [source = "", target = "", mode] = parts;
  if (source === "") refuse("the source is empty. Name a volume or a host path before the colon");
  if (mode === undefined && target.split(",").every((word) => familyOf(word) !== undefined)) {
    refuse(`${shown(target)} is a mode, and the target is missing`);
  }
  checkTarget(target, refuse);
  const modes = parseModes(mode, refuse);
  const common = {
    target,
    read_only: modes.get("access") === "ro",
    ...(modes.has("relabel") ? { relabel: modes.get("relabel") as "z" | "Z" } : {}),
  };
  const propagation = modes.get("propagation") as MountPropagation | undefined;
  if (isHostPath(source)) {
    if (modes.has("copy")) refuse("nocopy is for volumes; nothing is ever copied into a host directory");
    const path = hostPath(source, resolvePath, refuse);
    return { type: "bind", source: path, ...common, create_source: true, ...(propagation ? { propagation } : {}) };
  }
  if (propagation !== undefined) refuse(`${shown(propagation)} is for host directories, not for volumes`);
  const name = checkedVolumeName(source, refuse);
  return { type: "volume", source: name, ...common, ...(modes.has("copy") ? { no_copy: true } : {}) };
}

/** `/path[:size=64m,mode=1777,ro,exec,…]`. */
export function parseTmpfsFlag(text: string): MountRequest {
  const refuse = refusal("--tmpfs", text);
  const [target, list] = splitOnce(text, ":");
  checkTarget(target, refuse);
  const own = new Map<string, string>();
  const options: string[] = [];
  for (const item of list === undefined ? [] : list.split(",")) {
    const [key, value] = splitOnce(item, "=");
    if (!["size", "mode", "ro", "rw"].includes(key) || (value !== undefined && /^r[ow]$/.test(key))) {
      options.push(item);
      continue;
    }
    if (own.has(key)) refuse(`"${key}" was given twice`);
    own.set(key, value ?? "");
  }
  if (own.has("ro") && own.has("rw")) refuse("it is ro or rw, not both");
  checkTmpfsOptions(options, refuse);
  return {
    type: "tmpfs",
    target,
    ...tmpfsFields(own.get("size"), own.get("mode"), refuse),
    ...(options.length === 0 ? {} : { options }),
    read_only: own.has("ro"),
  };
}

/** `CONTAINER[:ro|rw]`. */
export function parseVolumesFrom(text: string): { readonly container: string; readonly read_only: boolean } {
  const refuse = refusal("--volumes-from", text);
  const [container, mode = "rw"] = splitOnce(text, ":");
  if (container === "") refuse("the container is missing. Write CONTAINER or CONTAINER:ro");
  if (mode !== "ro" && mode !== "rw") refuse(`${shown(mode)} is no mode that is known here. Use ro or rw, once`);
  return { container, read_only: mode === "ro" };
}

function anonymousVolume(target: string, refuse: Refuse): MountRequest {
  if (!target.startsWith("/")) {
    refuse(
      "the target is missing. Write SOURCE:TARGET, e.g. data:/var/lib/data, or an absolute TARGET for a new volume",
    );
  }
  checkTarget(target, refuse);
  return { type: "volume", target };
}

function parseModes(mode: string | undefined, refuse: Refuse): ReadonlyMap<string, string> {
  const modes = new Map<string, string>();
  for (const word of mode === undefined ? [] : mode.split(",")) {
    const family = familyOf(word) ??
      refuse(`${shown(word)} is no mode that is known here. Use ro or rw, and at most one of each other kind`);
    const other = modes.get(family);
    if (other !== undefined) refuse(`${shown(other)} and ${shown(word)} exclude each other. Give one of them, once`);
    modes.set(family, word);
  }
  return modes;
}

function familyOf(word: string): string | undefined {
  return Object.keys(FAMILIES).find((family) => FAMILIES[family]!.includes(word));
}
