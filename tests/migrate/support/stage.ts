/** A root with images and two containers that have changed all there is to change, and what they look like. */
import { createHash } from "node:crypto";
import { join } from "@std/path/posix";
import { commandOutput } from "../../../runtime/host/command.ts";
import type { RuntimeOptions } from "../../../runtime/runtime.ts";
import { bytesOfStream, TestRuntime } from "../../support/test_runtime.ts";

/** Makes it. */
export async function filledRuntime(options: Partial<RuntimeOptions>): Promise<TestRuntime> {
  const test = await TestRuntime.withImage(options);
  await test.importImage("other:1", [
    { "etc/": "", "etc/motd": "hello\n", "data/": "", "data/from-image": "image\n", "empty/": "" },
    { "data/.wh.from-image": "", "more": "x" },
  ]);
  await test.create({ name: "plain" });
  await test.create({
    name: "changed",
    mounts: [{ type: "volume", source: "kept", target: "/v" }],
    labels: { a: "b" },
  });
  const { rootfs } = await test.mount("changed");
  const sh = [
    "rm etc/motd",
    "rm -r data && mkdir data && echo new > data/new",
    "echo more >> etc/second",
    "mkdir -m 2750 deep deep/er && echo x > deep/er/file && ln deep/er/file deep/link && ln -s ../nowhere deep/dangling",
    "truncate -s 5M deep/sparse && mkfifo deep/fifo && mknod deep/null c 1 3",
    "chown 1234:4321 deep/er/file && touch -d '2001-02-03 04:05:06.789' deep/er && chmod 751 .",
    "setfattr -n user.note -v noted deep/er/file || true",
    "echo volume > v/file",
  ].join("\n");
  await commandOutput("sh", ["-ec", sh], { cwd: rootfs });
  await test.unmount("changed");
  return test;
}

/** Everything that users see of images and containers, as text to compare. */
export async function picture(test: TestRuntime): Promise<Record<string, unknown>> {
  const { runtime, operation } = test;
  const archive = async (name: string) =>
    createHash("sha256").update(await bytesOfStream(await runtime.containers.export(name, operation))).digest("hex");
  const containers = [];
  for (const { name } of runtime.containers.list()) {
    const { storage_driver: _, ...view } = await runtime.containers.inspect(name, { size: false }, operation);
    const paths = (await runtime.containers.diff(name, operation)).map(({ kind, path }) => `${kind} ${path}`);
    containers.push({ ...view, tree: await archive(name), diff: paths });
  }
  return {
    containers,
    images: runtime.images.list(),
    volume: await Deno.readTextFile(join(runtime.volumes.inspect("kept").mountpoint, "file")),
  };
}
