import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ERROR_CODES, LaminaError } from "../../runtime/core/errors.ts";
import { EXIT_CODE } from "../../runtime/cli/errors.ts";
import { COMMANDS } from "../../runtime/cli/command_table.ts";
import { fakeRuntime } from "../api/support/fake_runtime.ts";
import { lamina } from "./support/in_process.ts";

Deno.test("each command calls its verb and prints its answer", async (t) => {
  const cases: ReadonlyArray<readonly [string, string, RegExp]> = [
    ["image import /x.tar --ref a:1", "images.import", /^a:1 {2}aa {2}2 layers: 1 unpacked, 1 shared$/],
    ["image import /x.tar -q", "images.import", /^sha256:aa$/],
    ["image ls", "images.list", /^REFERENCE +ID +PLATFORM.*\nteam\/web:1 +aaaaaaaaaaaa +linux\/amd64 +1 +7 B/],
    ["image ls -q", "images.list", /^team\/web:1$/],
    ["image inspect team/web:1", "images.inspect", /^\{\n {2}"id"/],
    ["image tree team/web:1", "images.inspect", /^team\/web:1 .*\n└─ c +7 B {2}its own$/],
    ["image tag a b:2", "images.tag", /^$/],
    ["image rm a", "images.remove", /^deleted x$/],
    ["image prune", "images.prune", /^deleted x\nfreed 5 B$/],
    ["image commit shop shop:2", "containers.commit", /^sha256:a+$/],
    ["container commit shop --ref shop:2", "containers.commit", /^sha256:a+$/],
    ["container create a --name shop", "containers.create", /^shop$/],
    ["container mount shop", "containers.mount", /^\/root\/containers\/shop\/rootfs$/],
    ["container unmount shop", "containers.unmount", /^$/],
    ["container ls", "containers.list", /^NAME +ID.*\nshop +b{12} +a:1 +mounted +0 .*ago\nstore/],
    ["container ls --quiet", "containers.list", /^shop\nstore$/],
    ["container inspect shop", "containers.inspect", /"oci"/],
    ["container update shop --storage-opt size=20g", "containers.update", /^shop$/],
    ["container diff shop", "containers.diff", /^A \/new$/],
    ["container rm -f -v shop", "containers.remove", /^deleted x$/],
    ["volume create data", "volumes.create", /^data$/],
    ["volume ls", "volumes.listWithPlugins", /^NAME +DRIVER.*\ndata +local +- /],
    ["volume inspect data", "volumes.inspectWithPlugins", /"mountpoint"/],
    ["volume rm data", "volumes.remove", /^deleted x$/],
    ["volume prune --all", "volumes.prune", /^deleted x\nfreed 5 B$/],
    ["df", "system.diskUsage", /^TYPE +COUNT +SIZE\nimages +1 +7 B\n[^]*reclaimable 2 B/],
    ["check", "system.check", /^everything agrees \(checked: layers 2\)$/],
    ["gc", "system.collectGarbage", /^deleted x\nfreed 5 B$/],
    ["info", "system.info", /version +0\.0\.0\n/],
    ["migrate --to vfs", "system.migrate", /^moved 2 layers and 1 container from overlay to vfs$/],
    ["migrate --to zfs --storage-opt zfs.pool=tank", "system.migrate", /now on with --storage-opt zfs\.pool=tank$/],
    ["migrate --abort", "system.abandonMigration", /^the copies are deleted, the old driver stays$/],
    ["doctor", "system.doctor", /^ok +overlay +kernel 6$/],
  ];
  for (const [line, verb, printed] of cases) {
    await t.step(`lamina ${line}`, async () => {
      const { code, out, runtime, error } = await lamina(line.split(" "));
      assertEquals([code, error], [0, undefined]);
      assertEquals(runtime.calls.map((call) => call.verb), [verb]);
      assertMatch(out, printed);
    });
  }
});

Deno.test("--json prints exactly what the API answers", async () => {
  for (const line of ["image ls", "container ls", "volume ls", "info", "df", "doctor", "container mount shop"]) {
    const { out } = await lamina([...line.split(" "), "--json"]);
    const parsed = JSON.parse(out);
    if (line.endsWith("ls")) assertEquals(Array.isArray(parsed), true);
  }
  assertEquals(JSON.parse((await lamina(["--json", "info"])).out).version, "0.0.0");
  assertEquals((await lamina(["image", "tag", "a", "b", "--json"])).out, "{}");
});

Deno.test("container create turns its flags into the API's body", async () => {
  const { runtime } = await lamina([
    ...["container", "create", "web:1", "--name", "shop", "-v", "data:/data:ro", "-v", "/srv:/www"],
    ...["--mount", "type=bind,source=/etc,target=/host,readonly", "--tmpfs", "/run:size=1m", "--read-only", "--rm"],
    ...["--storage-opt", "size=10g", "--label", "tier=db", "-l", "bare", "-v", "/cache", "--volumes-from", "a:ro"],
    ...["-e", "A=1", "--hostname", "h", "-w", "/srv", "-u", "1000", "--", "serve", "--all"],
  ]);
  const bind = { type: "bind", propagation: "rprivate", recursive: "enabled" };
  assertEquals(runtime.calls[0]!.args[0], {
    image: "web:1",
    name: "shop",
    mounts: [
      { type: "volume", source: "data", target: "/data", read_only: true, no_copy: false },
      { ...bind, source: "/srv", target: "/www", read_only: false, create_source: true },
      { type: "volume", target: "/cache", read_only: false, no_copy: false },
      { ...bind, source: "/etc", target: "/host", read_only: true, create_source: false },
      { type: "tmpfs", target: "/run", size_bytes: 2 ** 20, mode: 0o1777, options: [], read_only: false },
    ],
    volumes: [],
    volumes_from: ["a:ro"],
    read_only: true,
    auto_remove: true,
    labels: { tier: "db", bare: "" },
    storage_options: { size: "10g" },
    config: { env: ["A=1"], command: ["serve", "--all"], working_directory: "/srv", user: "1000", hostname: "h" },
    engine: {},
  });
});

Deno.test("container create makes a relative host path absolute", async () => {
  const { runtime } = await lamina(["container", "create", "a", "-v", "./conf:/etc/app"]);
  const spec = runtime.calls[0]!.args[0] as { mounts: Array<{ source: string }> };
  assertEquals(spec.mounts[0]!.source, `${Deno.cwd()}/conf`);
});

Deno.test("image import makes a relative path absolute and passes reference and platform", async () => {
  const { runtime } = await lamina(["image", "import", "x.tar", "--ref", "a:1", "--platform", "linux/arm64"]);
  assertEquals(runtime.calls[0]!.args.slice(0, 2), [
    { path: `${Deno.cwd()}/x.tar` },
    { reference: "a:1", platform: "linux/arm64" },
  ]);
});

Deno.test("every error code of the API becomes the exit code of the contract", async () => {
  const expected: Partial<Record<string, number>> = {
    INVALID_ARGUMENT: 2,
    NOT_FOUND: 3,
    ALREADY_EXISTS: 4,
    CONFLICT: 4,
    UNAVAILABLE: 5,
  };
  for (const code of ERROR_CODES) {
    const runtime = fakeRuntime();
    runtime.images.inspect = () => {
      throw new LaminaError(code, `says ${code}`);
    };
    const ran = await lamina(["image", "inspect", "a"], runtime);
    assertEquals(ran.code, expected[code] ?? 1, code);
    assertEquals(EXIT_CODE[code], ran.code);
    assertEquals((ran.error as LaminaError).message, `says ${code}`);
  }
});

Deno.test("check exits with 1 while a finding is not repaired", async () => {
  const runtime = fakeRuntime();
  const finding = { kind: "orphan", object: "/x", message: "nobody owns /x", repairable: true };
  runtime.system.check = ({ repair }) => Promise.resolve({ findings: [{ ...finding, repaired: repair }], checked: {} });
  const seen = await lamina(["check"], runtime);
  assertEquals([seen.code, seen.out], [1, "orphan: nobody owns /x (repairable with --repair)\n1 finding left"]);
  const repaired = await lamina(["check", "--repair"], runtime);
  assertEquals([repaired.code, repaired.out], [0, "orphan: nobody owns /x (repaired)\neverything agrees"]);
  const silent = { ...finding, message: "nobody owns this", repaired: false, repairable: false };
  runtime.system.check = () => Promise.resolve({ findings: [silent], checked: {} });
  const named = await lamina(["check"], runtime);
  assertEquals(named.out, "orphan: /x: nobody owns this (needs a person)\n1 finding left");
});

Deno.test("names with control characters cannot move the cursor of a terminal", async () => {
  const runtime = fakeRuntime();
  runtime.containers.diff = () => Promise.resolve([{ kind: "A", path: "/\x1b[2Jx\ny" }]);
  const { out } = await lamina(["container", "diff", "shop"], runtime);
  assertEquals(out, "A /\\x1b[2Jx\\x0ay");
});

Deno.test("names that a URL would swallow are refused before they are sent", async () => {
  for (const name of [".", ".."]) {
    const { code, runtime } = await lamina(["container", "rm", name]);
    assertEquals([code, runtime.calls.length], [2, 0]);
  }
});

Deno.test("an answer that breaks off before its result is no success", async () => {
  const runtime = fakeRuntime();
  runtime.system.check = async (_options, { progress }) => {
    progress({ phase: "check", id: "x", current: 1 });
    await new Promise((resolve) => setTimeout(resolve, 1));
    throw new LaminaError("DATA_LOSS", "layer x is damaged");
  };
  const { code, error } = await lamina(["check"], runtime);
  assertEquals(code, 1);
  assertStringIncludes(String(error), "layer x is damaged");
});

Deno.test("every command has a summary without a full stop and an example that parses", async () => {
  const { parseCommandLine } = await import("../../runtime/cli/parse.ts");
  for (const row of COMMANDS) {
    assertMatch(row.summary, /[^.]$/);
    assertEquals(row.examples.length > 0, true, row.words.join(" "));
    for (const [line] of row.examples) {
      // Pipes and redirections are the shell's: the part that is ours must parse.
      const own = line.split(/ [|>] /).find((part) => part.replace(/^lamina /, "").startsWith(row.words.join(" ")));
      if (own === undefined) continue;
      const words = own.replace(/^lamina /, "").match(/'[^']*'|\S+/g)!.map((word) => word.replaceAll("'", ""));
      assertEquals(parseCommandLine(COMMANDS, words).kind, "run", line);
    }
  }
});
