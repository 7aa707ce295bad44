/** Prometheus metrics of the manager, with the kubelet's names where it has them. */
import type { VolumeState } from "./states.ts";

/** Upper bounds of the buckets, in seconds. The kubelet's. */
const STORAGE_BUCKETS_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 25, 50, 120, 300, 600];
const RECONCILE_BUCKETS_S = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1];

class Histogram {
  readonly #buckets_s: readonly number[];
  readonly #counts: number[];
  #count = 0;
  #sum_s = 0;

  constructor(buckets_s: readonly number[]) {
    this.#buckets_s = buckets_s;
    this.#counts = buckets_s.map(() => 0);
  }

  observe(value_s: number): void {
    this.#count++;
    this.#sum_s += value_s;
    const at = this.#buckets_s.findIndex((bound) => value_s <= bound);
    if (at >= 0) this.#counts[at]!++;
  }

  lines(name: string, labels: readonly string[]): string[] {
    let total = 0;
    const lines = this.#buckets_s.map((bound, i) => {
      total += this.#counts[i]!;
      return line(`${name}_bucket`, [...labels, label("le", String(bound))], total);
    });
    lines.push(line(`${name}_bucket`, [...labels, label("le", "+Inf")], this.#count));
    lines.push(line(`${name}_sum`, labels, this.#sum_s), line(`${name}_count`, labels, this.#count));
    return lines;
  }
}

/** What is so now, besides what has been counted. */
export interface MetricsNow {
  /** Volumes by plugin, as they are wanted. */
  readonly desired: ReadonlyMap<string, number>;
  /** Volumes by plugin and state, as they are. */
  readonly actual: ReadonlyMap<string, ReadonlyMap<VolumeState, number>>;
  readonly running: number;
  readonly backoff: number;
}

/** See the head of the file. */
export class ManagerMetrics {
  readonly #operations = new Map<string, { labels: string[]; durations: Histogram }>();
  readonly #reconciles = new Histogram(RECONCILE_BUCKETS_S);

  /** An operation has ended. */
  operation(plugin: string, name: string, status: "success" | "fail-unknown", duration_ms: number): void {
    const key = `${plugin} ${name} ${status}`;
    let known = this.#operations.get(key);
    if (known === undefined) {
      const labels = [
        label("migrated", "false"),
        label("operation_name", name),
        label("status", status),
        label("volume_plugin", plugin),
      ];
      known = { labels, durations: new Histogram(STORAGE_BUCKETS_S) };
      this.#operations.set(key, known);
    }
    known.durations.observe(duration_ms / 1000);
  }

  /** A pass of the reconciler is over. */
  reconcile(duration_ms: number): void {
    this.#reconciles.observe(duration_ms / 1000);
  }

  /** The text format of Prometheus. */
  text(now: MetricsNow): string {
    const operations = [...this.#operations.values()];
    const totals = [
      ...[...now.desired].map(([plugin, count]) => total(plugin, "desired_state_of_world", count)),
      ...[...now.actual].map(([plugin, states]) => {
        return total(plugin, "actual_state_of_world", [...states.values()].reduce((a, b) => a + b, 0));
      }),
    ];
    const states = [...now.actual].flatMap(([plugin, byState]) =>
      [...byState].map(([state, count]) =>
        line("lamina_volumes", [label("plugin_name", plugin), label("state", state)], count)
      )
    );
    return [
      ...head("storage_operation_duration_seconds", "histogram", "Storage operation duration"),
      ...operations.flatMap(({ labels, durations }) => durations.lines("storage_operation_duration_seconds", labels)),
      ...head("volume_manager_total_volumes", "gauge", "Number of volumes in the manager"),
      ...totals,
      ...head("lamina_volumes", "gauge", "Volumes of workloads by the state they are in"),
      ...states,
      ...head("lamina_volume_operations", "gauge", "Operations that run or wait for their next try"),
      line("lamina_volume_operations", [label("state", "running")], now.running),
      line("lamina_volume_operations", [label("state", "backoff")], now.backoff),
      ...head("lamina_volume_reconcile_duration_seconds", "histogram", "Time of one pass of the reconciler"),
      ...this.#reconciles.lines("lamina_volume_reconcile_duration_seconds", []),
      "",
    ].join("\n");
  }
}

function total(plugin: string, state: string, count: number): string {
  return line("volume_manager_total_volumes", [label("plugin_name", plugin), label("state", state)], count);
}

function head(name: string, type: string, help: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function label(name: string, value: string): string {
  const escaped = value.replace(/["\\\n]/g, (c) => c === "\n" ? "\\n" : `\\${c}`);
  return `${name}="${escaped}"`;
}

function line(name: string, labels: readonly string[], value: number): string {
  return `${name}${labels.length === 0 ? "" : `{${labels.join(",")}}`} ${value}`;
}
