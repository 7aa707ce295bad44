import { assert, assertEquals } from "@std/assert";
import { commandOutput } from "../../runtime/host/command.ts";
import { startLamina } from "../e2e/lamina_process.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";

const FILES = 2_000_000;
const FILES_IN_DIRECTORY = 1000;
/** What the daemon may take at most, whatever the archive: 156 MB were seen compiled, 200 from source. */
const MEMORY_BYTES = 400e6;

rootTest("two million empty files are imported and removed in bounded memory", async () => {
  await using scratch = await scratchDirectory();
  // Their inodes are in memory: the suite's disk is not made for so many.
  await commandOutput("mount", ["-t", "tmpfs", "-o", "size=6g,nr_inodes=2100000", "files", scratch.path]);
  await using daemon = await startLamina(scratch.path);
  const response = await daemon.request("/v1/images/import?reference=many:1", {
    method: "POST",
    headers: { "content-type": "application/x-tar" },
    body: emptyFiles(),
  });
  assertEquals([response.status, (await response.json()).images?.length], [200, 1]);
  const status = await Deno.readTextFile(`/proc/${daemon.pid}/status`);
  const peak_bytes = Number(/VmHWM:\s+(\d+)/.exec(status)![1]) * 1024;
  assert(peak_bytes < MEMORY_BYTES, `the daemon took ${peak_bytes} bytes`);
  assertEquals((await daemon.lamina("image", "ls", "--quiet")).trim().split("\n").length, 1);
  assert(await usedInodes(scratch.path) > FILES);
  await daemon.lamina("image", "rm", "many:1");
  await daemon.lamina("check");
  assert(await usedInodes(scratch.path) < 1000);
});

async function usedInodes(path: string): Promise<number> {
  const [all, free] = (await commandOutput("stat", ["-f", "-c", "%c %d", path])).split(" ").map(Number);
  return all! - free!;
}

/** A tar of empty files in directories, made as it is read. */
function emptyFiles(): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= FILES) {
        controller.enqueue(new Uint8Array(1024));
        return controller.close();
      }
      const chunk = new Uint8Array(512 * (FILES_IN_DIRECTORY + 1));
      const directory = `d${at / FILES_IN_DIRECTORY}/`;
      writeHeader(chunk.subarray(0, 512), directory, "5");
      for (let i = 1; i <= FILES_IN_DIRECTORY; i++) {
        writeHeader(chunk.subarray(512 * i, 512 * (i + 1)), `${directory}f${at++}`, "0");
      }
      controller.enqueue(chunk);
    },
  });
}

const encoder = new TextEncoder();

function writeHeader(header: Uint8Array, name: string, type: string): void {
  encoder.encodeInto(name, header);
  encoder.encodeInto("0000755\x000000000\x000000000\x0000000000000\x0014000000000\x00        ", header.subarray(100));
  encoder.encodeInto(type, header.subarray(156));
  encoder.encodeInto("ustar\x0000", header.subarray(257));
  let sum = 0;
  for (const byte of header) sum += byte;
  encoder.encodeInto(`${sum.toString(8).padStart(6, "0")}\x00 `, header.subarray(148));
}
