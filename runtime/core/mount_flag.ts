/** The grammar of `--mount`, as a command line takes it. Pure: text in, requests out. */
import { parseCsvLine } from "./csv_line.ts";
import type { BindMount, MountPropagation, MountRequest, NewVolume } from "./model/mount.ts";
import {
  checkedVolumeName,
  checkSubpath,
  checkTarget,
  hostPath,
  PROPAGATIONS,
  refusal,
  type Refuse,
  type ResolvePath,
  shown,
  splitOnce,
  tmpfsFields,
} from "./mount_text.ts";

const TYPES = ["volume", "bind", "tmpfs", "image"] as const;
type Type = typeof TYPES[number];

/** Key -> its one name. */
const ALIASES: Readonly<Record<string, string>> = {
  src: "source",
  dst: "target",
  destination: "target",
  ro: "readonly",
};
/** Keys, and the only type that they are for. */
const KEYS: Readonly<Record<string, Type | undefined>> = {
  type: undefined,
  source: undefined,
  target: undefined,
  readonly: undefined,
  consistency: undefined,
  "bind-propagation": "bind",
  "bind-recursive": "bind",
  "bind-create-src": "bind",
  "volume-subpath": "volume",
  "volume-nocopy": "volume",
  "volume-label": "volume",
  "volume-driver": "volume",
  "volume-opt": "volume",
  "image-subpath": "image",
  "tmpfs-size": "tmpfs",
  "tmpfs-mode": "tmpfs",
};
/** Those that mean true without a value. */
const SWITCHES = new Set(["readonly", "bind-create-src", "volume-nocopy"]);
/** Those that may be given several times. */
const LISTS = new Set(["volume-label", "volume-opt"]);
const RECURSIONS = ["enabled", "disabled", "writable", "readonly"] as const;
const CONSISTENCIES = ["default", "consistent", "cached", "delegated"] as const;

/**
 * `type=bind,source=…,target=…[,readonly]`, also with `volume` (the default), `tmpfs` and `image`; a comma-separated
 * line, in which a field that holds a comma is quoted. A missing host path is not made unless `bind-create-src` says so.
 *
 * @throws `INVALID_ARGUMENT` that says which part is wrong and what would be right.
 */
export function parseMountFlag(text: string, resolvePath?: ResolvePath): MountRequest {
  const refuse = refusal("--mount", text);
  const fields = new Fields(text, refuse);
  const type = fields.oneOf("type", TYPES) ?? "volume";
  fields.refuseThoseOfOthers(type);
  const target = fields.get("target") ?? refuse("the target is missing");
  checkTarget(target, refuse);
  fields.oneOf("consistency", CONSISTENCIES);
  const source = fields.get("source");
  const read_only = fields.flag("readonly");
  switch (type) {
    case "bind":
      return { ...bindFields(fields, read_only, refuse), source: bindSource(source, resolvePath, refuse), target };
    case "volume":
      return volumeRequest(fields, { source, target, read_only }, refuse);
    case "tmpfs": {
      if (source !== undefined) refuse("a tmpfs has no source");
      const own = tmpfsFields(fields.get("tmpfs-size"), fields.get("tmpfs-mode"), refuse);
      return { type, target, ...own, read_only };
    }
    case "image": {
      if (source === undefined) return refuse("the source is missing: name an image");
      if (fields.has("readonly") && !read_only) refuse("an image is always read-only");
      const subpath = fields.get("image-subpath");
      return { type, source, target, ...(subpath === undefined ? {} : { subpath: checkSubpath(subpath, refuse) }) };
    }
  }
}

function bindSource(source: string | undefined, resolvePath: ResolvePath | undefined, refuse: Refuse): string {
  return hostPath(source ?? refuse("the source is missing"), resolvePath, refuse);
}

