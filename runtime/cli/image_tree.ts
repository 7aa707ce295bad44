/** Images and their layers as a tree. Pure. */
import type { Image } from "../core/specs/image.ts";
import { counted, humanSize, printable, shortId } from "./human.ts";

/** Lines: each image, below it its layers from the base up, with sizes and how many images share them. */
export function treeLines(images: readonly Image[]): string[] {
  return images.flatMap((image) => {
    const names = image.references.join(", ") || "<none>";
    const sizes = `${humanSize(image.size_bytes)}, ${humanSize(image.unique_bytes)} of it its own`;
    return [
      `${names}  ${shortId(image.id)}  ${image.platform}  ${sizes}`,
      ...image.layer_list.map((layer, i) => {
        const branch = i === image.layer_list.length - 1 ? "└─" : "├─";
        const shared = layer.shared_by > 1 ? `shared by ${counted(layer.shared_by, "image")}` : "its own";
        const by = layer.created_by === undefined ? "" : `  ${printable(layer.created_by).slice(0, 60)}`;
        return `${branch} ${shortId(layer.chain_id)}  ${humanSize(layer.size_bytes).padStart(9)}  ${shared}${by}`;
      }),
    ];
  });
}
