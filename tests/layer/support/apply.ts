/** Applying hand-made archives without a worker, and looking at what became of them. */
import { type ByteString, byteStringFromText, displayName } from "../../../runtime/core/bytes.ts";
import type { WhiteoutForm } from "../../../drivers/storage/layer/engine.ts";
import { unpackJob } from "../../../drivers/storage/layer/apply_layer.ts";
import type { JobContext } from "../../../drivers/storage/layer/job_protocol.ts";
import { reassemble } from "../../../drivers/storage/layer/recipe_reader.ts";
import { type AppliedLayer, DEFAULT_LAYER_LIMITS, type LayerLimits } from "../../../drivers/storage/layer/types.ts";
import { walkTree } from "../../../drivers/storage/layer/walk_tree.ts";
import { closeFd, openAt, openToReadAt, readFd, readlinkAt } from "../../../runtime/host/fs_calls.ts";
import { AT_FDCWD, O_DIRECTORY, O_RDONLY } from "../../../runtime/host/openat2.ts";
import { getXattr } from "../../../runtime/host/xattr_calls.ts";
import { scratchDirectory } from "../../support/scratch.ts";
import { archive, concat, type HandEntry } from "./tar_builder.ts";
import { sh } from "./trees.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** How an archive is applied. */
export interface ApplyTest {
  readonly form?: WhiteoutForm;
  readonly lowers?: readonly string[];
  readonly limits?: Partial<LayerLimits>;
  readonly recipePath?: string;
  readonly diffId?: string;
  readonly digest?: string;
  readonly chunk_bytes?: number;
}

/** A job's context that feeds `bytes` and answers `lowers`. */
export function inlineContext(bytes: Bytes, options: ApplyTest = {}): JobContext & { asked: number } {
  const size = options.chunk_bytes ?? 1 << 16;
  let at = 0;
  return {
    asked: 0,
    progress: () => {},
    throwIfCancelled: () => {},
    emitChunk: () => Promise.resolve(),
    emit: () => Promise.resolve(),
    nextChunk() {
      const chunk = bytes.slice(at, at += size);
      return Promise.resolve(chunk.length === 0 ? undefined : chunk);
    },
    askMain() {
      this.asked++;
      return Promise.resolve(options.lowers ?? []);
    },
  };
}

/** Applies an archive to `directory`, which is made if need be. */
export async function apply(bytes: Bytes, directory: string, options: ApplyTest = {}): Promise<AppliedLayer> {
  await Deno.mkdir(directory, { recursive: true });
  return await unpackJob({
    compression: "auto",
    directory,
    whiteouts: options.form ?? "overlay",
    asksLowers: options.lowers !== undefined,
    recipePath: options.recipePath,
    digest: options.digest,
    diffId: options.diffId,
    limits: { ...DEFAULT_LAYER_LIMITS, ...options.limits },
  }, inlineContext(bytes, options));
}

/** The original archive from its recipe. */
export function reassembled(recipePath: string, tree: string): Bytes {
  return concat([...reassemble(recipePath, tree)]);
}

/**
 * A tree as path -> short description: `dir`, `dir opaque`, `file CONTENT` (at most 60 bytes), `-> TARGET`, `whiteout`,
 * `char 1:3`, `fifo`, …; in the order of the names, without the root unless that is opaque.
 */
export function treeOf(directory: string): Record<string, string> {
  const fd = openAt(AT_FDCWD, byteStringFromText(directory), O_RDONLY | O_DIRECTORY);
  const found: Record<string, string> = {};
  try {
    for (const node of walkTree(fd)) {
      if (node.phase === "leave") continue;
      const { type, rdevMajor, rdevMinor } = node.status;
      const device = `${rdevMajor}:${rdevMinor}`;
      let text: string = type;
      if (type === "directory") text = isOpaque(node.fd) ? "dir opaque" : "dir";
      if (type === "symlink") text = `-> ${displayName(readlinkAt(node.parentFd, node.name))}`;
      if (type === "file") text = `file ${contentOf(node.parentFd, node.name)}`.trimEnd();
      if (type === "char" || type === "block") text = device === "0:0" ? "whiteout" : `${type} ${device}`;
      if (node.path !== "" || text === "dir opaque") found[displayName(node.path)] = text;
    }
  } finally {
    closeFd(fd);
  }
  return found;
}

function isOpaque(fd: number): boolean {
  const values = ["trusted", "user"].map((kind) => getXattr(fd, `${kind}.overlay.opaque` as ByteString));
  return values.some((value) => value?.[0] === 0x79);
}

function contentOf(dirFd: number, name: ByteString): string {
  const fd = openToReadAt(dirFd, name);
  try {
    const buffer = new Uint8Array(60);
    return new TextDecoder().decode(buffer.subarray(0, readFd(fd, buffer)));
  } finally {
    closeFd(fd);
  }
}

/** `stat -c FORMAT` of names in a directory. */
export async function stat(directory: string, format: string, ...names: string[]): Promise<string[]> {
  const list = names.map((name) => `'${name}'`).join(" ");
  return (await sh(directory, `stat -c '${format}' ${list}`)).trim().split("\n");
}

/** Applies entries to a fresh directory and looks at it. */
export async function unpacked(
  entries: ReadonlyArray<HandEntry | Bytes>,
  look: (path: string) => Promise<void>,
  options: Parameters<typeof apply>[2] = {},
): Promise<void> {
  await using scratch = await scratchDirectory();
  await apply(archive(entries), `${scratch.path}/layer`, options);
  await look(`${scratch.path}/layer`);
}
