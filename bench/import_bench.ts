/** Import of a real Debian image beside GNU tar unpacking the same layers. */
import { join } from "@std/path/posix";
import { commandOutput } from "../runtime/host/command.ts";
import { benchApi, benchDirectory } from "./support/bench_daemon.ts";
import { debianImage, type LayerCompression } from "./support/debian_image.ts";
import { measured } from "./support/recorder.ts";

const image = await debianImage();
const api = benchApi();
const directory = benchDirectory();
const tarFlags: Record<LayerCompression, string[]> = { gzip: ["-z"], zstd: ["--zstd"], plain: [] };
let run = 0;

for (const compression of ["gzip", "plain", "zstd"] as const) {
  measured<string>({
    name: `tar -x, ${compression}`,
    group: `import ${compression}`,
    baseline: true,
    iterations: 3,
    prepare: async () => {
      const target = join(directory, `tar-${run++}`);
      await Deno.mkdir(target);
      await settle();
      return target;
    },
    run: async (target) => {
      for (const layer of image.layers(compression)) {
        await commandOutput("tar", ["-x", ...tarFlags[compression], "-p", "-f", layer, "-C", target]);
      }
    },
    finish: async (target) => {
      await commandOutput("rm", ["-rf", "--", target]);
    },
  });
  measured({
    name: `lamina, ${compression}`,
    group: `import ${compression}`,
    iterations: 3,
    prepare: settle,
    run: () => api.post(`/v1/images/import?path=${image.layout(compression)}&reference=debian:bench`),
    finish: async () => {
      await api.delete("/v1/images/debian:bench?force=true");
      await api.post("/v1/gc");
    },
  });
}

/** What others left to be written is not this one's work. */
async function settle(): Promise<void> {
  await commandOutput("sync", ["-f", directory]);
}
