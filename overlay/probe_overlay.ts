/** Asks the kernel, by real mounts in a directory of its own, what overlayfs can do on a file system. */
import { join } from "@std/path/posix";
import { byteStringFromText } from "../runtime/core/bytes.ts";
import { isLaminaError, LaminaError, messageOf } from "../runtime/core/errors.ts";
import { mountAt } from "../runtime/core/mount.ts";
import { mountsBelow } from "../runtime/core/mountinfo.ts";
import type { Operation } from "../runtime/core/operation.ts";
import { fileSystemStatus } from "../runtime/host/disk.ts";
import { closeFd, openDirectoryAt, readDirectoryPart, statxAt } from "../runtime/host/fs_calls.ts";
import { mknodAt, S_IF } from "../runtime/host/fs_change_calls.ts";
import { inUserNamespace } from "../runtime/host/host_facts.ts";
import { hasIdmappedMounts } from "../runtime/host/idmapped_mounts.ts";
import { readMountTable } from "../runtime/host/mount_table.ts";
import { isErrno } from "../runtime/host/libc.ts";
import { LibcMounter } from "../runtime/host/libc_mounter.ts";
import { AT_FDCWD } from "../runtime/host/openat2.ts";
import { getXattrAt, setXattrAt } from "../runtime/host/xattr_calls.ts";
import { overlayMount } from "./overlay_mounts.ts";
import { OVERLAY_FEATURES, type OverlayFacts, type OverlayFeature, WANTED_OPTIONS } from "./overlay_options.ts";
import { isThereSync } from "../runtime/host/is_there.ts";

/** The answer. */
export type OverlayProbe =
  | { readonly supported: true; readonly facts: OverlayFacts }
  | { readonly supported: false; readonly reason: string };

const bytes = byteStringFromText;
const yes = new TextEncoder().encode("y");
const mixed = new TextEncoder().encode("x");

/**
 * Probes in a fresh directory below `directory` (absolute, existing), which is gone afterwards. What a probe that was
 * killed left there is taken away first.
 *
 * @throws only what says nothing about overlayfs: deadline, cancellation, a disk that cannot be written to.
 */
export async function probeOverlay(directory: string, operation: Operation): Promise<OverlayProbe> {
  for await (const { name } of Deno.readDir(directory)) {
    if (name.startsWith("probe-")) await clear(join(directory, name), operation);
  }
  const home = await Deno.makeTempDir({ dir: directory, prefix: "probe-" });
  try {
    return await new Probe(home, operation).run();
  } finally {
    await clear(home, operation);
  }
}

// A dozen mounts at every start: 25 ms by system calls, 90 ms by a process each.
const mounter = new LibcMounter();

class Probe {
  readonly #userNamespace = inUserNamespace();
  readonly #backing: string;
  #trials = 0;

  constructor(readonly home: string, readonly operation: Operation) {
    this.#backing = fileSystemStatus(home).type;
  }

  async run(): Promise<OverlayProbe> {
    const base = this.#directory("base"), top = this.#directory("top"), upper = this.#directory("upper");
    // There the whiteouts below could not even be made.
    if (this.#backing === "overlay") return this.#unsupported("");
    try {
      this.#makeLayers(base, top);
    } catch (error) {
      if (!isErrno(error, "EPERM", "EACCES", "EOPNOTSUPP")) throw error;
      return this.#unsupported(`layers cannot be made (${error.message})`);
    }
    if (!listsTypes(base)) {
      return this.#unsupported("its listings do not tell what each entry is (xfs: format it with ftype=1)");
    }
    // What can be mounted at all, and with which options: almost always everything at once.
    const always = this.#userNamespace ? ["userxattr"] : [];
    const plain = await this.#tryMount({ lowers: [top, base], upper, options: always });
    if (plain.refusal !== undefined) return this.#unsupported(plain.refusal);
    let xattrWhiteouts: boolean;
    try {
      xattrWhiteouts = !isThereSync(join(plain.target, "covered", "hidden"));
      const wrong = this.#behaviour(plain.target, upper);
      if (wrong !== undefined) return this.#unsupported(wrong);
    } finally {
      await this.#unmount(plain.target);
    }
    const features = await this.#features(base, always);
    return {
      supported: true,
      facts: {
        backing: this.#backing,
        dType: true,
        userNamespace: this.#userNamespace,
        features,
        known: await this.#knownOptions(base, top, always, features),
        xattrWhiteouts,
        idmappedMounts: hasIdmappedMounts(),
      },
    };
  }

  #makeLayers(base: string, top: string): void {
    for (const name of ["deleted", "hidden", "covered/hidden", "replaced/inside"]) {
      Deno.mkdirSync(join(base, name, ".."), { recursive: true });
      Deno.writeTextFileSync(join(base, name), name);
    }
    mknodAt(AT_FDCWD, bytes(join(top, "hidden")), S_IF.CHR, 0o600, 0, 0);
    Deno.mkdirSync(join(top, "covered"));
    Deno.writeTextFileSync(join(top, "covered", "hidden"), "");
    const prefix = this.#userNamespace ? "user" : "trusted";
    try {
      inDirectory(top, (fd) => {
        // The kernel looks for this form only in directories that say so, and only if the layer's top does too.
        for (const name of [".", "covered"]) setXattrAt(fd, bytes(name), bytes(`${prefix}.overlay.opaque`), mixed);
        setXattrAt(fd, bytes("covered/hidden"), bytes(`${prefix}.overlay.whiteout`), yes);
      });
    } catch (error) {
      // No extended attributes: what the mount then does says so in words.
      if (!isErrno(error, "EOPNOTSUPP", "EPERM")) throw error;
    }
  }

