/** The targets of the project beside what one run measured. Ratios, because machines differ. Pure. */
import type { Observations } from "./observations.ts";
import { percentile } from "./recorder.ts";

/** One line of the report. */
export interface Verdict {
  readonly what: string;
  readonly measured: string;
  readonly target: string;
  readonly met: boolean;
}

/** Compares. `samples` are milliseconds by benchmark name. */
export function verdicts(samples: ReadonlyMap<string, readonly number[]>, seen: Observations): Verdict[] {
  const p50 = (name: string) => percentile(samples.get(name) ?? [], 0.5);
  const ratio = (what: string, ours: string, other: string, atMost: number): Verdict => ({
    what,
    measured: `${(p50(ours) / p50(other)).toFixed(2)} x (${ms(p50(ours))} / ${ms(p50(other))})`,
    target: `${atMost} x`,
    met: p50(ours) / p50(other) <= atMost,
  });
  const limit = (what: string, value: number, atMost: number, show: (value: number) => string): Verdict => ({
    what,
    measured: show(value),
    target: show(atMost),
    met: value <= atMost,
  });
  const mounted = (depth: number) => `lamina asked for to mounted, ${depth} layers`;
  return [
    ratio("import of gzip layers beside tar -xpzf", "lamina, gzip", "tar -x, gzip", 1.25),
    limit("memory during import", seen.importPeak_bytes, 250e6, mb),
    limit("memory after three imports (independent of size)", seen.doubleImportPeak_bytes, 250e6, mb),
    limit("the same import again", seen.sameImport_ms, 1000, ms),
    ratio("RW layer asked for to mounted beside mount(8)", mounted(6), "mount(8), 6 layers", 1.5),
    ratio("the same, 120 layers beside 6", mounted(120), mounted(6), 2),
    limit("listing 1,000 containers", p50("list 1,000 containers"), 5, ms),
    limit(`GET /v1/info during an import, p99 of ${seen.infoCalls}`, seen.infoP99_ms, 25, ms),
    limit(`the same during an export with gzip, p99 of ${seen.infoInExportCalls}`, seen.infoInExportP99_ms, 25, ms),
    limit("start to ready, warm", seen.ready_ms, 250, ms),
    ratio(
      "200 pods of 10 volumes down beside up",
      "200 pods of 10 volumes down",
      "200 pods of 10 volumes up",
      1,
    ),
    limit("start with 2,000 mounted volumes", p50("start with 2000 mounted volumes"), 2000, ms),
    limit(
      "a pass over 5,000 volumes with nothing to do",
      p50("a pass over 5,000 volumes with nothing to do"),
      20,
      ms,
    ),
    limit("mount table of 10,000 entries parsed", p50("mount table of 10,000 entries parsed"), 30, ms),
    limit(`processor time in ${seen.idleSeconds} s of idleness`, seen.idleCpu_ms, 10, ms),
    limit(`written to disk in ${seen.idleSeconds} s of idleness`, seen.idleWritten_bytes, 0, mb),
  ];
}

/** Further figures that have no target. */
export function otherFigures(samples: ReadonlyMap<string, readonly number[]>, seen: Observations): string[] {
  const lines = [
    `idle memory ${mb(seen.idle_bytes)}`,
    `asked for to mounted with serve --mounter libc, 6 layers: p50 ${ms(seen.mountedByLibc_ms)}`,
  ];
  for (const [name, values] of samples) {
    lines.push(`${name}: p50 ${ms(percentile(values, 0.5))}, p99 ${ms(percentile(values, 0.99))} (${values.length})`);
  }
  return lines;
}

function ms(value: number): string {
  return value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(value < 10 ? 2 : 0)} ms`;
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e6 && bytes > 0 ? 2 : 0)} MB`;
}
