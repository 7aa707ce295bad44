import { assertEquals } from "@std/assert";
import { divideQuantities, formatQuantity, parseQuantity } from "../../runtime/core/quantity.ts";

const good: ReadonlyArray<[string, number]> = [
  ["0", 0],
  ["128974848", 128974848],
  ["1Ki", 1024],
  ["1Gi", 2 ** 30],
  ["1.5Gi", 1.5 * 2 ** 30],
  ["500M", 500_000_000],
  ["129e6", 129_000_000],
  ["129E6", 129_000_000],
  ["1e3", 1000],
  ["2E", 2e18],
  ["1Ei", 2 ** 60],
  ["123k", 123_000],
  ["128974848000m", 128974848],
  ["1m", 1],
  ["0.5", 1],
  [".5Ki", 512],
  ["5.", 5],
  ["+3", 3],
  ["1e-3", 1],
];

for (const [text, size] of good) {
  Deno.test(`the quantity ${text} is ${size}`, () => assertEquals(parseQuantity(text), size));
}

for (
  const text of ["", "-1", "1 Gi", "1gi", "1K", "1kb", "1GB", "Gi", ".", "1e", "0x10", "1e100", "9Ei", "1".repeat(65)]
) {
  Deno.test(`${JSON.stringify(text.slice(0, 20))} is no quantity`, () => assertEquals(parseQuantity(text), undefined));
}

Deno.test("sizes are written with the largest binary suffix that is exact", () => {
  const sizes = [0, 1, 1023, 1024, 1536, 2 ** 30, 3 * 2 ** 40, 10 ** 9];
  assertEquals(sizes.map(formatQuantity), ["0", "1", "1023", "1Ki", "1536", "1Gi", "3Ti", "1000000000"]);
  for (const size of sizes) assertEquals(parseQuantity(formatQuantity(size)), size);
});

Deno.test("a quantity divided by another is rounded up", () => {
  assertEquals(divideQuantities("250m", "1m"), 250n);
  assertEquals(divideQuantities("1500Mi", "1Gi"), 2n);
  assertEquals(divideQuantities("1", "0"), undefined);
});
