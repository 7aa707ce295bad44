/** What the plan asks for, as a table: worlds in a line, operations in a line. */
import { assertEquals } from "@std/assert";
import { plan } from "../../runtime/volume/manager/plan.ts";
import { parseWorlds } from "./support/worlds.ts";

/**
 * desired | volumes | devices | circumstances -> operations.
 *
 * A volume is `UID/NAME:KIND` with KIND of `own` (no device), `att` (attached and mounted), `dev` (mounted, not
 * attached); `@ID` names its device, `!` makes it exclusive, `#N` its revision, `~N` its refresh, `+N` its size. States:
 * `M`ounted, `U`ncertain, `N`otMounted. A device is `ID=ATTACH,DEVICE`. Circumstances: `early` (wishes incomplete),
 * `busy KEY`, `wait OPERATION`, `broken ROOT`.
 */
const table: ReadonlyArray<readonly [title: string, worlds: string, operations: string]> = [
  // Nothing to do.
  ["two empty worlds", "| | |", ""],
  ["up as wanted", "a/v:own | a/v:own=M | |", ""],
  ["up with its device", "a/v:dev@d | a/v:dev@d=M | d=N,G |", ""],
  ["up with its attached device", "a/v:att@d | a/v:att@d=M | d=Y,G |", ""],
  ["two pods on one device", "a/v:dev@d b/v:dev@d | a/v:dev@d=M b/v:dev@d=M | d=N,G |", ""],
  // Up.
  ["a new volume", "a/v:own | | |", "volume_mount a/v"],
  [
    "three volumes of a pod, in their order",
    "a/x:own a/y:own a/z:own | | |",
    "volume_mount a/x; volume_mount a/y; volume_mount a/z",
  ],
  ["what failed for good is tried again", "a/v:own | a/v:own=N | |", "volume_mount a/v"],
  ["what is uncertain is set up while wanted", "a/v:own | a/v:own=U | |", "volume_mount a/v"],
  ["one of two is missing", "a/x:own a/y:own | a/x:own=M | |", "volume_mount a/y"],
  ["a device comes before its volume", "a/v:dev@d | | |", "mount_device d"],
  ["an uncertain device is mounted", "a/v:dev@d | | d=N,U |", "mount_device d"],
  ["a device that is not mounted any more", "a/v:dev@d | | d=N,N |", "mount_device d"],
  ["its volume after the device", "a/v:dev@d | | d=N,G |", "volume_mount a/v"],
  ["attached first", "a/v:att@d | | |", "attach d"],
  ["attachment uncertain", "a/v:att@d | | d=U,N |", "attach d"],
  ["then its device is mounted", "a/v:att@d | | d=Y,N |", "mount_device d"],
  ["attached, mounted, then the volume", "a/v:att@d | | d=Y,G |", "volume_mount a/v"],
  ["two pods attach once", "a/v:att@d b/v:att@d | | |", "attach d"],
  ["two pods mount a device once", "a/v:dev@d b/v:dev@d | | |", "mount_device d"],
  ["one call a device at a time", "a/v:dev@d b/v:dev@d | | d=N,G |", "volume_mount a/v"],
  ["the second follows the first", "a/v:dev@d b/v:dev@d | a/v:dev@d=M | d=N,G |", "volume_mount b/v"],
  ["without a device both at once", "a/v:own@d b/v:own@d | | |", "volume_mount a/v; volume_mount b/v"],
  ["different devices at once", "a/x:dev@d a/y:dev@e | | |", "mount_device d; mount_device e"],
  [
    "a pod with volumes at every stage",
    "a/x:att@d a/y:dev@e a/z:own | | d=Y,N e=N,G |",
    "mount_device d; volume_mount a/y; volume_mount a/z",
  ],
  // A device that was lost under a volume that is up.
  ["the device is mounted again", "a/v:dev@d | a/v:dev@d=M | d=N,U |", "mount_device d"],
  ["and attached again", "a/v:att@d | a/v:att@d=M | d=U,G |", "attach d"],
  // Changes.
  ["another revision is set up anew", "a/v:own#2 | a/v:own=M#1 | |", "volume_mount a/v again"],
  ["an object has changed", "a/v:own~2 | a/v:own=M~1 | |", "volume_mount a/v again"],
  ["the object of a volume that is not up", "a/v:own~2 | a/v:own=U~1 | |", "volume_mount a/v"],
  ["larger than it is", "a/v:dev@d+20 | a/v:dev@d=M+10 | d=N,G |", "expand a/v"],
  ["its size is not known yet", "a/v:dev@d+20 | a/v:dev@d=M | d=N,G |", "expand a/v"],
  ["large enough", "a/v:dev@d+20 | a/v:dev@d=M+20 | d=N,G |", ""],
  ["it never shrinks", "a/v:dev@d+10 | a/v:dev@d=M+20 | d=N,G |", ""],
  ["set up before it grows", "a/v:dev@d+20#2 | a/v:dev@d=M+10#1 | d=N,G |", "volume_mount a/v again"],
  ["not grown while it is not up", "a/v:dev@d+20 | a/v:dev@d=U+10 | d=N,G |", "volume_mount a/v"],
  [
    "one of two pods grows a volume",
    "a/v:dev@d+20 b/v:dev@d+20 | a/v:dev@d=M+10 b/v:dev@d=M+10 | d=N,G |",
    "expand a/v",
  ],
  ["another volume under the name: out first", "a/v:own@new | a/v:own@old=M | |", "volume_unmount a/v"],
  ["another device under the name: out first", "a/v:dev@new | a/v:dev@old=M | old=N,G |", "volume_unmount a/v"],
  ["then in", "a/v:dev@new | | old=N,G |", "mount_device new; unmount_device old"],
  // Down.
  ["nobody wants it", "| a/v:own=M | |", "volume_unmount a/v"],
  ["uncertain and unwanted: torn down", "| a/v:own=U | |", "volume_unmount a/v"],
  ["failed and unwanted: looked after as well", "| a/v:own=N | |", "volume_unmount a/v"],
  ["volumes of a pod together", "| a/x:own=M a/y:own=U | |", "volume_unmount a/x; volume_unmount a/y"],
  ["the volume before its device", "| a/v:dev@d=M | d=N,G |", "volume_unmount a/v"],
  ["then its device", "| | d=N,G |", "unmount_device d"],
  ["an uncertain device", "| | d=N,U |", "unmount_device d"],
  ["unmounted before it is detached", "| | d=Y,G |", "unmount_device d"],
  ["then detached", "| | d=Y,N |", "detach d"],
  ["attachment uncertain: detached", "| | d=U,N |", "detach d"],
  ["nothing of it is left: forgotten", "| | d=N,N |", "detach d"],
  ["a device stays for the other pod", "b/v:dev@d | a/v:dev@d=M b/v:dev@d=M | d=N,G |", "volume_unmount a/v"],
  ["a device stays for one that is only wanted", "b/v:dev@d | | d=N,G |", "volume_mount b/v"],
  ["a device stays while a volume of it failed and has an entry", "| a/v:dev@d=N | d=N,G |", "volume_unmount a/v"],
  ["a device stays while its volume waits to be unmounted", "| a/v:dev@d=M | d=N,G | wait volume_unmount a/v", "wakes"],
  // Order.
  [
    "unmounts, then mounts, then devices",
    "b/v:own | a/v:own=M | d=N,G |",
    "volume_unmount a/v; volume_mount b/v; unmount_device d",
  ],
  [
    "roots with the mounts",
    "b/v:own | a/v:own=M | d=Y,N | broken c",
    "volume_unmount a/v; volume_mount b/v; root_mount c; detach d",
  ],
  // Before all wishes are known.
  ["nothing is unmounted", "| a/v:own=M | d=Y,G e=Y,N | early", ""],
  ["but mounted", "b/v:own | a/v:own=M | | early", "volume_mount b/v"],
  ["roots are repaired", "| | | early; broken c", "root_mount c"],
  ["not even for another volume of the name", "a/v:own@new | a/v:own@old=M | | early", ""],
  // One operation a key.
  ["its mount runs", "a/v:own | | | busy volume a/v", ""],
  ["its unmount runs, it is wanted again", "a/v:own | a/v:own=U | | busy volume a/v", ""],
  ["the other volume of the pod goes on", "a/x:own a/y:own | | | busy volume a/x", "volume_mount a/y"],
  ["something runs on the device", "a/v:dev@d b/v:dev@d | | d=N,G | busy device test/p d", ""],
  ["a pending call keeps the device", "| | d=N,G | busy device test/p d", ""],
  ["unmounting one pod keeps the device busy for the other", "b/v:dev@d | a/v:dev@d=M | d=N,G |", "volume_unmount a/v"],
  ["a root's repair runs", "| | | broken c; busy root c", ""],
  // Backoff.
  ["a failed mount waits", "a/v:own | | | wait volume_mount a/v", "wakes"],
  ["the others do not", "a/x:own a/y:own | | | wait volume_mount a/x", "volume_mount a/y; wakes"],
  [
    "a failed unmount does not keep the next mount of the device",
    "b/v:dev@d | a/v:dev@d=U | d=N,G | wait volume_unmount a/v",
    "volume_mount b/v; wakes",
  ],
  ["a failed device waits for both pods", "a/v:dev@d b/v:dev@d | | | wait mount_device test/p d", "wakes"],
  ["a failed detach", "| | d=Y,N | wait detach test/p d", "wakes"],
  ["a failed repair of a root", "| | | broken c; wait root_mount c", "wakes"],
  // ReadWriteOncePod.
  ["whoever asked first has it", "a/v:own@d! b/v:own@d! | | |", "volume_mount a/v; b/v is a's"],
  ["whoever has it keeps it", "a/v:own@d! b/v:own@d! | b/v:own@d=M | |", "a/v is b's"],
  ["uncertain counts", "a/v:own@d! b/v:own@d! | b/v:own@d=U | |", "volume_mount b/v; a/v is b's"],
  ["what failed for good does not", "a/v:own@d! b/v:own@d! | b/v:own@d=N | |", "volume_mount a/v; b/v is a's"],
  ["the next one waits for the unmount", "b/v:own@d! | a/v:own@d=M | |", "volume_unmount a/v; b/v is a's"],
  ["and has it then", "b/v:own@d! | | |", "volume_mount b/v"],
  ["two volumes in one pod are one user", "a/x:own@d! a/y:own@d! | a/x:own@d=M | |", "volume_mount a/y"],
  [
    "two have it after a crash: one gives it up, the other waits",
    "a/v:own@d! b/v:own@d! | a/v:own@d=U b/v:own@d=U | |",
    "volume_unmount b/v; a/v is b's; b/v is a's",
  ],
  [
    "of two that may have it, the one that is up keeps it",
    "a/v:own@d! b/v:own@d! | a/v:own@d=U b/v:own@d=M | |",
    "volume_unmount a/v; a/v is b's; b/v is a's",
  ],
  ["nobody else's device is touched", "a/v:att@d! b/v:att@d! | a/v:att@d=M | d=Y,G |", "b/v is a's"],
];

for (const [title, worlds, expected] of table) {
  Deno.test(`plan: ${title}`, () => assertEquals(show(worlds), expected));
}

Deno.test("plan: the table has its rows once each", () => {
  assertEquals(new Set(table.map(([title]) => title)).size, table.length);
  assertEquals(table.length >= 60, true);
});

function show(worlds: string): string {
  const { operations, wakeAt_ms, exclusive } = plan(parseWorlds(worlds));
  const lines = operations.map(({ name, volume, device, root, again }) => {
    const subject = ["attach", "mount_device", "unmount_device", "detach"].includes(name)
      ? device!.replace("test/p ", "")
      : volume ?? root;
    return `${name} ${subject}${again ? " again" : ""}`;
  });
  for (const [volume, owner] of exclusive) lines.push(`${volume} is ${owner}'s`);
  if (wakeAt_ms !== undefined) lines.push("wakes");
  return lines.join("; ");
}
