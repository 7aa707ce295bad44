import { assertEquals, assertMatch } from "@std/assert";
import { scratchDirectory } from "../support/scratch.ts";
import { type GuestRun, runGuest } from "./run_guest.ts";
import { emptyTree, guestTest, testGuest } from "./test_guest.ts";

async function run(command: string, options: Partial<GuestRun> = {}) {
  await using scratch = await scratchDirectory();
  const tree = await emptyTree(scratch.path);
  const said = { stdout: "", stderr: "" };
  const output = (text: string, stream: keyof typeof said) => void (said[stream] += text);
  const result = await runGuest({ image: await testGuest(), tree, command, output, timeout_ms: 900_000, ...options });
  return { ...result, ...said };
}

guestTest("the guest passes output and status through, each stream apart", async () => {
  const { status, reason, stdout, stderr } = await run(`echo out; echo err >&2; printf 'no end of line'; exit 7`);
  assertEquals({ status, reason, stdout, stderr }, {
    status: 7,
    reason: "ended",
    stdout: "out\nno end of line",
    stderr: "err\n",
  });
});

guestTest("the guest has the kernel's parts that the host may lack, the tree and Deno", async () => {
  const { status, output } = await run(`
    set -e
    modprobe -a dm-thin-pool dm-flakey nfs iscsi_tcp btrfs xfs overlay
    cat /tree/file
    deno eval 'console.log(1 + 1)'
    ! touch /tree/other 2>/dev/null`);
  assertEquals({ status, output }, { status: 0, output: "in the tree\n2\n" });
});

guestTest("a guest that takes too long is killed", async () => {
  const { status, reason } = await run("sleep 1000", { timeout_ms: 5000 });
  assertEquals({ status, reason }, { status: undefined, reason: "timeout" });
});

guestTest("a machine that dies gives the last lines of its console", async () => {
  const { status, reason, console } = await run(
    "echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger; sleep 60",
  );
  assertEquals({ status, reason }, { status: undefined, reason: "died" });
  assertMatch(console, /panic/i);
});

guestTest("disks keep what was synced to them across a power cut", async () => {
  await using scratch = await scratchDirectory();
  const disk = { path: `${scratch.path}/disk`, durable: true };
  await Deno.writeFile(disk.path, new Uint8Array(4 << 20));
  const cut = new AbortController();
  const first = await run(`printf kept | dd of=/dev/vdc conv=fsync status=none; echo written; sleep 1000`, {
    disks: [disk],
    signal: cut.signal,
    output: (text) => {
      if (text.includes("written")) cut.abort();
    },
  });
  assertEquals(first.reason, "power-cut");
  const second = await run("head -c4 /dev/vdc", { disks: [disk] });
  assertEquals({ status: second.status, output: second.output }, { status: 0, output: "kept" });
});
