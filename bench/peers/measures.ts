/** The same work as each of the peers does it. */
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { byteStringFromText } from "../../runtime/core/bytes.ts";
import { checked, cString, libc } from "../../runtime/host/libc.ts";
import type { LaminaProcess } from "../../tests/e2e/lamina_process.ts";
import { benchApi } from "../support/bench_daemon.ts";
import { processFacts } from "../support/process_facts.ts";
import { percentile } from "../support/recorder.ts";
import { containerdSnapshots } from "./containerd_snapshots.ts";
import type { PeerProcess } from "./peer_processes.ts";

/** Images on the disk that all share. */
export interface Sources {
  readonly debianOci: string;
  readonly debianDocker: string;
  readonly deepOci: string;
  readonly deepDocker: string;
  readonly disk: string;
}

/** Figures by name, ready to be shown. */
export type Figures = Readonly<Record<string, string>>;

const rounds = 30;
const crowd = Array.from({ length: 50 }, (_, index) => index);

/** Through the API, mounts included. */
export async function measureLamina(lamina: LaminaProcess, sources: Sources): Promise<Figures> {
  const api = benchApi(lamina.socket);
  const idle = await idleMemory(lamina.pid);
  const importDebian = () => api.post(`/v1/images/import?path=${sources.debianOci}&reference=debian:1`);
  const imported = await median(3, importDebian, async () => {
    await api.delete("/v1/images/debian:1?force=true");
    await api.post("/v1/gc");
  });
  await api.post(`/v1/images/import?path=${sources.deepOci}&reference=deep:6`);
  const make = async () => {
    const { id } = await api.post<{ id: string }>("/v1/containers?mount=true", { image: "deep:6" });
    return id;
  };
  const take = async (id: string) => {
    await api.post(`/v1/containers/${id}/unmount`);
    await api.delete(`/v1/containers/${id}`);
  };
  let ids: string[] = [];
  const volume = { name: "bench" };
  return {
    "start to ready": ms(lamina.ready_ms),
    "idle memory": idle,
    "import of a Debian image (gzip)": ms(imported),
    "RW layer asked for to mounted": ms(
      await median(rounds, async () => ids = [await make()], () => Promise.all(ids.map(take))),
    ),
    "whole cycle": ms(await median(rounds, async () => await take(await make()))),
    "50 at once, to mounted": ms(
      await median(5, async () => ids = await Promise.all(crowd.map(make)), () => Promise.all(ids.map(take))),
    ),
    "volume created and removed": ms(
      await median(rounds, async () => {
        await api.post("/v1/volumes", volume);
        await api.delete("/v1/volumes/bench");
      }),
    ),
  };
}

/** Snapshots over gRPC as an engine asks for them, mounted with mount(2) as its shim does. */
export async function measureContainerd(containerd: PeerProcess, sources: Sources): Promise<Figures> {
  const idle = await idleMemory(containerd.pid);
  const ctr = (...args: string[]) =>
    commandOutput("ctr", ["--address", containerd.socket, ...args], { timeout_ms: 300_000 });
  const importDebian = () => ctr("images", "import", "--index-name", "bench/debian:1", sources.debianOci);
  const imported = await median(3, importDebian, async () => {
    const names = (await ctr("images", "ls", "-q")).trim().split("\n");
    await ctr("images", "rm", "--sync", ...names);
  });
  await ctr("images", "import", "--index-name", "bench/deep:1", sources.deepOci);
  using snapshots = containerdSnapshots(containerd.socket);
  const parent = await topSnapshot(ctr);
  let number = 0;
  const make = async () => {
    const key = `bench-${number++}`;
    const [mount] = await snapshots.prepare(key, parent);
    const target = join(sources.disk, key);
    await Deno.mkdir(target);
    const [source, at, type, options] = [mount!.source, target, mount!.type, mount!.options.join(",")]
      .map((text) => cString(byteStringFromText(text)));
    checked(libc.mount(source!, at!, type!, 0n, options!), "mount", target);
    return key;
  };
  const take = async (key: string) => {
    const target = join(sources.disk, key);
    checked(libc.umount2(cString(byteStringFromText(target)), 0), "umount", target);
    await Deno.remove(target);
    await snapshots.remove(key);
  };
  let keys: string[] = [];
  return {
    "start to ready": ms(containerd.ready_ms),
    "idle memory": idle,
    "import of a Debian image (gzip)": ms(imported),
    "RW layer asked for to mounted": ms(
      await median(rounds, async () => keys = [await make()], () => Promise.all(keys.map(take))),
    ),
    "whole cycle": ms(await median(rounds, async () => await take(await make()))),
    "50 at once, to mounted": ms(
      await median(5, async () => keys = await Promise.all(crowd.map(make)), () => Promise.all(keys.map(take))),
    ),
  };
}

