import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type Listing, rowFormat } from "../../runtime/cli/format.ts";
import { UsageError } from "../../runtime/cli/parse.ts";
import { lamina } from "./support/in_process.ts";

interface Thing {
  id: string;
  name: string;
  size_bytes: number;
  labels: Record<string, string>;
  used_by: string[];
  created_at?: string;
}

const listing: Listing<Thing> = {
  columns: [
    { title: "NAME", value: ({ name }) => name },
    { title: "ID", value: ({ id }) => id.slice(0, 3) },
    { title: "USED BY", value: ({ used_by }) => used_by.join(" and ") || "-" },
    { title: "SIZE LIMIT", value: ({ size_bytes }) => `${size_bytes} B`, right: true },
  ],
  aliases: [{ title: "NAMES", value: ({ name }) => name }],
  keys: ["size_bytes", "labels", "used_by", "created_at"],
};
const rows: Thing[] = [
  { id: "aaaa", name: "data", size_bytes: 7, labels: { tier: "db", "a.b": "dotted" }, used_by: ["x", "y"] },
  { id: "bbbb", name: "ev\x1bil", size_bytes: 8, labels: {}, used_by: [], created_at: "2026-01-02T03:04:05Z" },
];

Deno.test("--format fills in fields as Docker's users type them", () => {
  const cases: Record<string, string[]> = {
    "{{.Name}}": ["data", "ev\\x1bil"],
    "{{ .Name }}\\t{{.ID}}": ["data\taaa", "ev\\x1bil\tbbb"],
    "{{.Id}} {{.id}} {{.Names}}": ["aaa aaa data", "bbb bbb ev\\x1bil"],
    "{{.SizeLimit}}/{{.SizeBytes}}/{{.size_bytes}}": ["7 B/7/7", "8 B/8/8"],
    "{{.Labels}}|{{.UsedBy}}": ["tier=db,a.b=dotted|x and y", "|-"],
    '{{.Label "tier"}}|{{.Label "a.b"}}|{{.Label "no"}}': ["db|dotted|", "||"],
    "{{.Labels.tier}}|{{.CreatedAt}}": ["db|", "|2026-01-02T03:04:05Z"],
    "{{json .Labels}} {{json .UsedBy}} {{json .CreatedAt}}": [
      '{"tier":"db","a.b":"dotted"} ["x","y"] null',
      '{} [] "2026-01-02T03:04:05Z"',
    ],
    "plain }} text": ["plain }} text", "plain }} text"],
    "": ["", ""],
    "table {{.Name}}\\t{{.SizeLimit}}": ["NAME      SIZE LIMIT", "data      7 B", "ev\\x1bil  8 B"],
    'table {{.ID}}: {{.Label "tier"}}\\t{{.Labels.tier}}': ["ID: TIER  LABELS TIER", "aaa: db   db", "bbb:"],
  };
  for (const [template, lines] of Object.entries(cases)) {
    assertEquals(rowFormat(template, listing)(rows), lines, template);
  }
  assertEquals(rowFormat("json", listing)(rows).map((line) => JSON.parse(line)), rows as unknown[]);
  assertEquals(rowFormat("{{json .}}", listing)(rows.slice(0, 1)).map((line) => JSON.parse(line)), rows.slice(0, 1));
});

Deno.test("--format refuses what it does not know, whatever there is to list, and says what it knows", () => {
  const fields = "the fields are .Name, .ID, .UsedBy, .SizeLimit, .Names, .SizeBytes, .Labels, .CreatedAt";
  const cases: Record<string, string> = {
    "{{.Colour}}": fields,
    "{{.Names.x}}{{.Nam}}": fields,
    '{{.Name "x"}}': fields,
    "{{.}}": fields,
    "{{json .Colour}}": fields,
    "{{range .Labels}}{{end}}": "it takes",
    "{{upper .Name}}": "it takes",
    "{{.Name | json}}": "it takes",
    "{{}}": "it takes",
  };
  for (const [template, hint] of Object.entries(cases)) {
    const error = assertThrows(() => rowFormat(template, listing), UsageError, "--format does not know", template);
    assertStringIncludes(error.hint!, hint, template);
  }
  assertThrows(() => rowFormat("{{.Name", listing), UsageError, "without its }}");
});

Deno.test("every command that lists has the same --format, and asks nobody when the template is wrong", async () => {
  const cases: ReadonlyArray<readonly [string, string, RegExp]> = [
    ["image ls", "{{.Repository}}|{{.Tag}}|{{.Size}}", /^team\/web\|1\|7 B$/],
    ["container ls", "{{.Names}} {{.State}}", /^shop mounted\nstore /],
    [
      "volume ls",
      "{{.Name}} {{.Driver}} {{.Mountpoint}} {{.Scope}}",
      /^data local \/root\/volumes\/data\/_data local$/,
    ],
    ["volume snapshots data", "{{.Volume}}/{{.Name}}", /^data\/monday$/],
    ["union ls", "{{.Target}} {{.ID}}", /\S/],
  ];
  for (const [line, template, printed] of cases) {
    const { code, out, error } = await lamina([...line.split(" "), "--format", template]);
    assertEquals([code, error], [0, undefined], line);
    assertEquals(printed.test(out), true, `${line}: ${out}`);
    const wrong = await lamina([...line.split(" "), "--format", "{{.Nothing}}"]);
    assertEquals([wrong.code, wrong.runtime.calls], [2, []], line);
  }
});
