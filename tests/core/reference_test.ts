import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { formatImageReference, parseImageReference } from "../../runtime/core/reference.ts";

const digest = `sha256:${"a".repeat(64)}`;

const good: Array<[text: string, repository: string, tag: string | undefined, digest: string | undefined]> = [
  ["web", "web", "latest", undefined],
  ["web:1", "web", "1", undefined],
  ["team/web:1.2-rc_3", "team/web", "1.2-rc_3", undefined],
  ["localhost/web", "localhost/web", "latest", undefined],
  ["localhost:5000/web", "localhost:5000/web", "latest", undefined],
  ["registry.example.org:443/a/b/c:v1", "registry.example.org:443/a/b/c", "v1", undefined],
  ["Registry.Example.org/a", "Registry.Example.org/a", "latest", undefined],
  [`web@${digest}`, "web", undefined, digest],
  [`web:1@${digest}`, "web", "1", digest],
  ["a__b/c--d/e.f", "a__b/c--d/e.f", "latest", undefined],
  ["web:5000", "web", "5000", undefined],
  [`web:${"t".repeat(128)}`, "web", "t".repeat(128), undefined],
];

Deno.test("a reference is parsed into repository, tag and digest, and written back", () => {
  for (const [text, repository, tag, digest] of good) {
    const parsed = parseImageReference(text);
    assertEquals([parsed.repository, parsed.tag, parsed.digest as string | undefined], [repository, tag, digest], text);
    assertEquals(parseImageReference(formatImageReference(parsed)), parsed);
  }
});

const bad: Array<[text: string, says: string]> = [
  ["", "1 to 512"],
  ["x".repeat(513), "1 to 512"],
  ["Web", "lower-case"],
  ["team/Web", "lower-case"],
  ["a..b", "lower-case"],
  ["a___b", "lower-case"],
  ["-a", "lower-case"],
  ["a/", "lower-case"],
  ["/a", "lower-case"],
  ["a//b", "lower-case"],
  ["../a", "lower-case"],
  ["a b", "lower-case"],
  ["a\n", "lower-case"],
  ["web:", "tag"],
  ["web:.x", "tag"],
  ["web:a b", "tag"],
  [`web:${"t".repeat(129)}`, "tag"],
  ["web@sha256:123", "sha256"],
  [`web@${digest}@${digest}`, "sha256"],
  ["web@", "sha256"],
  ["host:port/web", "lower-case"],
];

Deno.test("a malformed reference is refused by the part that is wrong", () => {
  for (const [text, says] of bad) {
    const error = assertThrows(() => parseImageReference(text), LaminaError);
    assertEquals(error.code, "INVALID_ARGUMENT", text);
    assertStringIncludes(error.message, says, text);
  }
});
