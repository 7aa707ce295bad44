import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path/posix";
import { type ErrorCode, LaminaError } from "../../runtime/core/errors.ts";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import type { ByteStream } from "../../runtime/services.ts";
import { rootTest } from "../support/scratch.ts";
import { bytesOfStream, SMALL_IMAGE, TestRuntime } from "../support/test_runtime.ts";

async function refused(code: ErrorCode, body: () => Promise<unknown>): Promise<void> {
  const error = await assertRejects(body, LaminaError);
  assertEquals(error.code, code, error.message);
}

async function names(stream: ByteStream): Promise<string[]> {
  const { stdout } = await runCommand("tar", ["-tf", "-"], { stdin: await bytesOfStream(stream) });
  return stdout.trim().split("\n").sort();
}

async function tarOf(directory: string): Promise<ByteStream> {
  const file = `${directory}.tar`;
  await commandOutput("tar", ["-cf", file, "-C", directory, "."]);
  return (await Deno.open(file)).readable;
}

for (const mounted of [false, true]) {
  const state = mounted ? "mounted" : "unmounted";
  rootTest(`files are copied out of and into a container that is ${state}, resolved inside of it`, async () => {
    await using test = await TestRuntime.open();
    const victim = test.hostDirectory("victim");
    await Deno.writeTextFile(join(victim, "secret"), "host");
    await test.importImage(SMALL_IMAGE, [{
      "etc/motd": "hello\n",
      "etc/sub/deep": "deep\n",
      "link": "-> etc",
      "outwards": `-> ${victim}`,
      "upwards": "-> ../../../../../../../../../../etc",
    }]);
    await test.create({ name: "c" });
    if (mounted) await test.mount("c");
    const { containers } = test.runtime;
    const out = (path: string, options = {}) => containers.copyOut("c", path, test.operation, options);
    assertEquals(await names(await out("/etc/motd")), ["motd"]);
    assertEquals(await names(await out("/etc")), ["etc/", "etc/motd", "etc/sub/", "etc/sub/deep"]);
    assertEquals(await names(await out("/link")), ["link"]);
    assertEquals(await names(await out("/link/")), ["etc/", "etc/motd", "etc/sub/", "etc/sub/deep"]);
    assertEquals(await names(await out("/upwards/.")), ["etc/", "etc/motd", "etc/sub/", "etc/sub/deep"]);
    assertEquals(await names(await out("/etc/sub", { as: "other" })), ["other/", "other/deep"]);
    assertEquals(await names(await out("/etc/sub", { as: "." })), ["./", "deep"]);
    await refused("NOT_FOUND", () => out("/outwards/secret"));
    await refused("NOT_FOUND", () => out("/absent"));

    const stat = (path: string) => containers.statPath("c", path, test.operation);
    assertEquals((await stat("/link")).link_target, "etc");
    assertEquals((await stat("/link/")).kind, "directory");
    assertEquals((await stat("/etc/motd")).size_bytes, 6);
    assertEquals((await stat("/")).kind, "directory");
    await refused("NOT_FOUND", () => stat("/outwards/"));

    const source = test.hostDirectory("in");
    await Deno.writeTextFile(join(source, "new"), "copied\n");
    await Deno.mkdir(join(source, "sub"));
    await Deno.writeTextFile(join(source, "sub/more"), "more\n");
    await containers.copyIn("c", "/link/sub", await tarOf(source), test.operation);
    assertEquals(await names(await out("/etc/sub")), ["sub/", "sub/deep", "sub/new", "sub/sub/", "sub/sub/more"]);
    await assertRejects(async () => containers.copyIn("c", "/outwards", await tarOf(source), test.operation));
    await assertRejects(async () => containers.copyIn("c", "/etc/motd", await tarOf(source), test.operation));
    assertEquals([...Deno.readDirSync(victim)].map(({ name }) => name), ["secret"]);

    if (mounted) await test.unmount("c");
    assertEquals(await test.check(), []);
  });
}

rootTest("volumes are seen by cp while they are mounted, and never by export", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "c", mounts: [{ type: "volume", source: "data", target: "/v" }] });
  const { rootfs } = await test.mount("c");
  await Deno.writeTextFile(join(rootfs, "v/in-volume"), "x");
  await Deno.writeTextFile(join(rootfs, "own"), "x");
  const { containers } = test.runtime;
  assertEquals(await names(await containers.copyOut("c", "/v", test.operation)), ["v/", "v/in-volume"]);
  const exported = await names(await containers.export("c", test.operation));
  assert(exported.includes("own") && exported.includes("v/"), exported.join(" "));
  assert(!exported.some((name) => name.includes("in-volume")), exported.join(" "));
  await test.unmount("c");
  assertEquals(await names(await containers.export("c", test.operation)), exported);
  assertEquals(await test.check(), []);
});

rootTest("an export that nobody reads to its end lets go of the container", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "c" });
  const stream = await test.runtime.containers.export("c", test.operation);
  const reader = stream.getReader();
  await reader.read();
  await reader.cancel();
  await test.mount("c");
  const stop = new AbortController();
  const abandoned = await test.runtime.containers.export("c", { signal: stop.signal, progress: () => {} });
  stop.abort();
  await assertRejects(() => bytesOfStream(abandoned));
  await test.unmount("c");
  await test.remove("c");
  assertEquals(await test.check(), []);
});

rootTest("a container is committed, mounted or not, and the image has what its root had", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "c", mounts: [{ type: "volume", source: "data", target: "/v" }] });
  const { rootfs } = await test.mount("c");
  await Deno.writeTextFile(join(rootfs, "new"), "new\n");
  await Deno.remove(join(rootfs, "etc/motd"));
  await Deno.writeTextFile(join(rootfs, "v/in-volume"), "not in the image");
  const options = { reference: "made:1", changes: ["CMD /bin/new"], message: "m", author: "a" };
  const image = await test.runtime.containers.commit("c", options, test.operation);
  assertEquals(image.references, ["made:1"]);
  assertEquals(image.layers, 3);
  const made = await test.create({ name: "made", image: "made:1" });
  assertEquals(made.oci.process.args, ["/bin/sh", "-c", "/bin/new"]);
  const root = (await test.mount("made")).rootfs;
  assertEquals(await Deno.readTextFile(join(root, "new")), "new\n");
  await assertRejects(() => Deno.stat(join(root, "etc/motd")), Deno.errors.NotFound);
  await assertRejects(() => Deno.stat(join(root, "v/in-volume")), Deno.errors.NotFound);
  assertEquals(await test.check({ deep: true }), []);
});

rootTest("nothing is copied into a read-only root", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "c", read_only: true });
  const source = test.hostDirectory("in");
  await Deno.writeTextFile(join(source, "x"), "x");
  const copy = async () => test.runtime.containers.copyIn("c", "/etc", await tarOf(source), test.operation);
  await refused("CONFLICT", copy);
  await test.mount("c");
  await assertRejects(copy, LaminaError);
  assertEquals(await test.runtime.containers.diff("c", test.operation), []);
});
