import { assertEquals } from "@std/assert";
import { meaningOfFailure, parseDiff, parseListing, unescapeZfs } from "../../drivers/storage/zfs/zfs_text.ts";

Deno.test("a listing tells snapshots' datasets, sealed ones and limits from what others made", () => {
  const text = [
    "tank/lamina\tfilesystem\t0\tidentity\t/var/lib/lamina/drivers/zfs",
    "tank/lamina@hourly\tsnapshot\t-",
    "tank/lamina/1\tfilesystem\t0",
    "tank/lamina/1@layer\tsnapshot\t-",
    "tank/lamina/1@hourly\tsnapshot\t-",
    "tank/lamina/2a\tfilesystem\t52428800",
    "tank/lamina/2a@hourly\tsnapshot\t-",
    "tank/lamina/3\tvolume\t-",
    "tank/lamina/Photos\tfilesystem\t0",
    "tank/lamina/Photos@layer\tsnapshot\t-",
    "tank/lamina/1/inner\tfilesystem\t0",
    "tank/laminated\tfilesystem\t0",
    "",
  ].join("\n");
  const { datasets, strangers, owner, root } = parseListing(text, "tank/lamina");
  assertEquals([owner, root], ["identity", "/var/lib/lamina/drivers/zfs"]);
  assertEquals(parseListing("tank/lamina\tfilesystem\t0\t-\t-\n", "tank/lamina").owner, undefined);
  assertEquals([...datasets], [[1, { sealed: true }], [82, { sealed: false, quota_bytes: 52428800 }]]);
  assertEquals(strangers, ["tank/lamina/3", "tank/lamina/Photos", "tank/lamina/1/inner"]);
});

Deno.test("the changes of zfs diff are paths in the dataset, escapes and renames included", () => {
  const text = [
    "R\tF\t/m/2/d/hl\t/m/2/e/hl",
    "-\tF\t/m/2/d/a",
    "M\tF\t/m/2/xat\t(+1)",
    "M\t/\t/m/2/",
    "+\tF\t/m/2/w\\0040\\0377\\0134\\0040n\\0012l",
    "+\t@\t/m/2/sym",
    "",
  ].join("\n");
  assertEquals(parseDiff(text, ["/m/2"]) as string[], [
    "d/hl",
    "e/hl",
    "d/a",
    "xat",
    "",
    "w \xff\\ n\nl",
    "sym",
  ]);
  assertEquals(parseDiff("", ["/m/2"]), []);
  assertEquals(unescapeZfs("tab\\0011x") as string, "tab\tx");
});

Deno.test("changes that are not understood count as no answer", () => {
  for (
    const line of ["?\tF\t/m/2/x", "M\tF", "M\tF\t/elsewhere/x", "M\tF\t/m/22/x", "M\tF\t/m/2/x\tnonsense", "oops"]
  ) {
    assertEquals(parseDiff(line, ["/m/2"]), undefined, line);
  }
});

Deno.test("what zfs says is given its meaning", () => {
  const said: Array<[string, string]> = [
    ["The ZFS modules are not loaded. Try running '/sbin/modprobe zfs' as root to load them.", "UNSUPPORTED"],
    ["cannot create 'tank/lam/9': pool is read-only", "UNAVAILABLE"],
    ["cannot create 'tank/lam/9': pool I/O is currently suspended", "UNAVAILABLE"],
    ["cannot create 'tank/lam/9': out of space", "RESOURCE_EXHAUSTED"],
    ["cannot create 'tank/lam/1': dataset already exists", "ALREADY_EXISTS"],
    ["cannot open 'tank2': dataset does not exist", "NOT_FOUND"],
    ["cannot open 'tank2': no such pool", "NOT_FOUND"],
    ["cannot destroy 'tank/lam/1': dataset is busy", "CONFLICT"],
    ["cannot set property for 'tank/a': size is less than current used or reserved space", "INVALID_ARGUMENT"],
    ["something new", "INTERNAL"],
  ];
  for (const [text, code] of said) assertEquals(meaningOfFailure(text).code, code, text);
});
