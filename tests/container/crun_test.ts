import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { runCommand } from "../../runtime/host/command.ts";
import { isRoot, rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

const hasPrograms = isRoot && (await runCommand("sh", ["-c", "command -v crun && command -v busybox"])).code === 0;

/** A config.json around the parts that `inspect` gives. No cgroup is asked for: the manager is disabled. */
function bundleConfig(
  oci: { root: unknown; mounts: unknown; process: { env: string[]; cwd: string } },
  args: string[],
) {
  const { env, cwd } = oci.process;
  return {
    ociVersion: "1.0.2",
    process: { terminal: false, user: { uid: 0, gid: 0 }, args, env, cwd },
    root: oci.root,
    mounts: oci.mounts,
    linux: { namespaces: ["pid", "mount", "ipc", "uts"].map((type) => ({ type })) },
  };
}

const body = async () => {
  await using test = await TestRuntime.open();
  await test.importImage("busybox:1", [{
    "bin/busybox": "copy of /bin/busybox",
    "bin/sh": "-> busybox",
    "bin/cat": "-> busybox",
    "bin/mount": "-> busybox",
    "proc/": "",
    "sys/": "",
    "dev/": "",
  }], { Cmd: ["/bin/sh"], Env: ["GREETING=hello"], WorkingDir: "/srv" });
  const shm = test.hostDirectory("shm");
  await Deno.writeTextFile(join(shm, "marker"), "a bind below /dev\n");
  const container = await test.create({
    name: "job",
    image: "busybox:1",
    mounts: [
      { type: "volume", source: "data", target: "/srv/data" },
      { type: "bind", source: shm, target: "/dev/shm", read_only: true },
    ],
  });
  const { oci } = await test.mount("job");
  await Deno.writeTextFile(join(test.runtime.volumes.inspect("data").mountpoint, "note"), "from the volume\n");
  const bundle = test.hostDirectory("bundle");
  const script = 'echo "$GREETING, $PWD"; cat data/note /dev/shm/marker; echo written > data/out; ' +
    "test -d /proc/1 && test -d /sys/kernel && test -c /dev/null && echo complete";
  await Deno.writeTextFile(join(bundle, "config.json"), JSON.stringify(bundleConfig(oci, ["/bin/sh", "-c", script])));
  // crun refuses hosts with both versions of cgroups mounted, even with its manager disabled: it looks for this mount.
  const program = 'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"';
  const { code, stdout, stderr } = await runCommand("unshare", [
    "--mount",
    "sh",
    "-c",
    program,
    "crun",
    "--root",
    test.hostDirectory("crun"),
    "--cgroup-manager=disabled",
    "run",
    "--bundle",
    bundle,
    `lamina-test-${container.id.slice(0, 12)}`,
  ], { timeout_ms: 30_000 });
  assertEquals(stderr, "");
  assertEquals(code, 0);
  assertEquals(stdout, "hello, /srv\nfrom the volume\na bind below /dev\ncomplete\n");
  assertEquals(await Deno.readTextFile(join(test.runtime.volumes.inspect("data").mountpoint, "out")), "written\n");
  assert(
    !(await test.runtime.containers.diff("job", test.operation)).some(({ path }) => path.startsWith("/srv/data/")),
  );
  await test.unmount("job");
  await test.remove("job");
  assertEquals(await test.check(), []);
};

if (hasPrograms) rootTest("crun runs a program in the root that inspect describes, with its volumes", body);
else {Deno.test({
    name: "crun runs a program in the root (ignored: needs root, crun and busybox)",
    ignore: true,
    fn: body,
  });}
