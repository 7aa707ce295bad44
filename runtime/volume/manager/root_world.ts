/** Roots of containers that are kept mounted: who has one, and whether it is whole. */
import type { MountEntry } from "../../core/mountinfo.ts";
import type { Operation } from "../../core/operation.ts";
import type { KeptRoot } from "./port.ts";
import type { RootFacts } from "./states.ts";
import { type RootMemory, verifyRoot } from "./verify.ts";

interface Entry {
  readonly root: KeptRoot;
  memory?: RootMemory;
  broken: boolean;
}

/** See the head of the file. */
export class RootWorld {
  readonly #roots = new Map<string, Entry>();
  readonly #broken = new Map<string, RootFacts>();

  get size(): number {
    return this.#roots.size;
  }

  /** For the plan: those that are not whole. */
  facts(): Iterable<RootFacts> {
    return this.#broken.values();
  }

  get(id: string): KeptRoot | undefined {
    return this.#roots.get(id)?.root;
  }

  keep(root: KeptRoot): void {
    this.#roots.set(root.id, { root, broken: false });
    this.#broken.delete(root.id);
  }

  drop(id: string): void {
    this.#roots.delete(id);
    this.#broken.delete(id);
  }

  /** Compares with the mounts by container id. @returns those that have just been found not to be whole. */
  verify(groups: ReadonlyMap<string, readonly MountEntry[]>): KeptRoot[] {
    const found: KeptRoot[] = [];
    for (const [id, entry] of this.#roots) {
      const verdict = verifyRoot(entry.root, groups.get(id) ?? [], entry.memory);
      if (verdict !== "lost") {
        entry.memory = verdict;
        this.#mend(id, entry);
      } else if (!entry.broken) {
        entry.broken = true;
        this.#broken.set(id, { id, broken: true });
        found.push(entry.root);
      }
    }
    return found;
  }

  /** Lets the owner mount what is missing. It is looked at anew afterwards. */
  async repair(id: string, operation: Operation): Promise<void> {
    const entry = this.#roots.get(id);
    if (entry === undefined) return;
    await entry.root.repair(operation);
    // What is there now is what there is to be, be it that others had mounted something that is gone.
    entry.memory = undefined;
    this.#mend(id, entry);
  }

  #mend(id: string, entry: Entry): void {
    entry.broken = false;
    if (this.#roots.get(id) === entry) this.#broken.delete(id);
  }
}
