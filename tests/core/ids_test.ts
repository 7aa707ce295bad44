import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type * as z from "zod";
import { LaminaError } from "../../runtime/core/errors.ts";
import {
  ContainerId,
  ContainerName,
  Digest,
  isDigest,
  parseId,
  SnapshotKey,
  VolumeName,
} from "../../runtime/core/ids.ts";

const hex = "0123456789abcdef".repeat(4);

const cases: Array<[name: string, schema: z.ZodType, good: string[], bad: unknown[]]> = [
  ["digest", Digest, [`sha256:${hex}`], [
    "",
    hex,
    `sha256:${hex.toUpperCase()}`,
    `sha256:${hex}0`,
    `sha256:${hex.slice(1)}`,
    `sha512:${hex}`,
    `sha256:${hex}\n`,
    7,
    null,
    undefined,
  ]],
  ["snapshot key", SnapshotKey, ["a", `sha256:${hex}`, "container/1", "é:,\\", "x".repeat(512)], [
    "",
    "a b",
    "a\n",
    "\0",
    "\x7f",
    "x".repeat(513),
  ]],
  ["container id", ContainerId, [hex], ["", hex.slice(1), `${hex}0`, hex.toUpperCase()]],
  ["container name", ContainerName, ["a", "A9", "a_b-c.d", "x".repeat(128)], [
    "",
    "-a",
    ".a",
    "_a",
    "a/b",
    "a b",
    "é",
    "..",
    "a\n",
    "x".repeat(129),
  ]],
  ["volume name", VolumeName, ["ab", "a-", "A_b.c", "x".repeat(255)], [
    "",
    "a",
    "..",
    "a/b",
    "/a",
    "a b",
    "x".repeat(256),
  ]],
];

Deno.test("identifiers are accepted and refused by their grammar", async (t) => {
  for (const [name, schema, good, bad] of cases) {
    await t.step(name, () => {
      for (const value of good) assertEquals(parseId(schema, value, name), value);
      for (const value of bad) {
        const error = assertThrows(() => parseId(schema, value, name), LaminaError);
        assertEquals(error.code, "INVALID_ARGUMENT", JSON.stringify(value));
        assertStringIncludes(error.message, name);
      }
    });
  }
});

Deno.test("a refused identifier is shown cut and quoted", () => {
  const error = assertThrows(() => parseId(VolumeName, `bad\n${"x".repeat(1000)}`, "volume name"), LaminaError);
  assertStringIncludes(error.message, '"bad\\n');
  assertEquals(error.message.length < 300, true);
});

Deno.test("a digest is known by its form", () => {
  assertEquals([isDigest(`sha256:${hex}`), isDigest(hex), isDigest(`sha256:${hex}\n`)], [true, false, false]);
});
