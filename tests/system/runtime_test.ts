import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { join } from "@std/path/posix";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { Event } from "../../runtime/core/specs/system.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { readMountTable } from "../../runtime/host/mount_table.ts";
import { createRuntime } from "../../runtime/runtime.ts";
import { rootTest, unmountBelow } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

const mountsOf = (directory: string) =>
  readMountTable().filter(({ target }) => target.startsWith(`${directory}/`)).map(({ id, target }) =>
    `${id} ${target}`
  );

rootTest("a second runtime on a root is refused and names the holder", async () => {
  await using test = await TestRuntime.open();
  const error = await assertRejects(() => createRuntime({ root: test.root }), LaminaError, String(Deno.pid));
  assertEquals(error.code, "UNAVAILABLE");
  assertEquals(error.details.holder_pid, Deno.pid);
  await test.restart();
});

rootTest("after a reboot every root that was mounted is mounted again, and the others are not", async () => {
  await using test = await TestRuntime.withImage();
  const source = test.hostDirectory("host");
  const mounts = [
    { type: "volume" as const, source: "data", target: "/v" },
    { type: "bind" as const, source, target: "/v/h" },
  ];
  for (const name of ["mounted", "unmounted", "never", "broken"]) await test.create({ name, mounts });
  for (const name of ["mounted", "unmounted", "broken"]) await test.mount(name);
  await test.unmount("unmounted");
  await test.create({ name: "lost", mounts: [{ type: "bind", source: test.hostDirectory("lost"), target: "/x" }] });
  await test.mount("lost");
  await test.runtime[Symbol.asyncDispose]();
  // As far as a process can tell, this is what a reboot leaves.
  await unmountBelow(test.root);
  await Deno.remove(join(test.scratch.path, "lost"));
  await test.reopen();
  const mounted = test.runtime.containers.list().filter((container) => container.mounted).map(({ name }) => name)
    .sort();
  assertEquals(mounted, ["broken", "mounted"]);
  assertEquals(mountsOf(test.root).length, 6);
  assertEquals((await test.check()).map((line) => line.split(" ")[0]), ["missing-mount"]);
  const doctor = await test.runtime.system.doctor(test.operation);
  assert(doctor.some(({ subject, found }) => subject === "recovery of lost" && found.includes("does not exist")));
});

rootTest("mounts outlive the runtime, and the next one takes them over as they are", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({
    name: "c",
    mounts: [{ type: "volume", source: "data", target: "/v" }, { type: "tmpfs", target: "/t" }],
  });
  const { rootfs } = await test.mount("c");
  await Deno.writeTextFile(join(rootfs, "t/in-memory"), "x");
  const before = mountsOf(test.root);
  await test.restart();
  assertEquals(mountsOf(test.root), before);
  assertEquals(await Deno.readTextFile(join(rootfs, "t/in-memory")), "x");
  await test.unmount("c");
  assertEquals(mountsOf(test.root), []);
});

rootTest("a volume that went missing from a root while nobody looked is put back by the next start", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "c", mounts: [{ type: "volume", source: "data", target: "/v" }] });
  const { rootfs } = await test.mount("c");
  await test.runtime[Symbol.asyncDispose]();
  await commandOutput("umount", [join(rootfs, "v")]);
  await test.reopen();
  assertEquals(mountsOf(test.root).length, 2);
});

rootTest("a runtime that was ended refuses every verb, and ends twice without harm", async () => {
  await using test = await TestRuntime.withImage();
  const { runtime } = test;
  await test.create({ name: "c" });
  const listening = Array.fromAsync(runtime.system.events({}, new AbortController().signal));
  await runtime[Symbol.asyncDispose]();
  await runtime[Symbol.asyncDispose]();
  await listening;
  assertThrows(() => runtime.containers.list(), LaminaError, "shutting down");
  for (
    const verb of [
      () => runtime.containers.mount("c", test.operation),
      () => runtime.volumes.create({ driver: "local", options: {}, labels: {} }, test.operation),
      () => runtime.images.import({ path: "/x" }, {}, test.operation),
    ]
  ) {
    assertEquals((await assertRejects(verb, LaminaError)).code, "UNAVAILABLE");
  }
  await test.reopen();
});