  /** What overlayfs does wrong here, if anything: deleted, replaced and hidden names. */
  #behaviour(merged: string, upper: string): string | undefined {
    if (isThereSync(join(merged, "hidden"))) return "a 0/0 device does not hide the name below it";
    try {
      Deno.removeSync(join(merged, "deleted"));
      Deno.removeSync(join(merged, "replaced"), { recursive: true });
      Deno.mkdirSync(join(merged, "replaced"));
    } catch (error) {
      return `deleting in an overlay fails (${messageOf(error)})`;
    }
    const { type, rdevMajor, rdevMinor } = statxAt(AT_FDCWD, bytes(join(upper, "deleted")));
    if (type !== "char" || rdevMajor !== 0 || rdevMinor !== 0) return "a deleted name leaves no 0/0 device";
    const opaque = bytes(`${this.#userNamespace ? "user" : "trusted"}.overlay.opaque`);
    return inDirectory(upper, (fd) => getXattrAt(fd, bytes("replaced"), opaque))?.[0] === yes[0]
      ? undefined
      : "a replaced directory is not marked opaque: the file system keeps no extended attributes for overlayfs";
  }

  async #features(base: string, always: readonly string[]): Promise<Set<OverlayFeature>> {
    const found = new Set<OverlayFeature>(this.#userNamespace ? ["userxattr"] : []);
    for (const feature of OVERLAY_FEATURES) {
      const asked = feature === "volatile" || feature === "userxattr"
        ? [feature]
        : feature === "nfs_export"
        ? ["index=on", "nfs_export=on"]
        : [`${feature}=on`];
      if (found.has(feature)) continue;
      const upper = this.#directory(`upper-${feature}`);
      const trial = await this.#tryMount({ lowers: [base], upper, options: [...asked, ...always] });
      if (trial.refusal !== undefined) continue;
      await this.#unmount(trial.target);
      // Where file handles are missing the kernel mounts without the index and says so in its log only.
      const needsIndex = feature === "index" || feature === "nfs_export";
      if (!needsIndex || isThereSync(join(trial.work, "index"))) found.add(feature);
    }
    return found;
  }

  /** Options that may be given: those of features that were tried, and the `off` forms, together where that works. */
  async #knownOptions(
    base: string,
    top: string,
    always: readonly string[],
    features: ReadonlySet<OverlayFeature>,
  ): Promise<Set<string>> {
    const known = new Set(WANTED_OPTIONS.filter((option) => {
      const [name, value] = option.split("=");
      return value === "on" && features.has(name as OverlayFeature);
    }));
    const others = WANTED_OPTIONS.filter((option) => !option.endsWith("=on") && option !== "xino=auto");
    const add = async (options: readonly string[]) => {
      const trial = await this.#tryMount({ lowers: [top, base], options: [...options, ...always] });
      if (trial.refusal !== undefined) return false;
      await this.#unmount(trial.target);
      options.forEach((option) => known.add(option));
      return true;
    };
    if (!await add(others)) { for (const option of others) await add([option]); }
    await add(["xino=auto"]);
    return known;
  }

  /** `refusal`: why the kernel did not mount it. */
  async #tryMount(
    stack: { lowers: string[]; upper?: string; options: string[] },
  ): Promise<{ target: string; work: string; refusal?: string }> {
    const number = ++this.#trials;
    const target = this.#directory(`merged-${number}`), work = this.#directory(`work-${number}`);
    const writable = stack.upper === undefined ? undefined : { upper: stack.upper, work };
    const mount = overlayMount({ source: "overlay", lowers: stack.lowers, writable, options: stack.options });
    try {
      await mounter.mount([mountAt(mount, target)], { signal: this.operation.signal, timeout_ms: 20_000 });
      return { target, work };
    } catch (error) {
      const refused = isLaminaError(error) && error.code !== "DEADLINE_EXCEEDED" && error.code !== "CANCELLED";
      if (!refused) throw error;
      return { target, work, refusal: error.message };
    }
  }

  async #unmount(target: string): Promise<void> {
    await mounter.unmount([target], { signal: this.operation.signal, timeout_ms: 20_000 });
  }

  #directory(name: string): string {
    const path = join(this.home, name);
    Deno.mkdirSync(path, { recursive: true, mode: 0o755 });
    return path;
  }

  #unsupported(found: string): OverlayProbe {
    const on = this.#backing === "overlay"
      ? "the root lies on an overlay, which cannot hold the upper layer of another. Put the root on a volume or disk"
      : `overlayfs does not work on ${this.#backing} here: ${found}`;
    return { supported: false, reason: on };
  }
}

/** Unmounts what is mounted below `home` and deletes it. */
async function clear(home: string, operation: Operation): Promise<void> {
  const targets = mountsBelow(readMountTable(), home).map(({ target }) => target).reverse();
  // The probe may have been cancelled; cleaning up is not.
  const signal = operation.signal.aborted ? new AbortController().signal : operation.signal;
  if (targets.length > 0) await mounter.unmount(targets, { signal, timeout_ms: 20_000 });
  if (mountsBelow(readMountTable(), home).length > 0) {
    throw new LaminaError("CONFLICT", `Cannot remove ${home}: something is still mounted there. Unmount it`);
  }
  await Deno.remove(home, { recursive: true });
}

function listsTypes(directory: string): boolean {
  return inDirectory(directory, (fd) => (readDirectoryPart(fd) ?? []).every(({ type }) => type !== "unknown"));
}

function inDirectory<T>(path: string, body: (fd: number) => T): T {
  const fd = openDirectoryAt(AT_FDCWD, bytes(path));
  try {
    return body(fd);
  } finally {
    closeFd(fd);
  }
}