/** Over its HTTP API: a container is created, which prepares its layer but mounts nothing yet. */
export async function measureDocker(dockerd: PeerProcess, sources: Sources): Promise<Figures> {
  const idle = await idleMemory(dockerd.pid);
  const api = benchApi(dockerd.socket);
  const docker = (...args: string[]) =>
    commandOutput("docker", ["-H", `unix://${dockerd.socket}`, ...args], { timeout_ms: 300_000 });
  const imported = await median(
    3,
    () => docker("load", "-i", sources.debianDocker),
    () => docker("rmi", "-f", "bench/debian:1"),
  );
  await docker("load", "-i", sources.deepDocker);
  const body = { Image: "bench/deep:1", Cmd: ["/bin/true"], HostConfig: { NetworkMode: "none" } };
  const make = async () => (await api.post<{ Id: string }>("/containers/create", body)).Id;
  const take = (id: string) => api.delete(`/containers/${id}`);
  let ids: string[] = [];
  return {
    "start to ready": ms(dockerd.ready_ms),
    "idle memory": idle,
    "import of a Debian image (gzip)": `${ms(imported)} *`,
    "RW layer asked for to mounted": `${
      ms(await median(rounds, async () => ids = [await make()], () => Promise.all(ids.map(take))))
    } *`,
    "whole cycle": ms(await median(rounds, async () => await take(await make()))),
    "50 at once, to mounted": `${
      ms(await median(5, async () => ids = await Promise.all(crowd.map(make)), () => Promise.all(ids.map(take))))
    } *`,
    "volume created and removed": ms(
      await median(rounds, async () => {
        await api.post("/volumes/create", { Name: "bench" });
        await api.delete("/volumes/bench");
      }),
    ),
    "* (plain layers; not mounted)": "",
  };
}

/** By its command line: it has no daemon. */
export async function measurePodman(directory: string, sources: Sources): Promise<Figures> {
  const podman = (...args: string[]) =>
    commandOutput("podman", [
      "--root",
      join(directory, "root"),
      "--runroot",
      join(directory, "run"),
      "--storage-driver=overlay",
      ...args,
    ], { timeout_ms: 300_000 });
  try {
    const imported = await median(
      3,
      () => podman("load", "-q", "-i", sources.debianOci),
      () => podman("rmi", "--all", "--force"),
    );
    return { "import of a Debian image (gzip)": ms(imported) };
  } finally {
    await podman("system", "reset", "--force");
  }
}

/** Median milliseconds; `undo` follows each round, unmeasured. The first round warms up. */
async function median(count: number, work: () => Promise<unknown>, undo?: () => Promise<unknown>): Promise<number> {
  const samples: number[] = [];
  for (let round = 0; round <= count; round++) {
    const begun = performance.now();
    await work();
    if (round > 0) samples.push(performance.now() - begun);
    await undo?.();
  }
  return percentile(samples, 0.5);
}

/** Name of the committed snapshot that has no children: the top layer of the one image that is there. */
async function topSnapshot(ctr: (...args: string[]) => Promise<string>): Promise<string> {
  const rows = (await ctr("snapshots", "ls")).trim().split("\n").slice(1).map((line) => line.trim().split(/\s+/));
  const parents = new Set(rows.map((row) => row.length > 2 ? row[1] : ""));
  return rows.map((row) => row[0]!).filter((key) => !parents.has(key)).at(-1)!;
}

async function idleMemory(pid: number): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, 2000));
  return `${((await processFacts(pid)).resident_bytes / 1e6).toFixed(0)} MB`;
}

function ms(value: number): string {
  return value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(1)} ms`;
}
