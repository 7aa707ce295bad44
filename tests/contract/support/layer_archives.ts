/** Layer archives for tests: made by GNU tar, applied by the driver. */
import { join } from "@std/path/posix";
import { createHash } from "node:crypto";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { commandOutput } from "../../../runtime/host/command.ts";
import type { Digest, SnapshotKey } from "../../../runtime/core/ids.ts";
import type { AppliedLayer, Compression, TarStream } from "../../../drivers/storage/layer/types.ts";
import type { ApplyRequest } from "../../../drivers/storage/port.ts";
import { type DriverFixture, keyOf } from "./driver_fixture.ts";

/**
 * The archive of a directory that `script` fills (`.wh.` names are ordinary files to it).
 *
 * @param options `names`: the entries to pack instead of the directory itself; `args`: more for GNU tar.
 */
export async function archive(
  f: DriverFixture,
  script: string,
  options: { readonly names?: readonly string[]; readonly args?: readonly string[] } = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const directory = await Deno.makeTempDir({ dir: f.scratch.path });
  await commandOutput("sh", ["-euc", script], { cwd: directory });
  const path = `${directory}.tar`;
  const args = options.args ?? ["--format=pax", "--xattrs", "--xattrs-include=*"];
  const what = ["-C", directory, "-cf", path, ...(options.names ?? ["."])];
  await commandOutput("tar", ["--sort=name", "--numeric-owner", ...args, ...what]);
  return await Deno.readFile(path);
}

/** `sha256:…` of some bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
}

/** Compresses. */
export function compress(bytes: Uint8Array<ArrayBuffer>, compression: Compression): Uint8Array<ArrayBuffer> {
  if (compression === "gzip") return new Uint8Array(gzipSync(bytes));
  if (compression === "zstd") return new Uint8Array(zstdCompressSync(bytes));
  return bytes;
}

/** The bytes as a stream of small pieces. */
export function streamOf(bytes: Uint8Array<ArrayBuffer>, piece_bytes = 10_000): TarStream {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close();
      else controller.enqueue(bytes.slice(at, at += piece_bytes));
    },
  });
}

/** All bytes of a stream. */
export async function bytesOfStream(stream: TarStream): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** What an `apply` may be given besides the archive. */
export interface ApplyOptions extends Partial<Omit<ApplyRequest, "name" | "parent" | "blob">> {
  readonly digest?: Digest;
  readonly diffId?: Digest;
  readonly name?: (diffId: Digest) => SnapshotKey;
}

/** Applies an archive (or a stream of one) as the committed snapshot `name`. */
export function apply(
  f: DriverFixture,
  name: string,
  parent: string | undefined,
  archive: Uint8Array<ArrayBuffer> | TarStream,
  options: ApplyOptions = {},
): Promise<AppliedLayer> {
  const { digest, diffId, ...request } = options;
  const source = archive instanceof ReadableStream ? archive : streamOf(archive);
  return f.driver.apply({
    name: keyOf(name),
    parent: parent === undefined ? undefined : keyOf(parent),
    parentReady: Promise.resolve(),
    recipePath: f.recipe(name),
    ...request,
    blob: { source, compression: "auto", digest, diffId },
  }, f.operation);
}

/** Everything that an `apply` might have left: rows, directories, recipes. */
export async function traces(f: DriverFixture): Promise<string[]> {
  await f.driver.cleanup(f.operation);
  const found = (await f.keys()).map((key) => `row ${key}`);
  found.push(...await f.leftovers());
  for await (const { name } of Deno.readDir(join(f.scratch.path, "recipes"))) found.push(`recipes/${name}`);
  return found;
}
