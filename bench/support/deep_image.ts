/** An image with as many tiny layers as one likes. */
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { writeOciLayout } from "../../tests/support/oci_layout.ts";

/** Writes an OCI layout whose layer N holds the file `/layers/N`. */
export async function writeDeepImage(directory: string, reference: string, depth: number): Promise<void> {
  const tree = `${directory}.tree`;
  await Deno.mkdir(join(tree, "layers"), { recursive: true });
  const layers = [];
  for (let index = 0; index < depth; index++) {
    await Deno.writeTextFile(join(tree, "layers", String(index)), `${index}\n`);
    await commandOutput("tar", ["-cf", `${tree}.tar`, "--numeric-owner", "-C", tree, `layers/${index}`]);
    layers.push({ tar: await Deno.readFile(`${tree}.tar`), createdBy: `layer ${index}` });
  }
  await Deno.remove(tree, { recursive: true });
  await Deno.remove(`${tree}.tar`);
  await writeOciLayout(directory, { reference, layers, config: { Cmd: ["/bin/true"] } });
}
