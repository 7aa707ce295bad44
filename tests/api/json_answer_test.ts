import { assertEquals } from "@std/assert";
import { jsonResponse } from "../../runtime/api/json_answer.ts";

Deno.test("an answer is the JSON of its value, be it a list of items that stay the same or not", async () => {
  const kept = Object.freeze({ name: 'a "b"', labels: Object.freeze({ ü: "1" }), gone: undefined });
  const list = Object.freeze([kept, Object.freeze({ ...kept, name: "ü" })]);
  const values = [list, { a: [1, undefined] }, null, [], [1, "x", null, undefined], [
    kept,
    { ...kept, name: "c" },
    kept,
  ], [
    [],
  ]];
  for (const value of values) {
    for (const _ of ["first", "again"]) {
      const response = jsonResponse(value, 201);
      assertEquals([response.status, response.headers.get("content-type")], [201, "application/json"]);
      assertEquals(await response.text(), JSON.stringify(value));
    }
  }
});

Deno.test("an item that may change is written anew", async () => {
  const item = { n: 1 };
  assertEquals(await jsonResponse([item], 200).json(), [{ n: 1 }]);
  item.n = 2;
  assertEquals(await jsonResponse([item], 200).json(), [{ n: 2 }]);
});
