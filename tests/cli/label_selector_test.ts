import { assertEquals, assertThrows } from "@std/assert";
import { parseLabelSelector } from "../../runtime/cli/label_selector.ts";
import { UsageError } from "../../runtime/cli/parse.ts";

const labels = { app: "web", "example.com/tier": "db", empty: "" };

Deno.test("selectors of labels mean what they mean in Kubernetes", () => {
  const cases: ReadonlyArray<readonly [string, boolean]> = [
    ["app=web", true],
    ["app==web", true],
    ["app = web", true],
    ["app=shop", false],
    ["app!=shop", true],
    ["missing!=x", true],
    ["empty=", true],
    ["app", true],
    ["missing", false],
    ["!missing", true],
    ["!app", false],
    ["app in (web, shop)", true],
    ["app in (shop)", false],
    ["app notin (shop, x)", true],
    ["missing notin (x)", true],
    ["missing in (x)", false],
    ["app=web,example.com/tier=db", true],
    ["app in (web,shop),example.com/tier!=db", false],
    ["", true],
  ];
  for (const [text, fits] of cases) assertEquals(parseLabelSelector(text)(labels), fits, text);
  assertEquals(parseLabelSelector("app")(undefined), false);
});

Deno.test("what is no selector is refused with the part that is wrong", () => {
  for (const text of ["a b", "=web", "app=we b", "app in web", "app>1", "app=web,,x=(", "-app", "app in (a"]) {
    assertThrows(() => parseLabelSelector(text), UsageError, "is no selector of labels", text);
  }
});
