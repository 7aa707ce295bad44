import { assert, assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { join } from "@std/path/posix";
import { messageOf } from "../../runtime/core/errors.ts";
import { FAULT_POINTS } from "../../runtime/host/faults.ts";
import { runCommand } from "../../runtime/host/command.ts";
import { readMountTable } from "../../runtime/host/mount_table.ts";
import { mountsBelow } from "../../runtime/core/mountinfo.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";
import { filledRuntime, picture } from "./support/stage.ts";

const victim = fromFileUrl(new URL("./victim.ts", import.meta.url));
const points = FAULT_POINTS.filter((point) => point.startsWith("migrate."));
/** A point is visited at its first passes: layers, containers and snapshots are much alike. */
const PASSES = 2;

/** Migrates a root in a process of its own; whether it was killed on the way. */
async function migrateIn(root: string, to: string, fault: string): Promise<boolean> {
  const { code, stdout, stderr } = await runCommand(
    Deno.execPath(),
    ["run", "-A", "--quiet", "--no-check", victim, root, to],
    { env: { RUST_BACKTRACE: "0", LAMINA_FAULT: fault }, timeout_ms: 900_000 },
  );
  if (code === 0) {
    assert(stdout.includes("done"), stdout);
    return false;
  }
  assert(code === 137 || code < 0, `the victim failed: ${code} ${stderr}`);
  assert(stdout.includes("begun"), "killed too early");
  return true;
}

/** A copy of a root that no process has open. */
async function copyOf(template: string, name: string): Promise<string> {
  const root = join(template, "..", name);
  // As an archive, so that whiteouts and their attributes come along.
  const { code, stderr } = await runCommand("cp", ["-a", template, root]);
  assertEquals(code, 0, stderr);
  return root;
}

for (const [from, to] of [["overlay", "vfs"], ["vfs", "overlay"]] as const) {
  rootTest(`a SIGKILL at any step of a migration from ${from} to ${to} leaves a whole root that goes on`, async () => {
    await using stage = await filledRuntime({ storageDriver: from });
    const before = await picture(stage);
    const { layers } = stage.runtime.system.info();
    await stage.runtime[Symbol.asyncDispose]();
    const failures: string[] = [];
    const visits = points.flatMap((point) => Array.from({ length: PASSES }, (_, i) => ({ point, pass: i + 1 })));
    for (const [index, { point, pass }] of visits.entries()) {
      const root = await copyOf(stage.root, `round${index}`);
      const killed = await migrateIn(root, to, `${point}:${pass}`);
      if (!killed) {
        if (pass === 1) failures.push(`${point} was never reached`);
        continue;
      }
      try {
        // Whichever driver counts now, the world is as it was.
        await using test = await TestRuntime.openAt(root, {});
        // Paths of the copy, not of the template.
        const rebased = JSON.parse(JSON.stringify(before).replaceAll(stage.root, root));
        assertEquals(await picture(test), rebased);
        const moved = test.runtime.system.info().storage_driver === to;
        assertEquals(await test.check({ deep: true }), moved ? [] : [`unfinished-migration ${from} to ${to}`]);
        if (!moved && index % 2 === 0) {
          assertEquals(await test.runtime.system.abandonMigration(test.operation), true);
        } else if (!moved) {
          const result = await test.runtime.system.migrate({ to }, test.operation);
          assertEquals([result.resumed, result.layers, result.containers], [true, layers, 2]);
        }
        assertEquals(await picture(test), rebased);
        assertEquals(await test.check({ deep: true }), []);
        const left = [...Deno.readDirSync(join(root, "drivers"))].map(({ name }) => name);
        assertEquals(left, [test.runtime.system.info().storage_driver]);
      } catch (error) {
        failures.push(`${point}:${pass}: ${messageOf(error)}`);
      }
      assertEquals(mountsBelow(readMountTable(), root).map(({ target }) => target), []);
      await Deno.remove(root, { recursive: true });
    }
    assertEquals(failures, []);
    await stage.reopen();
  });
}
