import { assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { ContainerCreate } from "../../runtime/core/specs/container.ts";
import { parseSpec } from "../../runtime/core/specs/parse_spec.ts";

Deno.test("a spec gets its defaults", () => {
  const spec = parseSpec(ContainerCreate, { image: "a" }, "container");
  assertEquals([spec.mounts, spec.read_only, spec.labels], [[], false, {}]);
});

Deno.test("what is wrong with a spec is told by path, and not all of it when there is much", () => {
  const wrong = { image: "", mounts: [{ type: "tmpfs", target: "relative" }], more: 1 };
  const error = assertThrows(() => parseSpec(ContainerCreate, wrong, "container"), LaminaError, "mounts.0.target");
  assertEquals(error.code, "INVALID_ARGUMENT");
  const many = { image: "a", mounts: Array.from({ length: 20 }, () => ({ type: "tmpfs", target: "x" })) };
  assertThrows(() => parseSpec(ContainerCreate, many, "container"), LaminaError, "and 15 more");
});
