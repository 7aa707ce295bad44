import { assertEquals, assertMatch } from "@std/assert";
import { lamina } from "./support/in_process.ts";

Deno.test("capacity shows what each class has left", async () => {
  const { code, out } = await lamina(["capacity"]);
  assertEquals(code, 0);
  assertMatch(out, /CLASS +PROVISIONER +AVAILABLE +TOTAL\s+fast +lamina.dev\/local +5 B +10 B/);
});
