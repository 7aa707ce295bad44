/**
 * Benchmarks that `deno bench` runs and whose samples `deno task bench` compares with the targets: each sample is also
 * a line of the file named in `LAMINA_BENCH_RECORD`.
 */

/** One benchmark. `prepare` and `finish` surround each iteration and are not measured. */
export interface Measured<T> {
  readonly name: string;
  readonly group: string;
  /** What the others of the group are compared with. */
  readonly baseline?: boolean;
  readonly iterations: number;
  readonly prepare?: () => T | Promise<T>;
  readonly run: (prepared: T) => unknown;
  readonly finish?: (prepared: T) => unknown;
}

const record = Deno.env.get("LAMINA_BENCH_RECORD");

/** Registers it. Samples are milliseconds. */
export function measured<T = void>(bench: Measured<T>): void {
  Deno.bench({
    name: bench.name,
    group: bench.group,
    baseline: bench.baseline ?? false,
    n: bench.iterations,
    warmup: 0,
    async fn(context) {
      const prepared = await bench.prepare?.() as T;
      const begun = performance.now();
      context.start();
      await bench.run(prepared);
      context.end();
      const sample_ms = performance.now() - begun;
      await bench.finish?.(prepared);
      if (record !== undefined) {
        const line = JSON.stringify({ name: bench.name, sample_ms });
        await Deno.writeTextFile(record, `${line}\n`, { append: true });
      }
    },
  });
}

/** The samples of a record file by name, without each one's first, which warms up. */
export async function readRecord(path: string): Promise<Map<string, number[]>> {
  const samples = new Map<string, number[]>();
  for (const line of (await Deno.readTextFile(path)).split("\n").filter(Boolean)) {
    const { name, sample_ms } = JSON.parse(line);
    const known = samples.get(name);
    if (known === undefined) samples.set(name, []);
    else known.push(sample_ms);
  }
  return samples;
}

/** The value below which `share` (0 to 1) of the samples lie. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
