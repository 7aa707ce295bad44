/** The layer engine in the command line's own process: archives of local files. Loaded only when it is needed. */
import type { Operation } from "../core/operation.ts";
import type { ByteStream } from "../services.ts";
import type { LayerEngine } from "../../drivers/storage/layer/engine.ts";

/**
 * Unpacks a tar below a directory; nothing outside of it is touched, whatever the archive says.
 *
 * @param directory Canonical path of an existing directory.
 */
export async function unpackDirectory(stream: ByteStream, directory: string, operation: Operation): Promise<void> {
  await using engine = await openEngine();
  await engine.unpackInto({ stream, root: directory, path: "/" }, operation);
}

/** A tar that is being made. */
export interface PackedFiles extends AsyncDisposable {
  readonly stream: ByteStream;
}

/**
 * A local file or directory as a tar.
 *
 * @param path Absolute; a final link is not followed unless the path ends in `/.`.
 * @param as Name of the top entry; `.`: entries are relative to `path`.
 */
export async function packLocal(path: string, as: string, operation: Operation): Promise<PackedFiles> {
  const engine = await openEngine();
  const source = { kind: "tree", root: "/", path } as const;
  return {
    stream: engine.tar(as === "." ? source : { ...source, as }, operation),
    [Symbol.asyncDispose]: () => Promise.resolve(engine[Symbol.asyncDispose]()),
  };
}

async function openEngine(): Promise<LayerEngine> {
  const { createLayerEngine } = await import("../../drivers/storage/layer/layer_engine.ts");
  return createLayerEngine();
}
