import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { awaiting } from "../../drivers/volume/awaited_path.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { Failure } from "../../runtime/volume/manager/backoff.ts";
import { thisHost } from "../../runtime/volume/manager/manager_host.ts";
import { SourceWatch } from "../../runtime/volume/manager/source_watch.ts";
import { scratchDirectory } from "../support/scratch.ts";

/** A step that has failed for what is at `path` now. */
async function failed(id: string, path: string): Promise<Failure> {
  const found = await Deno.stat(path).catch(() => undefined);
  const cause = new LaminaError("NOT_FOUND", "it is not there", { details: awaiting(path, found) });
  const error = new LaminaError("NOT_FOUND", "Cannot mount", { cause });
  return { id, attempts: 9, since_ms: 0, next_ms: Date.now() + 60_000, error };
}

/** A watch, and what it has called for. */
async function watched(body: (watch: SourceWatch, retried: () => Promise<string>, path: string) => Promise<void>) {
  await using scratch = await scratchDirectory();
  const waiting: Array<(id: string) => void> = [];
  const calls: string[] = [];
  const watch = new SourceWatch(thisHost, (id) => {
    const next = waiting.shift();
    if (next === undefined) calls.push(id);
    else next(id);
  });
  const retried = () => {
    const call = calls.shift();
    return call === undefined ? new Promise<string>((resolve) => waiting.push(resolve)) : Promise.resolve(call);
  };
  // What is waited for is a file's event: something has to keep the process there meanwhile.
  const alive = setInterval(() => {}, 1000);
  try {
    await body(watch, retried, scratch.path);
  } finally {
    clearInterval(alive);
    watch.stop();
  }
}

/** Until the watch stands: it shows by answering. */
async function stands(watch: SourceWatch, retried: () => Promise<string>, path: string, others: readonly Failure[]) {
  const sign = join(path, "sign");
  watch.update([...others, await failed("sign", sign)]);
  await Deno.writeTextFile(sign, "");
  for (let id = await retried(); id !== "sign"; id = await retried());
  watch.update(others);
}

Deno.test("a file that a step missed calls for the step when it comes", () =>
  watched(async (watch, retried, path) => {
    const missing = await failed("mount", join(path, "file"));
    await stands(watch, retried, path, [missing]);
    await Deno.writeTextFile(join(path, "file"), "");
    assertEquals(await retried(), "mount");
  }));

Deno.test("the way to a missing file may come step by step", () =>
  watched(async (watch, retried, path) => {
    const missing = await failed("mount", join(path, "a/b/file"));
    await stands(watch, retried, path, [missing]);
    await Deno.mkdir(join(path, "a/b"), { recursive: true });
    const coming = retried();
    await new Promise((resolve) => setTimeout(resolve, 200));
    await Deno.writeTextFile(join(path, "a/b/file"), "");
    assertEquals(await coming, "mount");
  }));

Deno.test("what came between the failure and the watch is seen", () =>
  watched(async (watch, retried, path) => {
    const missing = await failed("mount", join(path, "file"));
    await Deno.writeTextFile(join(path, "file"), "");
    watch.update([missing]);
    assertEquals(await retried(), "mount");
  }));

Deno.test("something of the wrong kind that is replaced calls for the step", () =>
  watched(async (watch, retried, path) => {
    await Deno.mkdir(join(path, "there"));
    const wrong = await failed("mount", join(path, "there"));
    await stands(watch, retried, path, [wrong]);
    await Deno.writeTextFile(join(path, "file"), "");
    await Deno.remove(join(path, "there"));
    await Deno.rename(join(path, "file"), join(path, "there"));
    assertEquals(await retried(), "mount");
  }));

Deno.test("what has nothing to do with a path, is due anyway, or is not waited for any more, is left alone", () =>
  watched(async (watch, retried, path) => {
    const missing = await failed("mount", join(path, "file"));
    watch.update([{ ...missing, next_ms: 0 }, { ...missing, error: new LaminaError("UNAVAILABLE", "no server") }]);
    assertEquals(watch.isNeeded, false);
    watch.update([missing]);
    watch.update([]);
    const other = await failed("other", join(path, "other"));
    await stands(watch, retried, path, [other]);
    await Deno.writeTextFile(join(path, "file"), "");
    await Deno.writeTextFile(join(path, "other"), "");
    assertEquals(await retried(), "other");
  }));
