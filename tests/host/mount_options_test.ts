import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { Mount } from "../../runtime/core/mount.ts";
import {
  bindRemountFlags,
  flagsOfStatfs,
  isRecursiveReadOnly,
  type MountSteps,
  mountSteps,
  MS,
  optionsOfFlags,
  optionsOfPropagation,
  remountFlags,
} from "../../runtime/host/mount_options.ts";

function steps(type: string, ...options: string[]): MountSteps {
  return mountSteps({ type, source: "/s", target: "/t", options });
}

const cases: Array<[type: string, options: string[], Partial<MountSteps>]> = [
  ["tmpfs", [], { kind: "filesystem", flags: 0, data: [] }],
  ["tmpfs", ["size=1m", "ro", "mode=700"], { kind: "filesystem", flags: MS.RDONLY, data: ["size=1m", "mode=700"] }],
  ["bind", [], { kind: "bind", recursive: false, flags: 0 }],
  ["rbind", [], { kind: "bind", recursive: true }],
  ["bind", ["rbind", "ro"], { kind: "bind", recursive: true, flags: MS.RDONLY }],
  ["none", ["bind", "nosuid", "nodev"], { kind: "bind", flags: MS.NOSUID | MS.NODEV }],
  ["bind", ["ro", "rw"], { flags: 0 }],
  ["bind", ["rw", "ro"], { flags: MS.RDONLY }],
  ["bind", ["noatime", "relatime"], { flags: MS.RELATIME }],
  ["bind", ["sync", "nodiratime", "lazytime"], { kind: "bind", flags: MS.NODIRATIME }],
  ["bind", ["rprivate"], { kind: "bind", propagation: [MS.PRIVATE | MS.REC] }],
  ["bind", ["slave", "shared"], { propagation: [MS.SLAVE, MS.SHARED] }],
  ["bind", ["defaults", "x-lamina.x=1", "X-mount.mkdir", "nofail", "_netdev", ""], {
    kind: "bind",
    flags: 0,
    data: [],
  }],
  ["bind", ["remount", "rw"], { kind: "bind-remount", cleared: MS.RDONLY }],
  ["tmpfs", ["remount", "size=2m"], { kind: "remount", data: ["size=2m"] }],
  ["", ["rshared"], { kind: "propagation", propagation: [MS.SHARED | MS.REC] }],
  ["none", ["private"], { kind: "propagation" }],
  ["ext4", ["noexec", "exec", "data=ordered", "comment=x"], { kind: "filesystem", flags: 0, data: ["data=ordered"] }],
];

Deno.test("a mount is taken apart into flags, data, remount and propagation", async (t) => {
  for (const [type, options, expected] of cases) {
    await t.step(`${type || '""'} ${options.join(",")}`, () => {
      const found = steps(type, ...options);
      for (const [name, value] of Object.entries(expected)) {
        assertEquals(found[name as keyof MountSteps], value as never, name);
      }
    });
  }
});

Deno.test("a bind's remount has what is asked and what the source has, and is none when nothing is asked", () => {
  const source = MS.NOSUID | MS.NODEV | MS.NOATIME | MS.NODIRATIME;
  assertEquals(bindRemountFlags(steps("bind"), source), 0);
  assertEquals(bindRemountFlags(steps("bind", "rw", "exec"), source), 0);
  assertEquals(bindRemountFlags(steps("bind", "ro"), source), source | MS.RDONLY);
  assertEquals(bindRemountFlags(steps("bind", "relatime"), source), MS.NOSUID | MS.NODEV | MS.NODIRATIME | MS.RELATIME);
});

Deno.test("a remount keeps what is there, but for what is cleared", () => {
  const existing = MS.RDONLY | MS.NOSUID;
  assertEquals(remountFlags(steps("bind", "remount", "rw"), existing), MS.NOSUID);
  assertEquals(remountFlags(steps("bind", "remount", "noexec"), existing), existing | MS.NOEXEC);
});

Deno.test("only a recursive read-only bind is read-only all the way down", () => {
  assertEquals(isRecursiveReadOnly(steps("bind", "rbind", "ro")), true);
  assertEquals(isRecursiveReadOnly(steps("bind", "ro")), false);
  assertEquals(isRecursiveReadOnly(steps("bind", "rbind")), false);
});

Deno.test("flags and option names translate both ways", () => {
  for (const flags of [0, MS.RDONLY, MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.NOATIME, MS.STRICTATIME | MS.NOSYMFOLLOW]) {
    assertEquals(steps("tmpfs", ...optionsOfFlags(flags)).flags, flags);
  }
  assertEquals(optionsOfPropagation([MS.PRIVATE | MS.REC, MS.SHARED]), ["rprivate", "shared"]);
  assertEquals(
    flagsOfStatfs(0x1 | 0x2 | 0x4 | 0x8 | 0x20 | 0x400 | 0x800 | 0x1000 | 0x2000),
    MS.RDONLY | MS.NOSUID | MS.NODEV | MS.NOEXEC | MS.NOATIME | MS.NODIRATIME | MS.RELATIME | MS.NOSYMFOLLOW,
  );
});

const refused: Array<[Partial<Mount>, string]> = [
  [{ target: "t" }, "absolute"],
  [{ target: "" }, "absolute"],
  [{ source: "a\0b" }, "NUL"],
  [{ options: ["size=1m"] }, "size=… has no meaning for a bind"],
  [{ type: "", options: [] }, "no type"],
  [{ type: "none", options: ["ro"] }, "no type"],
];

Deno.test("a mount that makes no sense is refused without telling option values", () => {
  for (const [part, says] of refused) {
    const mount: Mount = { type: "bind", source: "/s", target: "/t", options: [], ...part };
    const error = assertThrows(() => mountSteps(mount), LaminaError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertStringIncludes(error.message, says);
  }
});
