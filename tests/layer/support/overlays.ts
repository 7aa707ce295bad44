/** Real overlay mounts for the tests of the layer engine. */
import type { OverlaySource } from "../../../drivers/storage/layer/diff_overlay.ts";
import { overlayChanges } from "../../../drivers/storage/layer/diff_overlay.ts";
import { publicChange } from "../../../drivers/storage/layer/tree_change.ts";
import { sh } from "./trees.ts";

/** Options that Lamina mounts with: an upper directory holds whole files and whole directories. */
const OPTIONS = "metacopy=off,redirect_dir=off,index=off";

/** A stack of layers, bottom first, each made by a shell script in a mounted overlay on those before. */
export async function overlayStack(directory: string, scripts: readonly string[]): Promise<OverlaySource> {
  const layers: string[] = [];
  await sh(directory, "mkdir -p merged");
  for (const [index, script] of scripts.entries()) {
    const upper = `${directory}/upper${index}`;
    await sh(directory, `mkdir upper${index} work${index}`);
    if (layers.length === 0) await sh(upper, script);
    else {
      const lower = layers.toReversed().join(":");
      await sh(
        directory,
        `mount -t overlay o -o lowerdir=${lower},upperdir=${upper},workdir=work${index},${OPTIONS} merged`,
      );
      try {
        await sh(`${directory}/merged`, script);
      } finally {
        await sh(directory, "umount merged");
      }
    }
    layers.push(upper);
  }
  const upper = layers.pop()!;
  return { kind: "overlay", upper, lowers: layers.reverse(), form: "overlay" };
}

/** Mounts layers, topmost first, read-only while `work` runs. */
export async function withOverlay<T>(
  directory: string,
  layers: readonly string[],
  work: (path: string) => Promise<T>,
): Promise<T> {
  const path = `${directory}/view`;
  const lower = layers.length === 1 ? `${layers[0]}:${directory}/empty` : layers.join(":");
  await sh(directory, `mkdir -p view empty; mount -t overlay o -o ro,lowerdir=${lower} view`);
  try {
    return await work(path);
  } finally {
    await sh(directory, "umount view");
  }
}

/** The changes as lines in Docker's manner: `A /path`. */
export function changeLines(source: OverlaySource): string[] {
  return [...overlayChanges(source)].map(publicChange).map(({ kind, path }) =>
    `${{ added: "A", modified: "C", deleted: "D" }[kind]} ${path}`
  );
}
