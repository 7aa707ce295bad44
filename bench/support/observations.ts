/** What a stopwatch around one call does not show: start-up, memory, idleness, patience of the API under load. */
import { join } from "@std/path/posix";
import { type LaminaProcess, startLamina } from "../../tests/e2e/lamina_process.ts";
import { benchApi } from "./bench_daemon.ts";
import type { DebianImage } from "./debian_image.ts";
import { writeDeepImage } from "./deep_image.ts";
import { processFacts } from "./process_facts.ts";
import { percentile } from "./recorder.ts";

/** See the head of the file; times in milliseconds, sizes in bytes. */
export interface Observations {
  readonly ready_ms: number;
  readonly idle_bytes: number;
  readonly idleCpu_ms: number;
  readonly idleWritten_bytes: number;
  readonly idleSeconds: number;
  readonly importPeak_bytes: number;
  readonly doubleImportPeak_bytes: number;
  readonly infoP99_ms: number;
  readonly infoCalls: number;
  readonly infoInExportP99_ms: number;
  readonly infoInExportCalls: number;
  readonly sameImport_ms: number;
  /** From asking for a root of six layers to having it, where `serve --mounter libc` mounts without a process. */
  readonly mountedByLibc_ms: number;
}

/** Observes daemons of its own in `directory`. */
export async function observe(directory: string, image: DebianImage, binary?: string): Promise<Observations> {
  const start = (...serveArgs: string[]) => startLamina(join(directory, "observed"), { binary, serveArgs });
  await Deno.mkdir(join(directory, "observed"), { recursive: true });
  const importing = await withDaemon(await start(), async (lamina) => {
    const api = benchApi(lamina.socket);
    const load = await infoWhile(
      lamina,
      api.post(`/v1/images/import?path=${image.layout("gzip")}&reference=debian:gzip`),
    );
    const importPeak_bytes = (await processFacts(lamina.pid)).peak_bytes;
    const begun = performance.now();
    await api.post(`/v1/images/import?path=${image.layout("gzip")}&reference=debian:gzip`);
    const sameImport_ms = performance.now() - begun;
    await api.delete("/v1/images/debian:gzip?force=true");
    await api.post(`/v1/images/import?path=${image.layout("plain")}&reference=debian:plain`);
    await api.delete("/v1/images/debian:plain?force=true");
    await api.post(`/v1/images/import?path=${image.layout("zstd")}&reference=debian:zstd`);
    const doubleImportPeak_bytes = (await processFacts(lamina.pid)).peak_bytes;
    const exporting = await infoWhile(lamina, api.drain("/v1/images/debian:zstd/export?compression=gzip"));
    return {
      ...load,
      importPeak_bytes,
      sameImport_ms,
      doubleImportPeak_bytes,
      infoInExportP99_ms: exporting.infoP99_ms,
      infoInExportCalls: exporting.infoCalls,
    };
  });
  const starts: number[] = [];
  for (let run = 0; run < 10; run++) {
    await withDaemon(await start(), (lamina) => Promise.resolve(starts.push(lamina.ready_ms)));
  }
  const idleSeconds = 10;
  const idle = await withDaemon(await start(), async (lamina) => {
    await sleep(3000);
    const before = await processFacts(lamina.pid);
    await sleep(idleSeconds * 1000);
    const after = await processFacts(lamina.pid);
    return {
      idle_bytes: after.resident_bytes,
      idleCpu_ms: after.cpu_ms - before.cpu_ms,
      idleWritten_bytes: after.written_bytes - before.written_bytes,
    };
  });
  const mountedByLibc_ms = await withDaemon(
    await start("--mounter", "libc"),
    (lamina) => timeMounts(lamina, directory),
  );
  return { ready_ms: percentile(starts, 0.5), idleSeconds, ...idle, ...importing, mountedByLibc_ms };
}

async function timeMounts(lamina: LaminaProcess, directory: string): Promise<number> {
  const api = benchApi(lamina.socket);
  const layout = join(directory, "observed/layout");
  await writeDeepImage(layout, "deep:6", 6);
  await api.post(`/v1/images/import?path=${layout}&reference=deep:6`);
  const samples: number[] = [];
  for (let run = 0; run < 60; run++) {
    const begun = performance.now();
    const { id } = await api.post<{ id: string }>("/v1/containers?mount=true", { image: "deep:6" });
    samples.push(performance.now() - begun);
    await api.post(`/v1/containers/${id}/unmount`);
    await api.delete(`/v1/containers/${id}`);
  }
  return percentile(samples, 0.5);
}

/** Asks for `/v1/info` every few milliseconds for as long as `work` takes. */
async function infoWhile(lamina: LaminaProcess, work: Promise<unknown>) {
  const api = benchApi(lamina.socket);
  let working = true;
  const done = work.finally(() => working = false);
  const samples: number[] = [];
  while (working) {
    const begun = performance.now();
    await api.get("/v1/info");
    samples.push(performance.now() - begun);
    await sleep(3);
  }
  await done;
  return { infoP99_ms: percentile(samples, 0.99), infoCalls: samples.length };
}

async function withDaemon<T>(lamina: LaminaProcess, body: (lamina: LaminaProcess) => Promise<T>): Promise<T> {
  await using _held = lamina;
  return await body(lamina);
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
