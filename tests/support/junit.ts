/** What `deno test --junit-path` wrote, as far as the runner needs it. */

/** One test or step. */
export interface TestCase {
  readonly name: string;
  readonly result: "passed" | "failed" | "skipped";
}

/** Reads a report. The order is the report's. */
export function parseJunit(xml: string): TestCase[] {
  const cases: TestCase[] = [];
  for (const [, attributes, body] of xml.matchAll(/<testcase\b([^>]*)>([\s\S]*?)<\/testcase>/g)) {
    const name = /\bname="([^"]*)"/.exec(attributes!)?.[1] ?? "";
    const result = /<(failure|error)\b/.test(body!) ? "failed" : /<skipped\b/.test(body!) ? "skipped" : "passed";
    cases.push({ name: unescapeXml(name), result });
  }
  return cases;
}

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function unescapeXml(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return entities[name] ?? whole;
    return String.fromCodePoint(decimal !== undefined ? Number(decimal) : parseInt(hex, 16));
  });
}
