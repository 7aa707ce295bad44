/** Guests for tests that boot some themselves. */
import { commandOutput } from "../../runtime/host/command.ts";
import { ensureGuestImage, type GuestImage, whyNoGuest } from "./guest_image.ts";
import { GUEST_CACHE } from "./guest_part.ts";

const why = await whyNoGuest();

/** A test that boots a guest; where none can be had it is ignored and its name says why. */
export function guestTest(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test({
    name: why === undefined ? name : `${name} (ignored: ${why})`,
    ignore: why !== undefined,
    sanitizeOps: false,
    sanitizeResources: false,
    fn,
  });
}

/** The guest's image; built if it has to be. */
export function testGuest(): Promise<GuestImage> {
  return ensureGuestImage(GUEST_CACHE, undefined, () => {});
}

/** The image of a tree that holds `file` only, in `directory`. */
export async function emptyTree(directory: string): Promise<string> {
  const [tree, image] = [`${directory}/tree`, `${directory}/tree.erofs`];
  await Deno.mkdir(tree);
  await Deno.writeTextFile(`${tree}/file`, "in the tree\n");
  await commandOutput("mkfs.erofs", [image, tree]);
  return image;
}
