import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { PluginSource } from "../../drivers/volume/named/plugin/plugin_source.ts";
import { createRuntime } from "../../runtime/runtime.ts";
import { type LaminaProcess, startLamina } from "../e2e/lamina_process.ts";
import { rootTest, scratchDirectory, testOperation } from "../support/scratch.ts";

type Fields = Record<string, unknown>;

interface Plugin extends AsyncDisposable {
  readonly daemon: LaminaProcess;
  readonly directory: string;
  /** Calls a method; `Err` is undefined when it worked. */
  call(method: string, body?: unknown): Promise<Fields>;
}

async function startPlugin(): Promise<Plugin> {
  await using parts = new AsyncDisposableStack();
  const { path: directory } = parts.use(await scratchDirectory());
  await Deno.mkdir(join(directory, "plugins"), { mode: 0o700 });
  const socket = join(directory, "plugins/lamina.sock");
  const daemon = parts.use(await startLamina(directory, { serveArgs: ["--plugin-socket", socket] }));
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socket } });
  parts.defer(() => client.close());
  const held = parts.move();
  return {
    daemon,
    directory,
    async call(method, body) {
      const init = { method: "POST", client, body: typeof body === "string" ? body : JSON.stringify(body ?? {}) };
      const response = await fetch(`http://plugin/${method}`, init);
      const answer = await response.json();
      assertEquals(response.status === 200, answer.Err === undefined, JSON.stringify(answer));
      return answer;
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

rootTest("Lamina answers every call of the volume plugin protocol", async () => {
  await using plugin = await startPlugin();
  const { call } = plugin;
  assertEquals(await call("Plugin.Activate"), { Implements: ["VolumeDriver"] });
  assertEquals(await call("VolumeDriver.Capabilities"), { Capabilities: { Scope: "local" } });
  assertEquals(await call("VolumeDriver.Create", { Name: "data", Opts: null }), {});
  assertEquals(await call("VolumeDriver.Create", { Name: "data" }), {});
  const { Mountpoint } = await call("VolumeDriver.Mount", { Name: "data", ID: "a" });
  assert((await Deno.stat(String(Mountpoint))).isDirectory);
  assertEquals((await call("VolumeDriver.Mount", { Name: "data", ID: "b" })).Mountpoint, Mountpoint);
  assertEquals(await call("VolumeDriver.Path", { Name: "data" }), { Mountpoint });
  const { Volume } = await call("VolumeDriver.Get", { Name: "data" });
  assertEquals((Volume as Fields).Mountpoint, Mountpoint);
  assertEquals(((await call("VolumeDriver.List")).Volumes as Fields[]).map(({ Name }) => Name), ["data"]);
  assertStringIncludes(String((await call("VolumeDriver.Remove", { Name: "data" })).Err), "is used by");
  for (const ID of ["a", "b", "b"]) assertEquals(await call("VolumeDriver.Unmount", { Name: "data", ID }), {});
  assertEquals(await call("VolumeDriver.Remove", { Name: "data" }), {});
  assertEquals(await call("VolumeDriver.List"), { Volumes: [] });
});

rootTest("what a client of the plugin should not have asked is answered in words", async () => {
  await using plugin = await startPlugin();
  const table: Array<readonly [string, unknown, string]> = [
    ["VolumeDriver.Get", { Name: "nothing" }, "There is no volume"],
    ["VolumeDriver.Mount", { Name: "nothing", ID: "a" }, "There is no volume"],
    ["VolumeDriver.Remove", { Name: "nothing" }, "There is no volume"],
    ["VolumeDriver.Create", { Name: "../up" }, "a volume name"],
    ["VolumeDriver.Create", { Name: "x".repeat(10_000) }, "Name"],
    ["VolumeDriver.Create", { Name: "data", Opts: { sizes: "1" } }, "sizes"],
    ["VolumeDriver.Create", {}, "Name"],
    ["VolumeDriver.Create", "{", "not JSON"],
    ["VolumeDriver.Create", "[]", "Invalid request"],
    ["VolumeDriver.Mount", { Name: "data" }, "ID"],
    ["VolumeDriver.Format", {}, "has no POST /VolumeDriver.Format"],
    ["constructor", {}, "has no POST /constructor"],
  ];
  for (const [method, body, words] of table) {
    assertStringIncludes(String((await plugin.call(method, body)).Err), words, method);
  }
  assertEquals(await plugin.call("VolumeDriver.List"), { Volumes: [] });
});

rootTest("Lamina is no driver of volumes for itself", async () => {
  await using scratch = await scratchDirectory();
  const ownSocket = join(scratch.path, "own.sock");
  using _listener = Deno.listen({ transport: "unix", path: ownSocket });
  await Deno.symlink(ownSocket, join(scratch.path, "linked.sock"));
  await Deno.writeTextFile(join(scratch.path, "named.spec"), `unix://${ownSocket}`);
  await Deno.writeTextFile(join(scratch.path, "broken.spec"), "?");
  const places = { sockets: [scratch.path], files: [scratch.path] };
  using others = new PluginSource(join(scratch.path, "state"), { places, ownSocket });
  assertEquals(["own", "linked", "named"].map((name) => others.find(name)), [undefined, undefined, undefined]);
  assertEquals(others.names(), ["broken"]);
});

rootTest("a Lamina uses the volumes of another one through its plugin socket", async () => {
  await using plugin = await startPlugin();
  const operation = testOperation();
  await using other = await createRuntime({
    root: join(plugin.directory, "other"),
    volumePlugins: { places: { sockets: [join(plugin.directory, "plugins")], files: [] } },
  });
  await other.volumes.create({ name: "far", driver: "lamina", options: { type: "tmpfs", device: "tmpfs" } }, operation);
  const path = await other.volumes.mount("far", "a test", operation);
  await Deno.writeTextFile(join(path, "x"), "seen by both");
  const { Volume } = await plugin.call("VolumeDriver.Get", { Name: "far" });
  assertEquals((Volume as Fields).Mountpoint, path);
  await other.volumes.unmount("far", "a test", operation);
  assertEquals((await plugin.call("VolumeDriver.Path", { Name: "far" })).Mountpoint, "");
  await other.volumes.remove("far", operation);
  assertEquals(await plugin.call("VolumeDriver.List"), { Volumes: [] });
});
