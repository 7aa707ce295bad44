import { assertEquals } from "@std/assert";
import { join } from "@std/path/posix";
import { commandOutput } from "../../runtime/host/command.ts";
import { startDockerd } from "../support/dockerd.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

rootTest(
  "a real Docker engine loads what is exported, layer by layer the same, and what it saves is imported",
  async () => {
    await using test = await TestRuntime.open();
    const { images } = test.runtime;
    await test.importImage("shop:1", [
      { "bin/busybox": "copy of /bin/busybox", "srv/motd": "one", "srv/gone": "x" },
      { "srv/motd": "two", "srv/.wh.gone": "" },
    ]);
    const { layer_list } = images.inspect("shop:1");
    const diffIds = layer_list.map(({ diff_id }) => diff_id);
    await using dockerd = await startDockerd(join(test.scratch.path, "dockerd"));
    const docker = async (...args: string[]) =>
      (await commandOutput("docker", ["-H", `unix://${dockerd.socket}`, ...args], {
        env: { DOCKER_CONFIG: test.scratch.path },
        timeout_ms: 120_000,
      })).trim();
    // Debian's engine does not know zstd in archives; later ones do.
    for (const compression of ["none", "gzip"] as const) {
      const path = join(test.scratch.path, `${compression}.tar`);
      const stream = await images.export(["shop:1"], { format: "docker", compression }, test.operation);
      await Deno.writeFile(path, stream);
      assertEquals(await docker("load", "-q", "-i", path), "Loaded image: shop:1");
      assertEquals(JSON.parse(await docker("inspect", "-f", "{{json .RootFS.Layers}}", "shop:1")), diffIds);
      const seen = await docker(
        "run",
        "--rm",
        "--network",
        "none",
        "shop:1",
        "/bin/busybox",
        "sh",
        "-c",
        "cd /srv; /bin/busybox grep -H . *",
      );
      assertEquals(seen, "motd:two");
      if (compression === "none") await docker("rmi", "shop:1");
    }
    const saved = join(test.scratch.path, "saved.tar");
    await docker("save", "-o", saved, "shop:1");
    const { images: [again] } = await images.import({ path: saved }, { reference: "again:1" }, test.operation);
    assertEquals(again!.layers_unpacked, 0);
    assertEquals(images.inspect("again:1").layer_list.map(({ diff_id }) => diff_id), diffIds);
  },
);
