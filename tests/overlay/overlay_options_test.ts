import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import {
  decideOverlay,
  OVERLAY_FEATURES,
  type OverlayFacts,
  parseOverlaySettings,
  WANTED_OPTIONS,
} from "../../overlay/overlay_options.ts";

const newKernel: OverlayFacts = {
  backing: "ext4",
  dType: true,
  userNamespace: false,
  features: new Set(OVERLAY_FEATURES),
  known: new Set(WANTED_OPTIONS),
  xattrWhiteouts: true,
  idmappedMounts: true,
};
const defaults = parseOverlaySettings({});

Deno.test("every option is given explicitly where the kernel knows it", () => {
  assertEquals(decideOverlay(newKernel, defaults).options, [
    "redirect_dir=nofollow",
    "metacopy=off",
    "index=off",
    "xino=off",
    "nfs_export=off",
    "uuid=null",
  ]);
});

Deno.test("an old kernel is given only what it knows", () => {
  const old = { ...newKernel, features: new Set<never>(), known: new Set(["redirect_dir=nofollow"]) };
  const { options, status } = decideOverlay(old, defaults);
  assertEquals(options, ["redirect_dir=nofollow"]);
  assertEquals(status.metacopy, "the kernel has no such option");
  assertMatch(status.volatile!, /^never used \(not possible here\)/);
});

Deno.test("an RW layer is never volatile, whatever the kernel can do", () => {
  for (const userNamespace of [false, true]) {
    assertEquals(decideOverlay({ ...newKernel, userNamespace }, defaults).options.includes("volatile"), false);
  }
});

Deno.test("in a user namespace control data is kept in user attributes", () => {
  const { options, form, status } = decideOverlay({ ...newKernel, userNamespace: true }, defaults);
  assertEquals(form, "overlay-user");
  assertEquals(options.at(-1), "userxattr");
  assertMatch(status.userxattr!, /^on: trusted/);
  assertEquals(decideOverlay(newKernel, defaults).form, "overlay");
});

Deno.test("a kernel that cannot do what is asked refuses it with a reason", () => {
  const features = new Set<never>();
  for (
    const [options, facts] of [
      [{ "overlay.index": "on" }, { ...newKernel, features }],
      [{ "overlay.xino": "on" }, { ...newKernel, features }],
      [{ "overlay.userxattr": "true" }, { ...newKernel, features }],
      [{}, { ...newKernel, features, userNamespace: true }],
    ] as const
  ) {
    const error = assertThrows(() => decideOverlay(facts, parseOverlaySettings(options)), LaminaError);
    assertEquals(error.code, "UNSUPPORTED");
  }
});

Deno.test("settings choose index, inode numbers and user attributes", () => {
  const settings = parseOverlaySettings({
    "overlay.index": "on",
    "overlay.xino": "auto",
    "overlay.userxattr": "true",
  });
  const { options, status, form } = decideOverlay(newKernel, settings);
  assertEquals(options.slice(2, 4), ["index=on", "xino=auto"]);
  assertEquals([options.at(-1), form], ["userxattr", "overlay-user"]);
  assertEquals(status.index, "on (possible here): asked for");
});

Deno.test("an unknown storage option or value is refused by name", () => {
  for (
    const [options, message] of [
      [{ "overlay.metacopy": "on" }, /"overlay\.metacopy": the driver overlay knows overlay\.index/],
      [{ "overlay.index": "yes" }, /overlay\.index=yes: it is off, on/],
    ] as const
  ) {
    const error = assertThrows(() => parseOverlaySettings(options), LaminaError);
    assertEquals(error.code, "INVALID_ARGUMENT");
    assertMatch(error.message, message);
  }
});

Deno.test("status names a decision and a reason for each kernel feature", () => {
  const { status } = decideOverlay(newKernel, defaults);
  for (const feature of OVERLAY_FEATURES) assertMatch(status[feature]!, /: \S/, feature);
  for (const fact of ["backing_filesystem", "d_type", "whiteouts", "idmapped_mounts", "uuid", "mount_options"]) {
    assertEquals(typeof status[fact], "string", fact);
  }
});
