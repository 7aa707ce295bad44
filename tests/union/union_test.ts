import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import { fromFileUrl } from "@std/path";
import { FAULT_POINTS } from "../../runtime/host/faults.ts";
import { runCommand } from "../../runtime/host/command.ts";
import { examineUnions } from "../../runtime/system/examine_unions.ts";
import { chooseProgram } from "../../runtime/union/choose_program.ts";
import { parseBranches } from "../../drivers/storage/aufs/branch_union.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { assertFails } from "../contract/support/contract_case.ts";
import { UnionStage, unionTest } from "./support.ts";

unionTest(
  "mergerfs",
  "the classic example: dir1=ro:dir2=rw shows both, refuses file1, writes file2 to dir2",
  async () => {
    await using stage = await UnionStage.open();
    const union = await stage.mount("dir1=ro:dir2=rw");
    assert(union.mounted);
    assertEquals(await stage.shell("ls mnt"), "file1\nfile2");
    assertMatch(await stage.shell("echo x > mnt/file1"), /Read-only file system/);
    assertMatch(await stage.shell("echo x >> mnt/file1"), /Read-only file system/);
    assertMatch(await stage.shell("rm mnt/file1"), /Read-only file system/);
    assertMatch(await stage.shell("mv mnt/file1 mnt/other"), /Read-only file system/);
    assertEquals(await stage.shell("echo more >> mnt/file2; cat dir2/file2"), "file2\nmore");
    assertEquals(await stage.shell("echo new > mnt/file3; ls dir1 dir2"), "dir1:\nfile1\n\ndir2:\nfile2\nfile3");
    assertEquals(await stage.shell("cat dir1/file1"), "file1");
    // Not root's alone.
    assertMatch(await stage.shell("grep '/mnt ' /proc/self/mountinfo"), /allow_other/);
    assertEquals(await stage.test.check(), []);
    await stage.unmount();
    assertEquals(stage.mounts(), []);
    assertEquals(await stage.shell("ls mnt root/unions"), "mnt:\n\nroot/unions:");
  },
);

unionTest("fuse-overlayfs", "a writable branch on top copies up and hides what is deleted below", async () => {
  await using stage = await UnionStage.open();
  const union = await stage.mount("dir2=rw:dir1=ro");
  assert(["aufs", "fuse-overlayfs"].includes(union.program));
  assertEquals(await stage.shell("echo more >> mnt/file1; cat dir2/file1 dir1/file1"), "file1\nmore\nfile1");
  assertEquals(await stage.shell("rm mnt/file1; ls mnt; ls dir1"), "file2\nfile1");
  await stage.unmount();
  assertEquals(stage.mounts(), []);
  assertEquals(await stage.shell("ls -a . | grep lamina-union"), "");
});

unionTest("unionfs-fuse", "a writable branch between read-only ones takes the copies of what is below it", async () => {
  await using stage = await UnionStage.open();
  await Deno.writeTextFile(join(stage.test.hostDirectory("dir3"), "file3"), "file3\n");
  const union = await stage.mount("dir1=ro:dir2=rw:dir3=ro");
  assert(["aufs", "unionfs-fuse"].includes(union.program));
  assertEquals(await stage.shell("ls mnt"), "file1\nfile2\nfile3");
  assertEquals(await stage.shell("echo more >> mnt/file3; cat dir2/file3 dir3/file3"), "file3\nmore\nfile3");
  assert((await stage.shell("echo x >> mnt/file1")) !== "");
  assertEquals(await stage.shell("cat dir1/file1"), "file1");
  await stage.unmount();
  assertEquals(stage.mounts(), []);
});

unionTest("mergerfs", "a union of read-only branches is read-only", async () => {
  await using stage = await UnionStage.open();
  await stage.mount("dir1=ro:dir2=ro");
  assertEquals(await stage.shell("ls mnt"), "file1\nfile2");
  assertMatch(await stage.shell("echo x > mnt/new"), /Read-only file system/);
  await stage.unmount();
});

unionTest("mergerfs", "the same union again is success, other branches are a conflict", async () => {
  await using stage = await UnionStage.open();
  const first = await stage.mount("dir1=ro:dir2=rw");
  assertEquals(await stage.mount("dir1=ro:dir2=rw"), first);
  await assertFails("CONFLICT", () => stage.mount("dir1=rw:dir2=rw"));
  assertEquals(stage.test.runtime.unions.list(), [first]);
  await stage.unmount();
  await assertFails("NOT_FOUND", () => stage.unmount());
});

