import { assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import {
  baseNameOf,
  chosenReference,
  referencesFromAnnotations,
  taggableReference,
  usableReferences,
} from "../../runtime/image/reference_names.ts";

const REF_NAME = "org.opencontainers.image.ref.name";
const IMAGE_NAME = "io.containerd.image.name";

Deno.test("referencesFromAnnotations takes whole references, bare names and bare tags for what they are", () => {
  const from = (annotations: Record<string, string>, baseName?: string) =>
    referencesFromAnnotations(annotations, baseName).references;
  assertEquals(from({ [REF_NAME]: "team/web:1.2" }), ["team/web:1.2"]);
  assertEquals(from({ [REF_NAME]: "web" }), ["web:latest"]);
  assertEquals(from({ [REF_NAME]: "latest" }, "debian"), ["debian:latest"]);
  assertEquals(from({ [REF_NAME]: "1.2.3" }, "debian"), ["debian:1.2.3"]);
  assertEquals(from({ [REF_NAME]: "v2" }, "debian"), ["debian:v2"]);
  assertEquals(from({ [REF_NAME]: "v2", [IMAGE_NAME]: "docker.io/library/web:v2" }, "x"), ["docker.io/library/web:v2"]);
  assertEquals(from({}, "x"), []);
});

Deno.test("referencesFromAnnotations says when a tag has no name", () => {
  const { references, warnings } = referencesFromAnnotations({ [REF_NAME]: "latest" }, undefined);
  assertEquals(references, []);
  assertEquals(warnings.length, 1);
});

Deno.test("usableReferences leaves malformed names out with a warning each", () => {
  const { references, warnings } = usableReferences(["web:1", "WEB:1", "", "<none>:<none>", "web:1", "../etc:1"]);
  assertEquals(references, ["web:1"]);
  assertEquals(warnings.length, 2);
});

Deno.test("taggableReference drops a digest and adds the tag latest; chosenReference refuses a digest", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  assertEquals(taggableReference(`web:1@${digest}`), "web:1");
  assertEquals(taggableReference(`web@${digest}`), "web:latest");
  assertEquals(chosenReference("host.example:5000/web"), "host.example:5000/web:latest");
  assertThrows(() => chosenReference(`web@${digest}`), LaminaError, "digest");
  assertThrows(() => chosenReference("Web"), LaminaError, "lower-case");
});

Deno.test("baseNameOf makes a repository name of a path", () => {
  const cases: [string, string | undefined][] = [
    ["/tmp/debian", "debian"],
    ["/tmp/Debian.tar.gz", "debian"],
    ["./my image.oci.tar.zst", "my-image"],
    ["/images/web_1.2/", "web_1.2"],
    ["/tmp/..tar", undefined],
    ["/", undefined],
  ];
  for (const [path, expected] of cases) assertEquals(baseNameOf(path), expected, path);
});
