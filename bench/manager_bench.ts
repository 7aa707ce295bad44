/** The volume manager: many pods up and down with real mounts, recovery, and what a pass costs when nothing is to do. */
import { join } from "@std/path/posix";
import { createLayerEngine } from "../drivers/storage/layer/layer_engine.ts";
import type { VolumePlugin, Workload } from "../drivers/volume/port.ts";
import { parseMountInfo } from "../runtime/core/mountinfo.ts";
import { backgroundOperation } from "../runtime/core/operation.ts";
import { RootLayout } from "../runtime/core/root_layout.ts";
import { CommandMounter } from "../runtime/host/command_mounter.ts";
import { Store } from "../runtime/store/store.ts";
import { openManager } from "../runtime/volume/manager/open_manager.ts";
import { plan } from "../runtime/volume/manager/plan.ts";
import type { WantedVolume } from "../runtime/volume/manager/port.ts";
import { type ActualFacts, type DesiredFacts, deviceKey } from "../runtime/volume/manager/states.ts";
import type { Manager } from "../runtime/volume/manager/volume_manager.ts";
import { benchDirectory } from "./support/bench_daemon.ts";
import { measured } from "./support/recorder.ts";

const PODS = 200;
const VOLUMES = 10;
const operation = backgroundOperation();
const directory = await Deno.realPath(benchDirectory());
const layout = new RootLayout(join(directory, "manager"));
const data = join(directory, "data");
Deno.mkdirSync(layout.containers, { recursive: true });
Deno.mkdirSync(data);
const engine = createLayerEngine();

const plugin: VolumePlugin = {
  name: "bench/mixed",
  capabilities: { mountOptions: false, block: false, fsGroup: false, accessModes: ["ReadWriteOnce"] },
  supports: () => true,
  volumeId: ({ name }, { uid }) => `${uid}/${name}`,
  setUp: ({ spec }) =>
    Promise.resolve([
      spec.source.memory === true
        ? { type: "tmpfs", source: "bench", target: "", options: ["size=1m"] }
        : { type: "bind", source: data, target: "", options: ["bind", "private"] },
    ]),
  tearDown: () => Promise.resolve(),
};

const volumes = Array.from({ length: VOLUMES }, (_, i): WantedVolume => ({
  spec: {
    name: `v${i}`,
    source: i < 2 ? { memory: true } : { data: true },
    read_only: false,
    mount_options: [],
    access_modes: ["ReadWriteOnce"],
    volume_mode: "Filesystem",
  },
}));
const pods = Array.from({ length: PODS }, (_, i): Workload => ({
  kind: "pod",
  uid: `pod-${i}`,
  name: `default/pod-${i}`,
  namespace: "default",
}));

let store: Store;
let manager: Manager;

function open(): void {
  store = new Store(layout.database);
  manager = openManager({
    store,
    layout,
    mounter: new CommandMounter(),
    engine,
    plugins: [plugin],
    objects: { get: () => undefined },
    report: () => {},
  });
}

async function up(): Promise<void> {
  for (const workload of pods) manager.desire({ workload, volumes });
  await Promise.all(pods.map(({ uid }) => manager.ready(uid, operation)));
}

async function down(): Promise<void> {
  for (const { uid } of pods) manager.release(uid);
  await Promise.all(pods.map(({ uid }) => manager.gone(uid, operation)));
}

/** Until the mount table has proved everything. */
async function noted(): Promise<void> {
  while (store.get<{ n: number }>("SELECT count(*) AS n FROM workload_volumes WHERE proved = 0")!.n > 0) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function restart(): Promise<void> {
  await manager[Symbol.asyncDispose]();
  store[Symbol.dispose]();
  open();
  await up();
}

open();
manager!.desiredIsComplete();
const group = "volume manager";

measured({
  name: `${PODS} pods of ${VOLUMES} volumes up`,
  group,
  baseline: true,
  iterations: 2,
  run: up,
  finish: down,
});
measured({
  name: `${PODS} pods of ${VOLUMES} volumes down`,
  group,
  iterations: 2,
  prepare: up,
  run: down,
});
measured({
  name: `start with ${PODS * VOLUMES} mounted volumes`,
  group,
  iterations: 2,
  prepare: async () => {
    await up();
    await noted();
  },
  run: restart,
  finish: async () => {
    manager.desiredIsComplete();
    await down();
  },
});

const facts = Array.from({ length: 5000 }, (_, i): DesiredFacts & ActualFacts => ({
  key: `pod-${i % 500}/v${i}`,
  deviceKey: deviceKey("bench/p", `id-${i}`),
  workloadUid: `pod-${i % 500}`,
  attachable: false,
  deviceMountable: i % 2 === 0,
  revision: "r",
  refresh: 0,
  exclusive: i % 5 === 0,
  state: "Mounted",
}));
const world = new Map(facts.map((fact) => [fact.key, fact]));
const devices = new Map(
  facts.filter((fact) => fact.deviceMountable)
    .map(({ deviceKey: key }) => [key, { key, attach: "No", device: "GloballyMounted" } as const]),
);
measured({
  name: "a pass over 5,000 volumes with nothing to do",
  group,
  iterations: 100,
  run: () => {
    const { operations } = plan({
      desired: world,
      volumes: world,
      devices,
      roots: [],
      running: new Set(),
      notBefore_ms: new Map(),
      now_ms: 0,
      complete: true,
    });
    if (operations.length > 0) throw new Error("there is nothing to do");
  },
});

const table = Array.from(
  { length: 10_000 },
  (_, n) =>
    `${n + 100} 21 0:${
      n + 40
    } /data rw /var/lib/lamina/pods/${n}/volumes/kubernetes.io~empty-dir/v rw,relatime - ext4 ` +
    `/dev/sda1 rw,discard\n`,
).join("");
measured({
  name: "mount table of 10,000 entries parsed",
  group,
  iterations: 60,
  run: () => void parseMountInfo(table),
});
