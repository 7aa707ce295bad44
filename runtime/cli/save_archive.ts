/** Where exported archives go: a pipe, a file that appears only when it is complete, or a directory. */
import { basename, dirname, join, resolve } from "@std/path/posix";
import { fileError } from "../api/file_error.ts";
import { LaminaError } from "../core/errors.ts";
import type { ByteStream } from "../services.ts";
import { apiPath } from "./client.ts";
import type { Context } from "./context.ts";
import { humanSize } from "./human.ts";
import { unpackDirectory } from "./local_engine.ts";
import { OutputClosed } from "./output.ts";
import { UsageError } from "./parse.ts";
import type { ProgressDisplay } from "./progress_bar.ts";
import { writeStream } from "./write_stream.ts";

/** `lamina image export`. */
export async function exportImages(
  context: Context<{ output: string | undefined; format: string; compression: string }>,
): Promise<void> {
  const { arguments: [image, ...also], flags, signal, client } = context;
  const directory = flags.format === "oci-dir";
  if (directory && (flags.output ?? "-") === "-") {
    throw new UsageError("--format oci-dir needs a directory", "add --output DIR");
  }
  refuseTerminal(flags.output ?? "-");
  const query = { format: directory ? "oci" : flags.format, compression: flags.compression, also };
  const stream = await (await client()).bytes(apiPath`/v1/images/${image!}/export`, { query, signal });
  if (directory) await saveDirectory(context, stream, flags.output!);
  else await saveArchive(context, stream, flags.output ?? "-");
}

/** @throws {UsageError} when the archive would go to a terminal. */
export function refuseTerminal(target: string): void {
  if (target === "-" && Deno.stdout.isTerminal()) {
    throw new UsageError("Refusing to write an archive to a terminal", "add --output FILE, or pipe it into a program");
  }
}

/** Writes an archive to a file or, for `-`, to standard output. */
export async function saveArchive(
  context: Pick<Context<unknown>, "output" | "progress" | "signal">,
  stream: ByteStream,
  target: string,
): Promise<void> {
  const bars = context.progress();
  const counted = counting(stream, bars, target === "-" ? "standard output" : basename(target));
  try {
    if (target === "-") return await toStandardOutput(counted.stream, context.signal);
    await toFile(counted.stream, resolve(target), context.signal);
  } finally {
    bars.done();
  }
  report(context, target, counted.size_bytes());
}

async function saveDirectory(
  context: Pick<Context<unknown>, "output" | "progress" | "signal">,
  stream: ByteStream,
  target: string,
): Promise<void> {
  const path = resolve(target);
  if (!await isFree(path)) {
    await stream.cancel();
    throw new LaminaError("ALREADY_EXISTS", `Cannot write to ${path}: it exists and is not empty. Choose another name`);
  }
  const bars = context.progress();
  const counted = counting(stream, bars, basename(path));
  const temporary = temporaryName(path);
  try {
    await Deno.mkdir(temporary, { mode: 0o755 });
    await unpackDirectory(counted.stream, temporary, { signal: context.signal, progress: () => {} });
    await Deno.chmod(temporary, 0o755);
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary, { recursive: true }).catch(() => {});
    throw error instanceof LaminaError ? error : fileError(error, `Cannot write ${path}`);
  } finally {
    bars.done();
  }
  report(context, path, counted.size_bytes());
}

async function toStandardOutput(stream: ByteStream, signal: AbortSignal): Promise<void> {
  try {
    await writeStream(stream, Deno.stdout, signal);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) throw new OutputClosed(error);
    throw signal.aborted ? signal.reason : brokenExport(error);
  }
}

/** Temporary name, sync, rename. What is no regular file (a pipe, /dev/null) is written to directly. */
async function toFile(stream: ByteStream, path: string, signal: AbortSignal): Promise<void> {
  const found = await Deno.stat(path).catch(() => undefined);
  if (found?.isDirectory) {
    await stream.cancel();
    throw new LaminaError(
      "ALREADY_EXISTS",
      `Cannot write to ${path}: it is a directory. Name a file in it, or use --format oci-dir`,
    );
  }
  const direct = found !== undefined && !found.isFile;
  const temporary = direct ? path : temporaryName(path);
  let file: Deno.FsFile;
  try {
    file = await Deno.open(temporary, direct ? { write: true } : { write: true, createNew: true, mode: 0o644 });
  } catch (error) {
    await stream.cancel();
    if (error instanceof Deno.errors.NotFound) {
      throw new LaminaError(
        "NOT_FOUND",
        `Cannot write to ${path}: there is no directory ${dirname(path)}. Make it first`,
      );
    }
    throw fileError(error, `Cannot write to ${path}`);
  }
  try {
    try {
      await writeStream(stream, file, signal);
      if (!direct) await file.sync();
    } finally {
      file.close();
    }
    if (!direct) await Deno.rename(temporary, path);
  } catch (error) {
    if (!direct) await Deno.remove(temporary).catch(() => {});
    if (signal.aborted) throw signal.reason;
    throw error instanceof Error && error.name in Deno.errors || /os error/.test(String(error))
      ? fileError(error, `Cannot write to ${path}`)
      : brokenExport(error);
  }
}

function brokenExport(error: unknown): LaminaError {
  if (error instanceof LaminaError) return error;
  return new LaminaError(
    "UNAVAILABLE",
    "The export broke off, and nothing was kept: the daemon's log says why. Run lamina check --deep if it goes on",
    { cause: error },
  );
}

function counting(stream: ByteStream, bars: ProgressDisplay, id: string) {
  let size_bytes = 0;
  const count = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      size_bytes += chunk.length;
      bars.update({ phase: "export", id, current: size_bytes });
      controller.enqueue(chunk);
    },
  });
  return { stream: stream.pipeThrough(count) as ByteStream, size_bytes: () => size_bytes };
}

function report(context: Pick<Context<unknown>, "output">, path: string, size_bytes: number): void {
  if (context.output.asJson) context.output.json({ path, size_bytes });
  else context.output.note(`wrote ${path} (${humanSize(size_bytes)})`);
}

function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path).slice(0, 200)}.${crypto.randomUUID().slice(0, 8)}`);
}

async function isFree(path: string): Promise<boolean> {
  try {
    for await (const _ of Deno.readDir(path)) return false;
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw fileError(error, `Cannot write to ${path}`);
  }
}