rootTest("ending aborts what does not end by itself, and it leaves nothing", async () => {
  await using test = await TestRuntime.withImage({ shutdownGrace_ms: 50 });
  let cancelled = false;
  // An archive that never comes to its end.
  const endless = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: () => new Promise(() => {}),
    cancel: () => {
      cancelled = true;
    },
  });
  const importing = test.runtime.images.import({ stream: endless }, { reference: "never:1" }, test.operation);
  const [result] = await Promise.allSettled([importing, test.runtime[Symbol.asyncDispose]()]);
  assertEquals(result.status, "rejected");
  assert(cancelled);
  await test.reopen();
  assertEquals(test.runtime.images.list().length, 1);
  assertEquals(await test.check(), []);
});

rootTest("what happens is told as events, in order", async () => {
  await using test = await TestRuntime.withImage();
  const stop = new AbortController();
  const seen: Event[] = [];
  const listening = (async () => {
    for await (const event of test.runtime.system.events({ since: 0 }, stop.signal)) seen.push(event);
  })();
  await test.create({ name: "c", mounts: [{ type: "volume", source: "data", target: "/v" }] });
  await test.mount("c");
  await test.mount("c");
  await test.unmount("c");
  await test.remove("c");
  await test.runtime.volumes.remove("data", test.operation);
  await new Promise((resolve) => setTimeout(resolve, 0));
  stop.abort();
  await listening;
  assertEquals(seen.map(({ kind, action, name }) => [kind, action, name].filter(Boolean).join(" ")), [
    "system ready",
    "image import small:1",
    "image tag small:1",
    "volume create data",
    "container create c",
    "container mount c",
    "container unmount c",
    "container remove c",
    "volume remove data",
  ]);
  assertEquals(seen.map(({ sequence }) => sequence), seen.map(({ sequence }) => sequence).toSorted((a, b) => a - b));
});

rootTest("the root passes container processes through and keeps everybody out of the rest", async () => {
  await using test = await TestRuntime.withImage();
  const { id } = await test.create({ name: "c", mounts: [{ type: "volume", source: "data", target: "/v" }] });
  await test.mount("c");
  const mode = (path: string) => Deno.statSync(join(test.root, path)).mode! & 0o7777;
  assertEquals([".", "containers", `containers/${id}`].map(mode), [0o711, 0o711, 0o711]);
  assertEquals(["volumes", "staging", "trash", "recipes", "drivers"].map(mode), [0o700, 0o700, 0o700, 0o700, 0o700]);
  assertEquals(["lamina.db", "lock", "reserve"].map(mode), [0o600, 0o600, 0o600]);
});

rootTest("both mounters and both storage drivers do the main job", async () => {
  for (const options of [{ mounter: "libc" as const }, { storageDriver: "vfs" }]) {
    await using test = await TestRuntime.withImage(options);
    await test.create({ name: "c", read_only: true, mounts: [{ type: "volume", source: "data", target: "/new/v" }] });
    const { rootfs } = await test.mount("c");
    await Deno.writeTextFile(join(rootfs, "new/v/x"), "x");
    assertEquals(await Deno.readTextFile(join(rootfs, "etc/motd")), "hello\n");
    await assertRejects(() => Deno.writeTextFile(join(rootfs, "etc/motd"), ""));
    assertEquals(await test.runtime.containers.diff("c", test.operation), [
      { kind: "A", path: "/new" },
      { kind: "A", path: "/new/v" },
    ]);
    await test.restart();
    await test.unmount("c");
    await test.remove("c");
    assertEquals(await test.check({ deep: true }), []);
  }
});

rootTest("a root behind a link is the same root", async () => {
  await using test = await TestRuntime.withImage();
  await test.create({ name: "c" });
  const { rootfs } = await test.mount("c");
  await test.runtime[Symbol.asyncDispose]();
  const link = join(test.scratch.path, "link");
  await Deno.symlink(test.root, link);
  {
    await using runtime = await createRuntime({ root: link });
    const [container] = runtime.containers.list();
    assertEquals([container!.mounted, container!.rootfs], [true, rootfs]);
  }
  await test.reopen();
});
