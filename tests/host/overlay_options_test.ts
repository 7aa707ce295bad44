import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import {
  commonDirectory,
  dataSize_bytes,
  escapeOverlayDirectory,
  fittingOverlayForm,
  MAX_DATA_BYTES,
  overlayData,
  parseOverlayOptions,
} from "../../runtime/host/overlay_options.ts";

const uglyNames = [
  "/plain",
  "/co:lon",
  "/co,mma",
  "/back\\slash",
  "/\\:,",
  "/tr\\",
  "/new\nline",
  "/sp ace",
  '/quo"te',
  "/é",
];

Deno.test("directories survive escaping, joining and parsing", () => {
  const directories = { lower: uglyNames, upper: "/u:,\\", work: "/w:", others: ["index=on", "volatile"] };
  assertEquals(parseOverlayOptions(overlayData(directories, (path) => path)), directories);
  for (const name of uglyNames) {
    assertEquals(parseOverlayOptions([`lowerdir=${escapeOverlayDirectory(name)}`]).lower, [name]);
  }
});

Deno.test("data-only layers keep their place", () => {
  const directories = parseOverlayOptions(["lowerdir=/a:/b::/c::/d"]);
  assertEquals(directories.lower, ["/a", "/b", "", "/c", "", "/d"]);
  assertEquals(overlayData(directories, (path) => path), ["lowerdir=/a:/b::/c::/d"]);
});

Deno.test("an overlay without layers, or with too many, is refused", () => {
  for (const options of [[], ["lowerdir="], ["lowerdir=:"], ["upperdir=/u", "workdir=/w"]]) {
    assertEquals(assertThrows(() => parseOverlayOptions(options), LaminaError).code, "INVALID_ARGUMENT");
  }
  const error = assertThrows(() => parseOverlayOptions([`lowerdir=${Array(501).fill("/a").join(":")}`]), LaminaError);
  assertStringIncludes(error.message, "501");
});

function layers(count: number, directory: string, name: string): string[] {
  return Array.from({ length: count }, (_, i) => `${directory}/${i}/${name}`);
}

Deno.test("few plain paths stay as they are", () => {
  const form = fittingOverlayForm({ lower: ["/a/1", "/a/2"], upper: "/u", work: "/w", others: ["xino=off"] });
  assertEquals(form, { data: ["lowerdir=/a/1:/a/2", "upperdir=/u", "workdir=/w", "xino=off"] });
});

Deno.test("many paths are written relative to the directory that the lower ones share", () => {
  const lower = layers(120, "/var/lib/lamina/drivers/overlay/l", "fs");
  const form = fittingOverlayForm({ lower, upper: "/var/lib/lamina/drivers/overlay/l/x/fs", work: "/w", others: [] });
  assertEquals(form.cwd, "/var/lib/lamina/drivers/overlay/l");
  assert(form.data[0]!.startsWith("lowerdir=0/fs:1/fs:"));
  assertEquals(form.data.slice(1), ["upperdir=x/fs", "workdir=/w"]);
});

Deno.test("ugly parts above the common directory do not matter", () => {
  const form = fittingOverlayForm({ lower: ["/a,b:c/l/1", "/a,b:c/l/2"], upper: "/a,b:c/l/3/fs", others: [] });
  assertEquals(form, { data: ["lowerdir=1:2", "upperdir=3/fs"], cwd: "/a,b:c/l" });
});

Deno.test("ugly names and too long lists go through links", () => {
  for (const name of ['q"', "a,b", "a:b", "a\\b"]) {
    const form = fittingOverlayForm({ lower: [`/l/${name}`, "/l/2"], upper: "/u", work: "/w", others: ["index=on"] });
    assertEquals(form.links, [`/l/${name}`, "/l/2", "/u", "/w"]);
    assertEquals(form.data, ["lowerdir=0:1", "upperdir=2", "workdir=3", "index=on"]);
  }
  const many = fittingOverlayForm({ lower: layers(500, "/r", "x".repeat(50)), upper: "/u", work: "/w", others: [] });
  assertEquals(many.links?.length, 502);
  assert(dataSize_bytes(many.data) <= MAX_DATA_BYTES);
});

Deno.test("plain paths from everywhere that just fit stay as they are", () => {
  const lower = layers(60, "", "x".repeat(50));
  const form = fittingOverlayForm({ lower, others: [] });
  assertEquals(form.links, undefined);
  assert(dataSize_bytes(form.data) <= MAX_DATA_BYTES);
});

Deno.test("what does not fit even through links is refused", () => {
  const others = [`context=${"x".repeat(5000)}`];
  const error = assertThrows(() => fittingOverlayForm({ lower: ["/a"], others }), LaminaError);
  assertEquals(error.code, "INVALID_ARGUMENT");
});

Deno.test("the common directory is the deepest above all paths", () => {
  const cases: Array<[string[], string | undefined]> = [
    [["/a/b/c"], "/a/b"],
    [["/a/b/c", "/a/b/d"], "/a/b"],
    [["/a/b", "/a/b/c"], "/a"],
    [["/ab/c", "/a/c"], "/"],
    [["/a"], "/"],
    [["a/b", "/a/b"], undefined],
    [[], undefined],
  ];
  for (const [paths, expected] of cases) assertEquals(commonDirectory(paths), expected);
});
