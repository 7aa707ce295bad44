/**
 * Watches for what failed steps miss on the host: a hostPath that does not exist yet, or is of another kind. When it
 * comes, or changes, the step is tried at once. As long as nothing is missing, nothing is watched.
 */
import { awaitedOf, type AwaitedPath } from "../../../drivers/volume/awaited_path.ts";
import type { Failure } from "./backoff.ts";
import type { ManagerHost } from "./manager_host.ts";

/** Changes that come within this time are looked at together. */
const TOGETHER_MS = 50;

/** See the head of the file. */
export class SourceWatch {
  readonly #host: ManagerHost;
  readonly #retry: (failureId: string) => void;
  #awaited: ReadonlyMap<string, AwaitedPath> = new Map();
  #watching: { readonly directories: string; readonly stop: AbortController } | undefined;
  #stopLook: (() => void) | undefined;
  #look: "none" | "running" | "again" = "none";

  constructor(host: ManagerHost, retry: (failureId: string) => void) {
    this.#host = host;
    this.#retry = retry;
  }

  /** What has failed and is not due yet. Called at each pass: costs nothing where nothing waits for a path. */
  update(failures: Iterable<Failure>): void {
    const awaited = new Map<string, AwaitedPath>();
    for (const { id, error, next_ms } of failures) {
      const path = next_ms === 0 ? undefined : awaitedOf(error);
      if (path !== undefined) awaited.set(id, path);
    }
    const isNew = [...awaited.keys()].some((id) => !this.#awaited.has(id));
    this.#awaited = awaited;
    if (awaited.size === 0) this.stop();
    else if (isNew) this.#soon();
  }

  get isNeeded(): boolean {
    return this.#awaited.size > 0;
  }

  /** Something may have come: a directory changed, or the mount table. */
  changed(): void {
    if (this.isNeeded) this.#soon();
  }

  stop(): void {
    this.#watching?.stop.abort();
    this.#watching = undefined;
    this.#stopLook?.();
    this.#stopLook = undefined;
  }

  #soon(): void {
    this.#stopLook ??= this.#host.timer(TOGETHER_MS, () => {
      this.#stopLook = undefined;
      void this.#lookNow();
    }, true);
  }

  /** A path on a server that does not answer holds up the others for some seconds. */
  async #lookNow(): Promise<void> {
    if (this.#look !== "none") {
      this.#look = "again";
      return;
    }
    this.#look = "running";
    try {
      const directories = new Set<string>();
      for (const { path } of this.#awaited.values()) directories.add(await this.#host.directoryAbove(path));
      // First the watch, then the look: what comes in between is seen by one of them.
      if (this.#watchAll([...directories].sort())) return this.#soon();
      for (const [id, { path, inode }] of this.#awaited) {
        if (await this.#host.inodeAt(path) !== inode) this.#retry(id);
      }
    } finally {
      if ((this.#look as string) === "again") this.#soon();
      this.#look = "none";
    }
  }

  /** @returns whether the watch is a new one. */
  #watchAll(directories: readonly string[]): boolean {
    const key = directories.join("\0");
    if (this.#watching?.directories === key || !this.isNeeded) return false;
    this.#watching?.stop.abort();
    const stop = new AbortController();
    this.#watching = { directories: key, stop };
    this.#host.watchDirectories(directories, () => this.changed(), stop.signal);
    return true;
  }
}
