/** Calls of the API that change nothing or little, and a list of 1,000 containers. */
import { join } from "@std/path/posix";
import { benchApi, benchDirectory } from "./support/bench_daemon.ts";
import { writeDeepImage } from "./support/deep_image.ts";
import { measured } from "./support/recorder.ts";

const api = benchApi();
const layout = join(benchDirectory(), "listed");
await writeDeepImage(layout, "listed:1", 1);
await api.post(`/v1/images/import?path=${layout}&reference=listed:1`);
for (let batch = 0; batch < 20; batch++) {
  await Promise.all(Array.from({ length: 50 }, () => api.post("/v1/containers", { image: "listed:1" })));
}

measured({ name: "GET /v1/info", group: "api", baseline: true, iterations: 300, run: () => api.get("/v1/info") });
measured({
  name: "list 1,000 containers",
  group: "api",
  iterations: 60,
  run: () => api.bytes("/v1/containers"),
});
measured({
  name: "volume created",
  group: "api",
  iterations: 60,
  run: () => api.post("/v1/volumes", { name: "bench" }),
  finish: () => api.delete("/v1/volumes/bench"),
});
measured({
  name: "volume removed",
  group: "api",
  iterations: 60,
  prepare: () => api.post("/v1/volumes", { name: "bench" }),
  run: () => api.delete("/v1/volumes/bench"),
});
