import { assertEquals, assertStrictEquals } from "@std/assert";
import { ERROR_CODES, isLaminaError, LaminaError, messageOf, toLaminaError } from "../../runtime/core/errors.ts";
import { backgroundOperation, withDeadline } from "../../runtime/core/operation.ts";

Deno.test("an error shows code, message and details, and nothing else, on the API", () => {
  const error = new LaminaError("CONFLICT", "it is used", { cause: new Error("secret"), details: { path: "/a" } });
  assertEquals(JSON.parse(JSON.stringify(error)), { code: "CONFLICT", message: "it is used", details: { path: "/a" } });
  assertEquals(JSON.parse(JSON.stringify(new LaminaError("INTERNAL", "x"))).details, {});
  assertEquals(String(error), "LaminaError: it is used");
});

Deno.test("errors are known by their codes", () => {
  const error = new LaminaError("NOT_FOUND", "x");
  assertEquals(isLaminaError(error), true);
  assertEquals(isLaminaError(error, "CONFLICT", "NOT_FOUND"), true);
  assertEquals(isLaminaError(error, "CONFLICT"), false);
  assertEquals(isLaminaError(new Error("x")), false);
  assertEquals(isLaminaError(undefined), false);
  assertEquals(new Set(ERROR_CODES).size, ERROR_CODES.length);
});

Deno.test("anything thrown becomes one of the codes, with its cause", () => {
  const own = new LaminaError("CONFLICT", "x");
  assertStrictEquals(toLaminaError(own, "Cannot x"), own);
  const cases: Array<[unknown, string, string]> = [
    [new DOMException("t", "TimeoutError"), "DEADLINE_EXCEEDED", "Cannot x: the deadline passed"],
    [new DOMException("t", "AbortError"), "CANCELLED", "Cannot x: cancelled by the caller"],
    [new DOMException("t", "DataError"), "INTERNAL", "Cannot x: t"],
    [new Error("odd"), "INTERNAL", "Cannot x: odd"],
    ["text", "INTERNAL", "Cannot x: text"],
    [undefined, "INTERNAL", "Cannot x: undefined"],
  ];
  for (const [thrown, code, message] of cases) {
    const error = toLaminaError(thrown, "Cannot x");
    assertEquals([error.code, error.message], [code, message]);
    assertStrictEquals(error.cause, thrown);
  }
  assertEquals(messageOf(new Error("a")), "a");
  assertEquals(messageOf(7), "7");
});

Deno.test("a deadline adds to the caller's own patience", async () => {
  const operation = withDeadline(backgroundOperation(), 1);
  await new Promise((resolve) => operation.signal.addEventListener("abort", resolve, { once: true }));
  assertEquals(toLaminaError(operation.signal.reason, "Cannot x").code, "DEADLINE_EXCEEDED");
  const caller = new AbortController();
  const both = withDeadline({ signal: caller.signal, progress: () => {} }, 60_000);
  caller.abort();
  assertEquals(both.signal.aborted, true);
});
