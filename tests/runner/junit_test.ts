import { assertEquals } from "@std/assert";
import { parseJunit } from "../support/junit.ts";

Deno.test("a report gives each test's name and result", () => {
  const xml = `<testsuites tests="3"><testsuite name="./a_test.ts">
    <testcase name="a &amp; &lt;b&gt; &quot;c&quot; &#39;" classname="./a_test.ts" time="0.000" line="1" col="6">
    </testcase>
    <testcase name="later (needs root)" time="0.0"><skipped/></testcase>
    <testcase name="bad"><failure message="Uncaught Error: x &gt; y">Error: x</failure></testcase>
  </testsuite></testsuites>`;
  assertEquals(parseJunit(xml), [
    { name: `a & <b> "c" '`, result: "passed" },
    { name: "later (needs root)", result: "skipped" },
    { name: "bad", result: "failed" },
  ]);
});

Deno.test("an empty report holds no test", () => {
  assertEquals(parseJunit('<testsuites name="deno test" tests="0"></testsuites>'), []);
});
