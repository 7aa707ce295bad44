/** Flags that a user namespace got from outside and may not take away: `LAMINA_TEST_LOCKED` names such a mount. */
import { assertEquals } from "@std/assert";
import type { Mounter } from "../../../runtime/host/mounter.ts";
import { rootTest, scratchDirectory } from "../../support/scratch.ts";
import { Place } from "./place.ts";

/** See the head of the file. */
export function lockedFlagCases(name: string, makeMounter: () => Mounter): void {
  rootTest(`${name}: a bind of a mount with locked flags gets its options and keeps those`, async () => {
    await using scratch = await scratchDirectory();
    const p = new Place(makeMounter(), scratch.path);
    await p.directories("a", "b", "c");
    const locked = Deno.env.get("LAMINA_TEST_LOCKED")!;
    const bind = (target: string, ...options: string[]) => ({ ...p.bind("", target, ...options), source: locked });
    await p.mount(bind("a", "ro"));
    p.has("a", "ro", "nosuid", "nodev", "noexec", "noatime");
    await p.mount(bind("b", "rw", "nosuid"), { ...bind("c", "ro"), options: ["rbind", "ro"] });
    p.has("b", "rw", "nosuid", "nodev", "noexec", "noatime");
    p.has("c", "ro", "nosuid", "nodev", "noexec", "noatime");
    await p.mount(bind("a", "remount", "bind", "ro", "nosuid"));
    p.has("a", "ro", "nosuid", "nodev", "noexec", "noatime");
    await p.unmount("a", "b", "c");
    assertEquals(p.mounts(), []);
  });
}
