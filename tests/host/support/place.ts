/** A scratch directory for the mounter's tests, with short words for what they do. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type ErrorCode, LaminaError } from "../../../runtime/core/errors.ts";
import type { Mount } from "../../../runtime/core/mount.ts";
import type { MountEntry } from "../../../runtime/core/mountinfo.ts";
import { readMountTable } from "../../../runtime/host/mount_table.ts";
import type { Mounter } from "../../../runtime/host/mounter.ts";
import { escapeOverlayDirectory } from "../../../runtime/host/overlay_options.ts";

/** Waits for as long as it takes. */
export const patience = { signal: new AbortController().signal };

/** See the head of the file. */
export class Place {
  constructor(readonly mounter: Mounter, readonly path: string) {}

  at(name: string): string {
    return `${this.path}/${name}`;
  }
  async directories(...names: string[]): Promise<void> {
    for (const name of names) await Deno.mkdir(this.at(name), { recursive: true });
  }
  write(name: string, text: string): Promise<void> {
    return Deno.writeTextFile(this.at(name), text);
  }
  read(name: string): Promise<string> {
    return Deno.readTextFile(this.at(name));
  }
  bind(source: string, target: string, ...options: string[]): Mount {
    return { type: "bind", source: this.at(source), target: this.at(target), options };
  }
  tmpfs(target: string, ...options: string[]): Mount {
    return { type: "tmpfs", source: "tmpfs", target: this.at(target), options };
  }
  overlay(target: string, lower: string[], ...options: string[]): Mount {
    const lowerdir = lower.map((name) => escapeOverlayDirectory(this.at(name))).join(":");
    return {
      type: "overlay",
      source: "overlay",
      target: this.at(target),
      options: [`lowerdir=${lowerdir}`, ...options],
    };
  }
  mount(...mounts: Mount[]): Promise<void> {
    return this.mounter.mount(mounts, patience);
  }
  unmount(...names: string[]): Promise<void> {
    return this.mounter.unmount(names.map((name) => this.at(name)), patience);
  }
  /** Mounts at the place and below. */
  mounts(): MountEntry[] {
    return readMountTable().filter(({ target }) => target === this.path || target.startsWith(`${this.path}/`));
  }
  entry(name: string): MountEntry {
    const entry = this.mounts().findLast(({ target }) => target === this.at(name));
    assert(entry !== undefined, `nothing is mounted at ${name}`);
    return entry;
  }
  has(name: string, ...options: string[]): void {
    const found = this.entry(name).options;
    for (const option of options) assert(found.includes(option), `${name} lacks ${option}: ${found}`);
  }
  lacks(name: string, ...options: string[]): void {
    const found = this.entry(name).options;
    for (const option of options) assert(!found.includes(option), `${name} has ${option}: ${found}`);
  }
  async fails(mounts: Mount[], code: ErrorCode, ...says: string[]): Promise<LaminaError> {
    const error = await assertRejects(() => this.mount(...mounts), LaminaError);
    assertEquals(error.code, code, error.message);
    for (const text of says) assertStringIncludes(error.message, text);
    return error;
  }
}

/** Registers a test with a place of its own. */
export type PlaceTest = (sentence: string, body: (place: Place) => Promise<void>) => void;
