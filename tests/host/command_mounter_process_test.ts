import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { Mount } from "../../runtime/core/mount.ts";
import { CommandMounter } from "../../runtime/host/command_mounter.ts";
import { readMountTable } from "../../runtime/host/mount_table.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";

/** A stand-in for mount(8): notes how it is called, hangs like a dead server for `nfs`, else is the real one. */
const fakeMount = `#!/bin/sh
dir=$(dirname "$0")
echo "$$ $*" >> "$dir/calls"
case "$*" in *"-T "*) fstab=\${*#*-T }; fstab=\${fstab%% *};; *) fstab=/dev/null;; esac
cat "$fstab" >> "$dir/fstabs"
if grep -q ' nfs ' "$fstab"; then
  sleep 1000 &
  echo $! > "$dir/helper"
  wait
fi
exec mount "$@"
`;
const fakeUmount = `#!/bin/sh
dir=$(dirname "$0")
echo "$$ $*" >> "$dir/calls"
case "$*" in *stuck*) sleep 1000;; esac
exec umount "$@"
`;

async function fakePrograms(path: string): Promise<CommandMounter> {
  await Deno.writeTextFile(`${path}/mount`, fakeMount, { mode: 0o755 });
  await Deno.writeTextFile(`${path}/umount`, fakeUmount, { mode: 0o755 });
  return new CommandMounter({ mount: `${path}/mount`, umount: `${path}/umount` });
}

const patient = new AbortController().signal;

function bind(path: string, source: string, target: string): Mount {
  return { type: "bind", source: `${path}/${source}`, target: `${path}/${target}`, options: [] };
}

function nfs(path: string): Mount {
  return { type: "nfs", source: "server:/export", target: `${path}/n`, options: ["soft", "secret=hunter2"] };
}

async function isGone(pid: number): Promise<boolean> {
  for (let i = 0; i < 100; i++) {
    try {
      // A zombie has no command line any more.
      if (await Deno.readTextFile(`/proc/${pid}/cmdline`) === "") return true;
    } catch {
      return true;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return false;
}

rootTest("a mount whose helper hangs is killed with its helper at the deadline, and blocks nobody", async () => {
  await using scratch = await scratchDirectory();
  const { path } = scratch;
  const mounter = await fakePrograms(path);
  for (const name of ["n", "s", "t"]) await Deno.mkdir(`${path}/${name}`);
  const hanging = mounter.mount([bind(path, "s", "t"), nfs(path)], { signal: patient, timeout_ms: 500 });
  const failure = assertRejects(() => hanging, LaminaError);
  await Deno.mkdir(`${path}/u`);
  await mounter.mount([bind(path, "s", "u")], { signal: patient });
  const error = await failure;
  assertEquals(error.code, "DEADLINE_EXCEEDED");
  assertStringIncludes(error.message, `${path}/n`);
  assert(await isGone(Number(await Deno.readTextFile(`${path}/helper`))), "the helper lives on");
  const left = readMountTable().filter((entry) => entry.target.startsWith(`${path}/`)).map((entry) => entry.target);
  assertEquals(left, [`${path}/u`], "the first mount of the failed call is undone");
});

rootTest("a caller's signal kills the process of a slow mount", async () => {
  await using scratch = await scratchDirectory();
  const { path } = scratch;
  const mounter = await fakePrograms(path);
  await Deno.mkdir(`${path}/n`);
  const abort = new AbortController();
  const hanging = mounter.mount([nfs(path)], { signal: abort.signal });
  while (!await Deno.lstat(`${path}/helper`).then((file) => file.size > 0, () => false)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  abort.abort();
  assertEquals((await assertRejects(() => hanging, LaminaError)).code, "CANCELLED");
  assert(await isGone(Number(await Deno.readTextFile(`${path}/helper`))));
});

rootTest("an option is never in an argument list, nor in an error", async () => {
  await using scratch = await scratchDirectory();
  const { path } = scratch;
  const mounter = await fakePrograms(path);
  await Deno.mkdir(`${path}/t`);
  const mount: Mount = { type: "tmpfs", source: "x", target: `${path}/t`, options: ["password=hunter2"] };
  const error = await assertRejects(() => mounter.mount([mount], { signal: patient }), LaminaError);
  assert(!JSON.stringify(error.toJSON()).includes("hunter2"));
  assertStringIncludes(await Deno.readTextFile(`${path}/fstabs`), "hunter2");
  assert(!(await Deno.readTextFile(`${path}/calls`)).includes("hunter2"));
});

rootTest("mounts and unmounts that are asked for together share processes", async () => {
  await using scratch = await scratchDirectory();
  const { path } = scratch;
  const mounter = await fakePrograms(path);
  const targets = Array.from({ length: 50 }, (_, i) => `t${i}`);
  for (const name of ["s", ...targets]) await Deno.mkdir(`${path}/${name}`);
  const processes = async () => (await Deno.readTextFile(`${path}/calls`)).trim().split("\n").length;
  await Promise.all(targets.map((target) => mounter.mount([bind(path, "s", target)], { signal: patient })));
  assertEquals(await processes(), 1);
  await Promise.all(targets.map((target) => mounter.unmount([`${path}/${target}`], { signal: patient })));
  // Unmounts wait in the kernel, so they are shared out among four.
  assertEquals(await processes(), 5);
  await mounter.unmount(targets.map((target) => `${path}/${target}`), { signal: patient });
  assertEquals(await processes(), 5, "a process was started to unmount what is not mounted");
});

rootTest("an unmount that hangs ends at its deadline and leaves the mount for the next try", async () => {
  await using scratch = await scratchDirectory();
  const { path } = scratch;
  const mounter = await fakePrograms(path);
  await Deno.mkdir(`${path}/stuck`);
  await mounter.mount([{ type: "tmpfs", source: "x", target: `${path}/stuck`, options: [] }], { signal: patient });
  const error = await assertRejects(
    // Forced: what may hang has a process of its own, which the deadline ends.
    () => mounter.unmount([`${path}/stuck`], { signal: patient, timeout_ms: 300, force: true }),
    LaminaError,
  );
  assertEquals(error.code, "DEADLINE_EXCEEDED");
  await new CommandMounter().unmount([`${path}/stuck`], { signal: patient });
});

rootTest("a mount(8) that dies without a word fails every mount of its process", async () => {
  await using scratch = await scratchDirectory();
  const { path } = scratch;
  await Deno.writeTextFile(`${path}/mount`, "#!/bin/sh\nkill -9 $$\n", { mode: 0o755 });
  for (const name of ["s", "t", "u"]) await Deno.mkdir(`${path}/${name}`);
  const mounter = new CommandMounter({ mount: `${path}/mount` });
  const results = await Promise.allSettled([
    mounter.mount([bind(path, "s", "t")], { signal: patient }),
    mounter.mount([bind(path, "s", "u")], { signal: patient }),
  ]);
  for (const result of results) {
    assertEquals(result.status, "rejected");
    assertStringIncludes(String((result as PromiseRejectedResult).reason), "status 137");
  }
});

rootTest("without mount(8) the error says what is missing", async () => {
  await using scratch = await scratchDirectory();
  const { path } = scratch;
  for (const name of ["s", "t"]) await Deno.mkdir(`${path}/${name}`);
  const mounter = new CommandMounter({ mount: `${path}/no-such-program` });
  const error = await assertRejects(() => mounter.mount([bind(path, "s", "t")], { signal: patient }), LaminaError);
  assertEquals(error.code, "UNSUPPORTED");
  assertStringIncludes(error.message, "not installed");
});