function bindFields(fields: Fields, read_only: boolean, refuse: Refuse) {
  const propagation: MountPropagation | undefined = fields.oneOf("bind-propagation", PROPAGATIONS);
  const recursive: BindMount["recursive"] | undefined = fields.oneOf("bind-recursive", RECURSIONS);
  if ((recursive === "writable" || recursive === "readonly") && !read_only) {
    refuse(`bind-recursive=${recursive} says what readonly means below the source: give readonly too`);
  }
  if (recursive === "readonly" && (propagation ?? "rprivate") !== "rprivate") {
    refuse("bind-recursive=readonly needs bind-propagation=rprivate: a mount that comes later would be writable");
  }
  return {
    type: "bind" as const,
    read_only,
    create_source: fields.flag("bind-create-src"),
    ...(propagation === undefined ? {} : { propagation }),
    ...(recursive === undefined ? {} : { recursive }),
  };
}

function volumeRequest(
  fields: Fields,
  common: { source: string | undefined; target: string; read_only: boolean },
  refuse: Refuse,
): MountRequest {
  const { source, ...rest } = common;
  const subpath = fields.get("volume-subpath");
  if (subpath !== undefined && source === undefined) refuse("volume-subpath needs a source: a new volume has none yet");
  const volume: NewVolume = {
    ...(fields.has("volume-driver") ? { driver: fields.get("volume-driver")! } : {}),
    ...(fields.has("volume-opt") ? { options: fields.record("volume-opt") } : {}),
    ...(fields.has("volume-label") ? { labels: fields.record("volume-label") } : {}),
  };
  return {
    type: "volume",
    ...(source === undefined ? {} : { source: checkedVolumeName(source, refuse) }),
    ...rest,
    ...(subpath === undefined ? {} : { subpath: checkSubpath(subpath, refuse) }),
    ...(fields.flag("volume-nocopy") ? { no_copy: true } : {}),
    ...(Object.keys(volume).length === 0 ? {} : { volume }),
  };
}

/** The fields of one `--mount`, by their one name. */
class Fields {
  readonly #values = new Map<string, string[]>();
  readonly #refuse: Refuse;

  constructor(text: string, refuse: Refuse) {
    this.#refuse = refuse;
    for (const item of parseCsvLine(text, refuse)) {
      const [written, value] = splitOnce(item, "=");
      const lower = written.toLowerCase();
      const key = Object.hasOwn(ALIASES, lower) ? ALIASES[lower]! : lower;
      if (!Object.hasOwn(KEYS, key)) {
        refuse(`${shown(written)} is no key that is known here. Use ${Object.keys(KEYS).join(", ")}`);
      }
      if (value === undefined && !SWITCHES.has(key)) refuse(`"${written}" needs a value`);
      if (value === "") refuse(`"${written}" has an empty value`);
      const values = this.#values.get(key) ?? [];
      if (values.length > 0 && !LISTS.has(key)) refuse(`"${written}" was given twice`);
      values.push(value ?? "true");
      this.#values.set(key, values);
    }
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  get(key: string): string | undefined {
    return this.#values.get(key)?.[0];
  }

  flag(key: string): boolean {
    const value = this.get(key) ?? "false";
    if (!/^(1|0|true|false)$/.test(value)) this.#refuse(`"${key}" is true, false, 1 or 0; not ${shown(value)}`);
    return value === "1" || value === "true";
  }

  oneOf<T extends string>(key: string, allowed: readonly T[]): T | undefined {
    const value = this.get(key);
    if (value === undefined || (allowed as readonly string[]).includes(value)) return value as T | undefined;
    return this.#refuse(`the ${key} is one of ${allowed.join(", ")}; not ${shown(value)}`);
  }

  /** `k=v` or `k`, each key once. */
  record(key: string): Record<string, string> {
    const record = new Map<string, string>();
    for (const item of this.#values.get(key) ?? []) {
      const [name, value = ""] = splitOnce(item, "=");
      if (name === "") this.#refuse(`"${key}" needs a name before the "="`);
      if (record.has(name)) this.#refuse(`"${key}" names ${shown(name)} twice`);
      record.set(name, value);
    }
    return Object.fromEntries(record);
  }

  refuseThoseOfOthers(type: Type): void {
    for (const key of this.#values.keys()) {
      const only = KEYS[key];
      if (only !== undefined && only !== type) this.#refuse(`"${key}" is for type=${only} only`);
    }
  }
}
