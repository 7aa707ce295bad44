import { assertEquals, assertMatch } from "@std/assert";
import { lamina } from "./support/in_process.ts";

Deno.test("capacity shows what each class has left", async () => {
  for (const words of [["capacity"], ["get", "capacity"]]) {
    const { code, out } = await lamina(words);
    assertEquals(code, 0);
    assertMatch(out, /CLASS +PROVISIONER +AVAILABLE +TOTAL\s+fast +lamina.dev\/local +5 B +10 B/);
  }
  const json = await lamina(["get", "capacity", "-o", "json"]);
  assertEquals(JSON.parse(json.out).classes[0].available_bytes, 5);
});
