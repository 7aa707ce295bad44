import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { maskedOptions, planLocal, withoutSecrets } from "../../drivers/volume/named/local/local_options.ts";

const plan = (options: Record<string, string>) => planLocal({ name: "v", options });

const good: ReadonlyArray<[Record<string, string>, unknown]> = [
  [{}, { kind: "directory" }],
  [{ size: "10m" }, { kind: "sized", size_bytes: 10 << 20 }],
  [{ size: "1.5g", inodes: "1000" }, { kind: "sized", size_bytes: 1.5 * 2 ** 30, inodes: 1000 }],
  [{ type: "tmpfs", device: "tmpfs" }, { kind: "mount", type: "tmpfs", device: "tmpfs", options: [] }],
  [
    { type: "tmpfs", device: "tmpfs", o: "uid=1000,nr_inodes=10", size: "64m" },
    { kind: "mount", type: "tmpfs", device: "tmpfs", options: ["uid=1000", "nr_inodes=10", "size=67108864"] },
  ],
  [
    { type: "none", device: "/srv", o: "bind,ro" },
    { kind: "mount", type: "none", device: "/srv", options: ["bind", "ro"] },
  ],
  [{ type: "bind", device: "/srv" }, { kind: "mount", type: "none", device: "/srv", options: ["bind"] }],
  [
    { type: "nfs", device: ":/export", o: "addr=10.0.0.5,rw,nfsvers=4" },
    { kind: "mount", type: "nfs", device: ":/export", options: ["addr=10.0.0.5", "rw", "nfsvers=4"] },
  ],
  [{ type: "ext4", device: "/dev/sdb1", o: "" }, "empty"],
];

Deno.test("options of the driver local say what a volume is", () => {
  for (const [options, wanted] of good) {
    if (wanted === "empty") assertThrows(() => plan(options), LaminaError, "empty");
    else assertEquals(plan(options), wanted as never);
  }
});

const bad: ReadonlyArray<[Record<string, string>, string]> = [
  [{ type: "nfs" }, '"type" needs "device"'],
  [{ device: "/dev/sdb" }, '"device" needs "type"'],
  [{ o: "ro" }, '"o" needs'],
  [{ o: "ro", device: "/x" }, "needs"],
  [{ o: "ro", type: "nfs" }, "needs"],
  [{ colour: "red" }, 'no option "colour"'],
  [{ Size: "1g" }, 'no option "Size"'],
  [{ size: "" }, "empty"],
  [{ size: "big" }, "no size"],
  [{ size: "-1g" }, "no size"],
  [{ size: "1000" }, "too small"],
  [{ size: "0" }, "too small"],
  [{ size: "99999999999999t" }, "no size"],
  [{ inodes: "10" }, '"inodes" needs "size"'],
  [{ size: "10m", inodes: "0" }, "no number of inodes"],
  [{ size: "10m", inodes: "ten" }, "no number of inodes"],
  [{ type: "ext4", device: "/dev/sdb", size: "1g" }, "nothing enforces a size"],
  [{ type: "nfs", device: ":/x", o: "addr=1.2.3.4", size: "1g" }, "nothing enforces a size"],
  [{ type: "none", device: "/srv", o: "bind", size: "1g" }, "nothing enforces a size"],
  [{ type: "none", device: "/srv", o: "ro" }, '"none" needs "o=bind"'],
  [{ type: "none", device: "srv", o: "bind" }, "absolute path"],
  [{ type: "tmpfs", device: "tmpfs", o: "size=1m", size: "2m" }, "given twice"],
  [{ type: "Ext4!", device: "/x" }, "no file system type"],
  [{ type: "../x", device: "/x" }, "no file system type"],
  [{ type: "none", device: "/srv", o: "bind,remount" }, "remount"],
  [{ type: "tmpfs", device: "tmp\0fs" }, "NUL"],
  [{ type: "tmpfs", device: "tmp\nfs" }, "line break"],
];

Deno.test("options that can never work are refused before anything is done", () => {
  for (const [options, words] of bad) {
    const error = assertThrows(() => plan(options), LaminaError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, words, JSON.stringify(options));
  }
});

Deno.test("a password is never in a message, and masked wherever options are shown", () => {
  const secret = "hunter2";
  const options = { type: "cifs", device: "//user:hunter2@server/share", o: `username=me,password=${secret},vers=3.0` };
  assertEquals(maskedOptions(options), {
    type: "cifs",
    device: "//user:********@server/share",
    o: "username=me,password=********,vers=3.0",
  });
  for (const name of ["pass", "passwd", "secret", "password2", "PASSWORD"]) {
    assertEquals(maskedOptions({ o: `a=b,${name}=${secret}` }).o, `a=b,${name}=********`);
  }
  const error = assertThrows(() => plan({ ...options, size: "1g" }), LaminaError);
  assertEquals(error.message.includes(secret), false);
  assertEquals(withoutSecrets(["username=me", `password=${secret}`]), {
    plain: ["username=me"],
    secrets: new Map([["password", secret]]),
  });
});
