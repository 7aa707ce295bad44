import { assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { independentPrefix, planMounts } from "../../runtime/container/mount_plan.ts";
import { normalizeTarget, resolveMounts } from "../../runtime/container/resolve_mounts.ts";
import { MountSpec } from "../../runtime/core/specs/mount.ts";
import { containerMounts, places } from "./support/container_mounts.ts";

const volume = (source: string, target: string, read_only = false) =>
  ({ type: "volume", source, target, read_only }) as const;
const bind = (source: string, target: string, read_only = false) =>
  ({ type: "bind", source, target, read_only }) as const;

Deno.test("a target is normalized as text: double, trailing and dotted slashes go", () => {
  const table: Array<[string, string]> = [
    ["/a", "/a"],
    ["/a/", "/a"],
    ["//a///b/", "/a/b"],
    ["/a/./b", "/a/b"],
    ["/a b/ c", "/a b/ c"],
    ["/...", "/..."],
  ];
  for (const [given, expected] of table) assertEquals(normalizeTarget(given), expected, given);
});

Deno.test("two mounts at one target are refused, however it is written and whatever they are", () => {
  const resolve = (...mounts: unknown[]) =>
    resolveMounts({ mounts: mounts.map((mount) => MountSpec.parse(mount)), volumes: [] }, {
      imageVolumes: [],
      borrowed: [],
      anonymousName: () => "anonymous",
      imageId: (reference) => reference,
    });
  resolve(volume("vol", "/a"), bind("/s", "/a/b"));
  const tmpfs = { type: "tmpfs", target: "/a//b" };
  const error = assertThrows(() => resolve(volume("vol", "/a/b/"), tmpfs), LaminaError, "/a/b");
  assertEquals(error.code, "INVALID_ARGUMENT");
  assertThrows(() => resolve(bind("/s", "/x"), bind("/t", "/x/.")), LaminaError, "Duplicate");
});

Deno.test("mounts are planned parents first, whatever the order they were given in", () => {
  const given = [volume("deep", "/a/b/c"), bind("/h", "/a"), volume("mid", "/a/b"), bind("/z", "/b")];
  const planned = planMounts(containerMounts(given), places);
  assertEquals(planned.map(({ target }) => target), ["/a", "/b", "/a/b", "/a/b/c"]);
});

Deno.test("a bind is recursive and private, a volume shows its own directory, a tmpfs has its limits", () => {
  const planned = planMounts(
    containerMounts([
      bind("/host", "/b", true),
      volume("data", "/v"),
      { type: "tmpfs", target: "/t", mode: 0o700, size_bytes: 65536, read_only: true },
    ]),
    places,
  );
  assertEquals(planned.map(({ mount }) => mount), [
    { type: "bind", source: "/host", target: "", options: ["rbind", "rprivate", "ro"] },
    {
      type: "tmpfs",
      source: "tmpfs",
      target: "",
      options: ["private", "nosuid", "nodev", "noexec", "mode=700", "size=65536", "ro"],
    },
    { type: "bind", source: "/r/volumes/data/_data", target: "", options: ["bind", "private"] },
  ]);
});

Deno.test("as many mounts are made at once as do not lie inside each other", () => {
  const table: Array<[string[], number]> = [
    [[], 0],
    [["/a"], 1],
    [["/a", "/b", "/ab"], 3],
    [["/a", "/b", "/a/c"], 2],
    [["/a", "/a"], 1],
    [["/a/b", "/a/bc", "/d", "/a/b/c/d"], 3],
  ];
  for (const [targets, count] of table) assertEquals(independentPrefix(targets), count, targets.join(" "));
});
