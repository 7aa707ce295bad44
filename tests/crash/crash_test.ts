import { assertEquals } from "@std/assert";
import { messageOf } from "../../runtime/core/errors.ts";
import { FAULT_POINTS } from "../../runtime/host/faults.ts";
import { rootTest } from "../support/scratch.ts";
import { provePromises } from "./proof.ts";
import { CrashStage } from "./stage.ts";

/** Processes that are killed at a time. */
const PARALLEL = 3;

/** A point is visited at each of its passes; more than this and something goes round in circles. */
const MAX_PASSES = 40;

rootTest(
  "a SIGKILL at every fault point, at every pass, loses nothing acknowledged and leaves nothing behind",
  async () => {
    await using stage = await CrashStage.open();
    const unreached: string[] = [];
    const failures: string[] = [];
    // A migration has a scenario of its own: tests/migrate/crash_test.ts; the thin pool, unions, files of
    // volumes, copy-up and pods, too: tests/devicemapper, tests/union, tests/plugins, tests/container, tests/pod.
    const rest = FAULT_POINTS.filter((point) =>
      !/^(migrate|devicemapper|union|atomic|manager|provision|claims|pod)\.|^container\.cop/.test(point) &&
      // Volumes with more to them than a directory: tests/volume.
      !/^volume\.(sized|image|rename|renamed|resize|restore|snapshot)/.test(point)
    ).values();
    const visit = async () => {
      for (const point of rest) {
        for (let pass = 1; pass <= MAX_PASSES; pass++) {
          await using round = await stage.round();
          const { killed, told } = await round.play({ LAMINA_FAULT: `${point}:${pass}` });
          if (!killed) {
            if (pass === 1) unreached.push(point);
            assertEquals(told.at(-1), "done");
            break;
          }
          try {
            await provePromises(round, told);
          } catch (error) {
            failures.push(`${point}:${pass} after ${told.at(-1)}: ${messageOf(error)}`);
          }
        }
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, visit));
    assertEquals(failures, []);
    // A container is committed as a layer of an archive: what only a driver's own commit passes, its tests visit
    // (tests/overlay/crash_test.ts).
    assertEquals(unreached, ["snapshot.commit_row"]);
  },
);

rootTest("a SIGKILL at any instant loses nothing acknowledged and leaves nothing behind", async () => {
  await using stage = await CrashStage.open();
  for (let i = 0; i < 12; i++) {
    await using round = await stage.round();
    const { killed, told } = await round.play({}, { afterTry: i, delay_ms: 1 + i % 5 });
    if (killed) await provePromises(round, told);
  }
});