const bad: ReadonlyArray<readonly [string, string, string, "NOT_FOUND" | "INVALID_ARGUMENT" | "CONFLICT", RegExp]> = [
  ["a missing branch", "absent=ro:dir2=rw", "mnt", "NOT_FOUND", /absent/],
  ["a missing target", "dir1=ro", "absent", "NOT_FOUND", /absent/],
  ["a branch that is a file", "dir1/file1=ro", "mnt", "INVALID_ARGUMENT", /not a directory/],
  ["a target that is a file", "dir2=rw", "dir1/file1", "INVALID_ARGUMENT", /not a directory/],
  ["a branch named twice", "dir1=ro:dir2=rw:dir1=rw", "mnt", "INVALID_ARGUMENT", /named twice/],
  ["a branch named twice through a link", "dir1=ro:link=rw", "mnt", "INVALID_ARGUMENT", /named twice/],
  ["branches within each other", "dir1=ro:dir1/sub=rw", "mnt", "INVALID_ARGUMENT", /within each other/],
  ["a branch inside of the target", "mnt/inside=rw", "mnt", "INVALID_ARGUMENT", /within each other/],
  ["a target inside of a branch", "dir1=rw", "dir1/sub", "INVALID_ARGUMENT", /within each other/],
  ["a target that is a branch", "dir1=rw", "dir1", "INVALID_ARGUMENT", /within each other/],
  ["a target in Lamina's root", "dir1=rw", "root/volumes", "INVALID_ARGUMENT", /Lamina's root/],
  ["a target that is not empty", "dir1=ro", "dir2", "CONFLICT", /not empty.*file2/],
  ["a target that is a mount point", "dir1=ro", "taken", "CONFLICT", /mounted there already/],
];

unionTest("mergerfs", "bad places are refused and change nothing", async () => {
  await using stage = await UnionStage.open();
  await stage.shell("mkdir dir1/sub mnt/inside taken; ln -s dir1 link; mount -t tmpfs none taken");
  for (const [what, branches, target, code, why] of bad) {
    if (what !== "a branch inside of the target") await stage.shell("rmdir mnt/inside");
    const error = await assertFails(code, () => stage.mount(branches, target));
    assertMatch(error.message, why, what);
    await stage.shell("mkdir -p mnt/inside");
    assertEquals(stage.test.runtime.unions.list(), [], what);
    assertEquals(stage.mounts(), [stage.path("taken")], what);
  }
  assertEquals(await stage.test.check(), []);
});

unionTest("mergerfs", "a busy union stays as it is, and goes lazily", async () => {
  await using stage = await UnionStage.open();
  await stage.mount("dir1=ro:dir2=rw");
  using file = await Deno.open(stage.path("mnt/file2"));
  await assertFails("CONFLICT", () => stage.unmount());
  assertEquals(await stage.shell("ls mnt"), "file1\nfile2");
  assertEquals(stage.test.runtime.unions.list().length, 1);
  await stage.unmount("mnt", { lazy: true });
  assertEquals(stage.mounts(), []);
  assertEquals(file.isTerminal(), false);
});

unionTest("mergerfs", "a union outlives the runtime and is found again", async () => {
  await using stage = await UnionStage.open();
  const union = await stage.mount("dir1=ro:dir2=rw");
  await stage.test.runtime[Symbol.asyncDispose]();
  assertEquals(await stage.shell("ls mnt"), "file1\nfile2");
  const before = stage.mounts();
  await stage.test.reopen();
  assertEquals(stage.test.runtime.unions.list(), [union]);
  assertEquals(stage.mounts(), before);
  assertEquals(await stage.test.check(), []);
});

unionTest("mergerfs", "after a reboot a union is mounted again", async () => {
  await using stage = await UnionStage.open();
  await stage.mount("dir1=ro:dir2=rw");
  await stage.test.runtime[Symbol.asyncDispose]();
  await stage.shell("umount mnt; umount -l root/unions/*/0 root/unions/*/1");
  assertEquals(stage.mounts(), []);
  await stage.test.reopen();
  assertEquals(await stage.shell("ls mnt"), "file1\nfile2");
  assertMatch(await stage.shell("echo x > mnt/file1"), /Read-only file system/);
  assertEquals(await stage.test.check(), []);
});

for (const [program, branches] of [["mergerfs", "dir1=ro:dir2=rw"], ["fuse-overlayfs", "dir2=rw:dir1=ro"]] as const) {
  unionTest(program, `a union whose ${program} was killed is found by check and made anew`, async () => {
    await using stage = await UnionStage.open();
    await stage.mount(branches);
    await stage.killProgram(program);
    assertMatch(await stage.shell("ls mnt"), /not connected|connection abort/);
    assertEquals(await stage.test.check(), [`missing-mount ${stage.path("mnt")}`]);
    assertEquals(await stage.test.check({ repair: true }), [`missing-mount ${stage.path("mnt")} repaired`]);
    assertEquals(await stage.shell("ls mnt"), "file1\nfile2");
    await stage.killProgram(program);
    await stage.test.restart();
    assertEquals(await stage.shell("ls mnt"), "file1\nfile2");
    await stage.unmount();
    assertEquals(stage.mounts(), []);
  });
}

unionTest("mergerfs", "helper mounts of no union are found and taken away", async () => {
  await using stage = await UnionStage.open();
  await stage.shell("mkdir -p root/unions/feed/0; mount --bind dir1 root/unions/feed/0");
  assertEquals(await stage.test.check(), ["orphan-directory ROOT/unions/feed"]);
  assertEquals(await stage.test.check({ repair: true }), ["orphan-directory ROOT/unions/feed repaired"]);
  assertEquals(await stage.shell("ls dir1 root/unions"), "dir1:\nfile1\n\nroot/unions:");
});

unionTest("mergerfs", "a SIGKILL at any step leaves a whole union or none", async () => {
  await using stage = await UnionStage.open();
  await stage.test.runtime[Symbol.asyncDispose]();
  const victim = fromFileUrl(new URL("./victim.ts", import.meta.url));
  const branches = `${stage.path("dir1")}=ro:${stage.path("dir2")}=rw`;
  for (const point of FAULT_POINTS.filter((name) => name.startsWith("union."))) {
    const args = ["run", "-A", "--quiet", "--no-check", victim, stage.test.root, stage.path("mnt"), branches];
    const env = { LAMINA_FAULT: point, RUST_BACKTRACE: "0" };
    const { code, stderr } = await runCommand(Deno.execPath(), args, { env, timeout_ms: 300_000 });
    assert(code === 137 || code < 0, `${point} was not reached: ${code} ${stderr}`);
    await stage.test.reopen();
    // What was never acknowledged, and what was on its way out, is gone.
    assertEquals(stage.test.runtime.unions.list(), [], point);
    assertEquals(stage.mounts(), [], point);
    assertEquals(await stage.test.check(), [], point);
    await stage.test.runtime[Symbol.asyncDispose]();
  }
  await stage.test.reopen();
  assertEquals(await stage.shell("ls dir1 dir2"), "dir1:\nfile1\n\ndir2:\nfile2");
});

Deno.test("where nothing is installed the Debian packages are named", () => {
  try {
    chooseProgram(parseBranches(["/a=ro:/b=rw"]), { has: () => false, fuse: false }, true);
  } catch (error) {
    assert(error instanceof LaminaError);
    assertEquals(error.code, "UNSUPPORTED");
    assertStringIncludes(error.message, "apt-get install fuse3 mergerfs");
    return;
  }
  throw new Error("it chose something");
});

Deno.test("the doctor names each program that unites branches, and what to install", () => {
  const lines = (has: readonly string[], fuse: boolean) =>
    examineUnions({ has: (program) => has.includes(program), fuse }).map(({ subject, status, advice }) =>
      [subject.replace("union ", ""), status, advice].filter(Boolean).join(" ")
    );
  assertEquals(lines(["mergerfs", "fuse-overlayfs"], true), [
    "aufs ok",
    "mergerfs ok",
    "fuse-overlayfs ok",
    "unionfs-fuse warning apt-get install unionfs-fuse",
  ]);
  assertEquals(lines([], false)[1], "mergerfs warning apt-get install fuse3 mergerfs, modprobe fuse");
  assertEquals(lines(["aufs"], true).filter((line) => line.includes("warning")), []);
});

Deno.test("the kernel's aufs comes first, and what cannot be told of a name or a work directory is passed over", () => {
  const all = { has: () => true, fuse: true };
  const fuse = { has: (program: string) => program !== "aufs", fuse: true };
  const layered = parseBranches(["/a=rw:/b=ro"]);
  assertEquals(chooseProgram(layered, all, true), "aufs");
  assertEquals(chooseProgram(layered, fuse, true), "fuse-overlayfs");
  assertEquals(chooseProgram(layered, fuse, false), "unionfs-fuse");
  assertEquals(chooseProgram(parseBranches(["/a\\:x=rw:/b=ro"]), all, true), "unionfs-fuse");
});
