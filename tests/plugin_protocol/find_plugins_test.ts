import { assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import { findPlugin, pluginNames } from "../../drivers/volume/named/plugin/find_plugins.ts";
import { scratchDirectory } from "../support/scratch.ts";

Deno.test("a plugin is a socket, or a file with its address; sockets come first", async () => {
  await using scratch = await scratchDirectory();
  const sockets = join(scratch.path, "s"), files = join(scratch.path, "f");
  const places = { sockets: [sockets], files: [files, join(scratch.path, "missing")] };
  await Deno.mkdir(join(sockets, "deep"), { recursive: true });
  await Deno.mkdir(files);
  using _flat = Deno.listen({ transport: "unix", path: join(sockets, "flat.sock") });
  using _deep = Deno.listen({ transport: "unix", path: join(sockets, "deep/deep.sock") });
  await Deno.writeTextFile(join(sockets, "file.sock"), "no socket");
  const contents: Record<string, string> = {
    "flat.spec": "tcp://127.0.0.1:1",
    "unix.spec": "unix:///a/b.sock\n",
    "tcp.spec": "tcp://127.0.0.1:9000",
    "json.json": '{"Name":"json","Addr":"https://127.0.0.1:9000"}',
    "tls.json": '{"Addr":"tcp://h:1","TLSConfig":{"CAFile":"/ca","CertFile":"/c","KeyFile":"/k"}}',
    "blind.json": '{"Addr":"https://h:1","TLSConfig":{"InsecureSkipVerify":true}}',
    "words.spec": "somewhere",
    "broken.json": "{",
    "empty.json": "{}",
  };
  for (const [name, text] of Object.entries(contents)) await Deno.writeTextFile(join(files, name), text);
  const found: Record<string, unknown> = {
    flat: { socketPath: join(sockets, "flat.sock") },
    deep: { socketPath: join(sockets, "deep/deep.sock") },
    unix: { socketPath: "/a/b.sock" },
    tcp: { url: "http://127.0.0.1:9000" },
    json: { url: "https://127.0.0.1:9000" },
    tls: { url: "https://h:1", tls: { caFile: "/ca", certFile: "/c", keyFile: "/k" } },
    file: undefined,
    nothing: undefined,
    "../f/unix": undefined,
    "": undefined,
    [`${"x".repeat(10_000)}`]: undefined,
    "nul\0": undefined,
  };
  for (const [name, address] of Object.entries(found)) assertEquals(findPlugin(name, places), address, name);
  for (const name of ["blind", "words", "broken", "empty"]) {
    assertThrows(() => findPlugin(name, places), LaminaError, "Cannot read the plugin's address");
  }
  assertEquals(pluginNames(places).filter((name) => name in found), [
    "deep",
    "file",
    "flat",
    "json",
    "tcp",
    "tls",
    "unix",
  ]);
  assertEquals(pluginNames({ sockets: ["/nowhere"], files: [] }), []);
});
