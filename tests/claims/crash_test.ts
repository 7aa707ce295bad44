import { assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { FAULT_POINTS } from "../../runtime/host/faults.ts";
import { rootTest } from "../support/scratch.ts";
import { ClaimsFixture } from "./support/claims_fixture.ts";
import { STEPS } from "./support/crash_scenario.ts";
import { placeOn } from "./support/place.ts";

const victim = fromFileUrl(new URL("./support/crash_victim.ts", import.meta.url));
const project = fromFileUrl(new URL("../..", import.meta.url));
/** More passes of one point than this and something goes round in circles. */
const MAX_PASSES = 12;

/** @returns how many steps were acknowledged, and whether it was killed. */
async function play(directory: string, fault: string): Promise<{ done: number; killed: boolean }> {
  const { stdout, stderr, signal, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", victim, directory],
    cwd: project,
    env: { RUST_BACKTRACE: "0", LAMINA_FAULT: fault },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (signal !== "SIGKILL" && !success) throw new Error(`the victim failed at ${fault}: ${text(stderr)}`);
  return { done: text(stdout).split("\n").filter(Boolean).length, killed: signal === "SIGKILL" };
}

/** What is on the disk is what the objects say, no more and no less. */
function proveWhole(f: ClaimsFixture, what: string): void {
  const volumes = f.objects.list("PersistentVolume").map(({ metadata }) => metadata.name);
  const snapshots = f.objects.list("VolumeSnapshot").map(({ metadata }) => `snap-${metadata.uid}`);
  assertEquals(f.onDisk(), [...volumes, ...snapshots].sort(), what);
  for (const { metadata } of f.objects.list("PersistentVolumeClaim")) {
    const { phase, volume } = f.claim(metadata.name);
    assertEquals([phase, f.phase(volume!)], ["Bound", "Bound"], `${what}: ${metadata.name}`);
    assertEquals(metadata.finalizers, ["kubernetes.io/pvc-protection"], what);
  }
}

rootTest(
  "a SIGKILL at every point of making, growing, copying and deleting volumes loses and leaves nothing",
  async () => {
    await using place = await placeOn("xfs");
    const unreached: string[] = [];
    const points = FAULT_POINTS.filter((point) => /^(provision|claims)\./.test(point)).values();
    let rounds = 0;
    const visit = async () => {
      for (const point of points) {
        for (let pass = 1; pass <= MAX_PASSES; pass++) {
          const directory = join(place.path, `round${rounds++}`);
          const { done, killed } = await play(directory, `${point}:${pass}`);
          if (!killed) {
            if (pass === 1) unreached.push(point);
            await Deno.remove(directory, { recursive: true });
            break;
          }
          const what = `${point}:${pass} after step ${done}`;
          await using f = new ClaimsFixture(directory);
          await f.quiet();
          proveWhole(f, what);
          for (const step of STEPS.slice(done)) await step(f);
          assertEquals(f.objects.list("PersistentVolume").length, 0, what);
          proveWhole(f, what);
          await f[Symbol.asyncDispose]();
          await Deno.remove(directory, { recursive: true });
        }
      }
    };
    await Promise.all([visit(), visit()]);
    assertEquals(unreached, []);
  },
);
