import { assertEquals } from "@std/assert";
import { bytesOf, type ByteString, byteStringFromText, byteStringOf, displayName } from "../../runtime/core/bytes.ts";

Deno.test("every sequence of bytes survives the way to a byte string and back", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  assertEquals(bytesOf(byteStringOf(all)), all);
  const many = crypto.getRandomValues(new Uint8Array(20_000));
  assertEquals(bytesOf(byteStringOf(many)), many);
  assertEquals(byteStringOf(new Uint8Array()), "" as ByteString);
});

Deno.test("a text's byte string is its UTF-8", () => {
  assertEquals(byteStringFromText("plain"), "plain" as ByteString);
  assertEquals(byteStringFromText("é"), "\xc3\xa9" as ByteString);
  assertEquals(byteStringFromText("\u{1f600}").length, 4);
});

Deno.test("byte strings sort as their bytes do", () => {
  const names = ["\u{1f600}", "é", "z", "\uffff"];
  const sorted = names.map(byteStringFromText).sort().map((name) => displayName(name));
  assertEquals(sorted, ["z", "é", "\uffff", "\u{1f600}"]);
});

Deno.test("a name is shown as text where it is that, else with its stray bytes marked", () => {
  const cases: Array<[string, string]> = [
    ["plain", "plain"],
    ["\xc3\xa9", "é"],
    ["a\xff\xfeb", "a\\xff\\xfeb"],
    ["\xc3", "\\xc3"],
    // A byte order mark is a part of the name.
    ["\xef\xbb\xbfa", "\ufeffa"],
  ];
  for (const [name, shown] of cases) assertEquals(displayName(name as ByteString), shown);
});
