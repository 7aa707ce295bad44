/** What the tests of volumes share. */
import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path/posix";
import { type ErrorCode, LaminaError } from "../../../runtime/core/errors.ts";
import { commandOutput } from "../../../runtime/host/command.ts";
import type { VolumeRequest } from "../../../runtime/core/model/volume.ts";
import type { ByteStream } from "../../../runtime/services.ts";
import type { TestRuntime } from "../../support/test_runtime.ts";

/** `body` fails with this code, and says these words. */
export async function refused(code: ErrorCode, body: () => Promise<unknown>, words = ""): Promise<LaminaError> {
  const error = await assertRejects(body, LaminaError, words);
  assertEquals(error.code, code, error.message);
  return error;
}

/** Makes a volume. */
export function makeVolume(test: TestRuntime, request: VolumeRequest) {
  return test.runtime.volumes.create(request, test.operation);
}

/** With a volume's data in sight, as a client of its own. */
export async function withVolume<T>(test: TestRuntime, name: string, body: (path: string) => Promise<T>): Promise<T> {
  const client = `test-${crypto.randomUUID()}`;
  const path = await test.runtime.volumes.mount(name, client, test.operation);
  try {
    return await body(path);
  } finally {
    await test.runtime.volumes.unmount(name, client, test.operation);
  }
}

/** A tree with everything that an archive has to keep. */
export async function writeRichTree(path: string): Promise<void> {
  await Deno.writeTextFile(join(path, "plain"), "plain\n");
  await Deno.mkdir(join(path, "dir/deep"), { recursive: true });
  await Deno.writeTextFile(join(path, "dir/deep/file"), "x".repeat(100_000));
  await Deno.link(join(path, "plain"), join(path, "dir/hard"));
  await Deno.symlink("../outside", join(path, "dir/link"));
  await Deno.chown(join(path, "dir/deep/file"), 1234, 5678);
  await Deno.chmod(join(path, "dir/deep/file"), 0o4751);
  await commandOutput("mknod", [join(path, "fifo"), "p"]);
  await commandOutput("mknod", [join(path, "device"), "c", "1", "3"]);
  await commandOutput("setfattr", ["-n", "user.note", "-v", "kept", join(path, "plain")]);
  await commandOutput("truncate", ["-s", "4M", join(path, "sparse")]);
  await Deno.chmod(path, 0o1770);
  await Deno.chown(path, 42, 43);
  await commandOutput("touch", ["-d", "2001-02-03T04:05:06.789Z", join(path, "plain"), join(path, "dir")]);
}

/** What a tree holds, in lines that can be compared. */
export async function treePrint(path: string): Promise<string> {
  const format = "%P %y %m %U %G %n %l %T@\\n";
  const listed = await commandOutput("find", [path, "-not", "-name", "lost+found", "-printf", format]);
  const sums = await commandOutput("sh", ["-c", 'cd "$1" && find . -type f | sort | xargs sha256sum', "sh", path]);
  const xattrs = await commandOutput("sh", ["-c", 'cd "$1" && getfattr -R -d -m - . | sort', "sh", path]);
  // The times of directories are those of their entries' last change, the top's included.
  return listed.split("\n").map((line) => / d /.test(line) ? line.replace(/ \S+$/, "").replace(/ \d+ +$/, "") : line)
    .sort().join("\n") + sums + xattrs;
}

/** Bytes as a stream. */
export function streamOfBytes(bytes: Uint8Array<ArrayBuffer>, chunk_bytes = 65_536): ByteStream {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at += chunk_bytes));
    },
  });
}

/** All of a stream. */
export async function bytesOf(stream: ByteStream): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
