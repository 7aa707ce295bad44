/** Branches, a target, and what is seen there. */
import { join } from "@std/path/posix";
import { parseBranches } from "../../drivers/storage/aufs/branch_union.ts";
import { unionTools } from "../../runtime/union/choose_program.ts";
import type { UnionProgram } from "../../drivers/storage/aufs/branch_union_mounts.ts";
import type { Union } from "../../runtime/core/model/union.ts";
import { runCommand } from "../../runtime/host/command.ts";
import { mountsBelow, readMountTable } from "../../runtime/host/mount_table.ts";
import { isRoot, rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

/** A runtime, `dir1/file1`, `dir2/file2`, and an empty `mnt`. */
export class UnionStage implements AsyncDisposable {
  private constructor(readonly test: TestRuntime) {}

  static async open(): Promise<UnionStage> {
    const test = await TestRuntime.open({ storageDriver: "vfs" });
    const stage = new UnionStage(test);
    Deno.chmodSync(test.scratch.path, 0o755);
    for (const [name, file] of [["dir1", "file1"], ["dir2", "file2"]] as const) {
      await Deno.writeTextFile(join(test.hostDirectory(name), file), `${file}\n`);
    }
    test.hostDirectory("mnt");
    return stage;
  }

  path(...names: string[]): string {
    return join(this.test.scratch.path, ...names);
  }

  /** `dir1=ro:dir2=rw`, relative to the stage. */
  mount(branches: string, target = "mnt"): Promise<Union> {
    const all = parseBranches([branches]).map(({ directory, access }) => ({ directory: this.path(directory), access }));
    return this.test.runtime.unions.mount({ branches: all, target: this.path(target) }, this.test.operation);
  }

  unmount(target = "mnt", options = { lazy: false }): Promise<void> {
    return this.test.runtime.unions.unmount(this.path(target), options, this.test.operation);
  }

  /** Runs a line of shell in the stage; its message when it fails, its output when it does not. */
  async shell(line: string): Promise<string> {
    const { code, stdout, stderr } = await runCommand("sh", ["-c", line], { cwd: this.test.scratch.path });
    return (code === 0 ? stdout : stderr).trim();
  }

  /** Mounts of the union and its helpers. */
  mounts(): string[] {
    return mountsBelow(readMountTable(), this.test.scratch.path).map(({ target }) => target);
  }

  /** Ends the union's program, as the OOM killer would. */
  async killProgram(name: string): Promise<void> {
    await runCommand("sh", [
      "-c",
      `for p in $(pgrep -x "$1"); do grep -qz -- "$2" /proc/$p/cmdline && kill -9 $p; done`,
      "sh",
      name,
      this.path("mnt"),
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.test[Symbol.asyncDispose]();
  }
}

/** A test that needs a union program; where that is missing it is ignored and says so. */
export function unionTest(program: UnionProgram, name: string, fn: () => Promise<void>): void {
  if (isRoot && !unionTools().has(program)) {
    Deno.test({ name: `${name} (ignored: ${program} is not installed)`, ignore: true, fn() {} });
  } else rootTest(name, fn);
}
