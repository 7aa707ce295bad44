/** What an archive says that can only be done once all of it was read. Bounded, because it is held in memory. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { LaminaError } from "../../../runtime/core/errors.ts";
import { PathSet } from "./path_set.ts";

/** A hard link of which the target was not there yet. */
export interface DeferredLink {
  readonly path: ByteString;
  readonly target: ByteString;
  /** As in the archive, for messages. */
  readonly name: ByteString;
}

/** Names that may be remembered, in bytes with what they cost besides. */
const MAX_REMEMBERED_BYTES = 96 << 20;
const COST_OF_ONE_BYTES = 64;

/** See the head of the file. */
export class Deferred {
  /** What is hidden of the lower layers: a path, or everything in a directory. */
  readonly whiteouts = new Map<ByteString, { hides: boolean; opaque: boolean }>();
  readonly links: DeferredLink[] = [];
  /** Directories that exist because of what is in them, not because the archive names them. */
  readonly implied = new Set<ByteString>();
  /** Everything that the archive put into the tree, with the directories on the way; only kept where it is needed. */
  readonly added = new PathSet();
  /** Directories among {@linkcode added} that have an entry of their own. */
  readonly named = new PathSet();
  /** Files that have their content by a hard link and not by an entry of their own. */
  readonly linked = new PathSet();
  #remembered_bytes = 0;

  hide(path: ByteString): void {
    this.remember(path);
    const known = this.whiteouts.get(path);
    if (known === undefined) this.whiteouts.set(path, { hides: true, opaque: false });
    else known.hides = true;
  }

  makeOpaque(path: ByteString): void {
    this.remember(path);
    const known = this.whiteouts.get(path);
    if (known === undefined) this.whiteouts.set(path, { hides: false, opaque: true });
    else known.opaque = true;
  }

  link(link: DeferredLink): void {
    this.remember(link.path);
    this.remember(link.target);
    this.links.push(link);
  }

  imply(path: ByteString): void {
    this.remember(path);
    this.implied.add(path);
  }

  /** Adds a path and its parents to {@linkcode added}. */
  add(path: ByteString): void {
    for (let at: ByteString = path; at !== "" && !this.added.has(at);) {
      this.added.add(at);
      at = at.slice(0, Math.max(0, at.lastIndexOf("/"))) as ByteString;
    }
  }

  /** Counts a name that somebody keeps. */
  remember(path: ByteString): void {
    this.#remembered_bytes += path.length + COST_OF_ONE_BYTES;
    if (this.#remembered_bytes <= MAX_REMEMBERED_BYTES) return;
    throw new LaminaError(
      "RESOURCE_EXHAUSTED",
      `The archive has too many whiteouts, directories without an entry, replaced files and links into other layers: ` +
        `their names exceed ${MAX_REMEMBERED_BYTES} bytes. Split the layer`,
      { details: { limit_bytes: MAX_REMEMBERED_BYTES } },
    );
  }
}
