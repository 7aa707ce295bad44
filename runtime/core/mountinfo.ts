/** The text of `/proc/PID/mountinfo`. Pure: reading it is `runtime/host/mount_table.ts`. */

/** One mounted file system. */
export interface MountEntry {
  readonly id: number;
  readonly parentId: number;
  /** `major:minor` */
  readonly device: string;
  /** Path inside the file system that is mounted. */
  readonly root: string;
  /** Mount point, decoded; `//deleted` stripped. */
  readonly target: string;
  /** Per-mount options. */
  readonly options: readonly string[];
  /** `shared:N`, `master:N`, `propagate_from:N`, `unbindable`. */
  readonly propagation: readonly string[];
  readonly type: string;
  readonly source: string;
  /** Options of the file system. */
  readonly superOptions: string;
  /** The mount point's directory was removed in another namespace. */
  readonly deleted: boolean;
}

/** Undoes the octal escapes of the kernel (`\040` for a space). Bytes are decoded as UTF-8. */
export function unescapeMountField(field: string): string {
  if (!field.includes("\\")) return field;
  return field.replace(/(?:\\[0-7]{3})+/g, (run) => {
    const bytes = Uint8Array.from(run.match(/\\[0-7]{3}/g)!, (octal) => parseInt(octal.slice(1), 8));
    return new TextDecoder().decode(bytes);
  });
}

/**
 * Parses the whole table, in the kernel's order (parents before the mounts upon them).
 *
 * Lines that are not in the documented form are skipped: the kernel writes no others.
 */
export function parseMountInfo(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  let start = 0;
  while (start < text.length) {
    let end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    const entry = parseLine(text.slice(start, end));
    if (entry !== undefined) entries.push(entry);
    start = end + 1;
  }
  return entries;
}

function parseLine(line: string): MountEntry | undefined {
  const fields = line.split(" ");
  const separator = fields.indexOf("-", 6);
  if (separator < 0 || fields.length < separator + 3) return undefined;
  const target = unescapeMountField(fields[4]!);
  const deleted = target.endsWith("//deleted");
  return {
    id: Number(fields[0]),
    parentId: Number(fields[1]),
    device: fields[2]!,
    root: unescapeMountField(fields[3]!),
    target: deleted ? target.slice(0, -"//deleted".length) : target,
    options: fields[5]!.split(","),
    propagation: separator === 6 ? [] : fields.slice(6, separator),
    type: fields[separator + 1]!,
    source: unescapeMountField(fields[separator + 2]!),
    superOptions: fields.slice(separator + 3).join(" "),
    deleted,
  };
}

/** The mounts at `directory` or below it, topmost last; unmount them in reverse. */
export function mountsBelow(entries: readonly MountEntry[], directory: string): MountEntry[] {
  const prefix = directory === "/" ? "/" : `${directory}/`;
  return entries.filter((entry) => entry.target === directory || entry.target.startsWith(prefix));
}
