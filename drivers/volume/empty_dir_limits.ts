/** What enforces `sizeLimit` on disk, where the file system of the root can: project quotas, or btrfs quota groups. */
import { join } from "@std/path/posix";
import { hostError } from "../../runtime/host/errno_errors.ts";
import { projectOf, projectQuotaState } from "../../runtime/host/project_quota.ts";
import { makeDirectoryDurably } from "../../runtime/host/durable.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import { isSubvolume, limitedProject } from "./directory_usage.ts";
import type { PluginContext } from "./plugin_context.ts";
import type { SizedBacking } from "./sized/port.ts";
import { type KnownTree, SizedPlace } from "./sized/sized_place.ts";

/** See the head of the file. */
export class EmptyDirLimits {
  readonly #context: PluginContext;
  #place: Promise<SizedPlace> | undefined;

  constructor(context: PluginContext) {
    this.#context = context;
  }

  /** Makes a limited directory (0777). @returns false: nothing here can enforce it, and nothing was made. */
  async make(path: string, size_bytes: number, operation: Operation): Promise<boolean> {
    const backing = enforcing(await this.#open());
    if (backing === undefined) return false;
    await backing.make(path, { size_bytes, fs_type: "none", sparse: false, mode: 0o777 }, operation);
    return true;
  }

  /** Why `make` answers false, as a clause. */
  async whyNot(): Promise<string> {
    const { facts, type } = await this.#open();
    const wanted = type === "btrfs" ? "btrfs" : "quota";
    return facts.find(({ backing }) => backing === wanted)!.why;
  }

  /** Deletes a directory that was made here, or a plain one. */
  async remove(path: string, operation: Operation): Promise<void> {
    const backing = await this.#backingOf(path);
    if (backing === undefined) await this.#context.engine.removeTree(path, operation);
    else await backing.remove(path, operation);
  }

  /** Asked from the directory itself: what made it may have been another process. */
  async #backingOf(path: string): Promise<SizedBacking | undefined> {
    try {
      const info = await Deno.lstat(path);
      if (isSubvolume(path, info)) return (await this.#open()).backing("btrfs");
      return limitedProject(path) === undefined ? undefined : (await this.#open()).backing("quota");
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw hostError(error, `Cannot look at ${path}`, { path });
    }
  }

  /** Opened at first use: a root whose pods have no limits never needs it. */
  #open(): Promise<SizedPlace> {
    this.#place ??= this.#openPlace().catch((error) => {
      this.#place = undefined;
      throw error;
    });
    return this.#place;
  }

  async #openPlace(): Promise<SizedPlace> {
    const { layout, engine } = this.#context;
    const directory = join(layout.root, "empty-dirs");
    await makeDirectoryDurably(directory, 0o700);
    return await SizedPlace.open(directory, engine, await limitedDirectories(layout.root));
  }
}

/** ext4 does as well: it holds all but processes with CAP_SYS_RESOURCE, which containers do not have. */
function enforcing(place: SizedPlace): SizedBacking | undefined {
  const works = (name: string) => place.facts.some((fact) => fact.backing === name && fact.works);
  const { type, directory } = place;
  const onExt4 = type === "ext4" && projectQuotaState(directory) === "enforced" && !projectOf(directory).inherited;
  if (works("quota") || onExt4) return place.backing("quota");
  return works("btrfs") ? place.backing("btrfs") : undefined;
}

/** Those of all pods, and what is on its way to the trash: their limits are in the kernel's own records. */
async function limitedDirectories(root: string): Promise<KnownTree[]> {
  const found: KnownTree[] = [];
  const add = (path: string) => {
    const project = limitedProject(path);
    if (project !== undefined) found.push({ path, backing: "quota", size_bytes: project.limit_bytes });
  };
  for (const pod of await namesIn(join(root, "pods"))) {
    const directory = join(root, "pods", pod, "volumes", "kubernetes.io~empty-dir");
    for (const name of await namesIn(directory)) add(join(directory, name));
  }
  for (const place of ["staging", "trash"]) {
    for (const name of await namesIn(join(root, place))) add(join(root, place, name));
  }
  return found;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(directory))).filter(({ isDirectory }) => isDirectory)
      .map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw hostError(error, `Cannot read ${directory}`, { path: directory });
  }
}
