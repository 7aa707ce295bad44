/** Every manifest of tests/examples does what it says. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path/posix";
import type { KubeObject } from "../../runtime/core/model/object.ts";
import { parseManifest } from "../../runtime/cli/manifest.ts";
import type { LaminaRuntime } from "../../runtime/services.ts";
import { project } from "../architecture/sources.ts";
import { rootTest } from "../support/scratch.ts";
import { applyText, deleted, exampleText, podRuntime, ready, rootOf, until } from "./support/pods.ts";

interface Example {
  /** Name of the pod. */
  readonly pod: string;
  /** What is to be seen in the container's root (the first container's, unless it says otherwise). */
  readonly look: (root: (container?: string) => string, pod: KubeObject, host: string) => void;
}

const text = (path: string) => Deno.readTextFileSync(path);
const mode = (path: string) => Deno.statSync(path).mode! & 0o777;

const EXAMPLES: Readonly<Record<string, Example>> = {
  "article-pod.yaml": {
    pod: "storage-tour",
    look: (root) => assertStringIncludes(text(join(root(), "etc/config/app.properties")), "color=blue"),
  },
  "empty-dir.yaml": {
    pod: "scratch",
    look: (root) => {
      Deno.writeTextFileSync(join(root("writer"), "scratch/note"), "seen by both");
      assertEquals(text(join(root("reader"), "scratch/note")), "seen by both");
      assert(!writes(join(root("reader"), "scratch")));
      assert(writes(join(root("writer"), "fast")));
    },
  },
  "host-path.yaml": {
    pod: "host-files",
    look: (root, _pod, host) => {
      assert(!writes(join(root(), "there")));
      Deno.writeTextFileSync(join(root(), "made/one.log"), "line\n");
      assertEquals(text(join(host, "one.log")), "line\n");
    },
  },
  "config-map.yaml": {
    pod: "config-files",
    look: (root) => {
      assertEquals(text(join(root(), "config/game.properties")), "lives=3\n");
      assertEquals(Deno.readFileSync(join(root(), "config/logo")).length, 8);
      assertEquals(mode(join(root(), "chosen/settings/game")), 0o600);
      assertEquals(text(join(root(), "etc/ui.properties")), "color=purple\n");
    },
  },
  "secret.yaml": {
    pod: "secret-files",
    look: (root) => {
      assertEquals(text(join(root(), "etc/database/username")), "admin");
      assertEquals(mode(join(root(), "etc/database/password")), 0o400);
      assertEquals([...Deno.readDirSync(join(root(), "etc/perhaps"))].filter(({ name }) => !name.startsWith(".")), []);
    },
  },
  "projected.yaml": {
    pod: "all-in-one",
    look: (root) => {
      assertEquals(text(join(root(), "projected/my-group/my-username")), "admin");
      assertEquals(text(join(root(), "projected/my-group/my-config")), "mode: quiet\n");
      assertStringIncludes(text(join(root(), "projected/labels")), 'zone="north"');
      assertEquals(text(join(root(), "projected/cpu_limit")), "500");
    },
  },
  "downward-api.yaml": {
    pod: "self-portrait",
    look: (root) => {
      assertEquals(text(join(root(), "etc/podinfo/name")), "self-portrait");
      assertEquals(text(join(root(), "etc/podinfo/build")), "two");
      assertStringIncludes(text(join(root(), "etc/podinfo/labels")), 'rack="rack-22"');
    },
  },
  "claim-static.yaml": {
    pod: "task",
    look: (root, _pod, host) => {
      Deno.writeTextFileSync(join(root(), "data/index.html"), "kept");
      assertEquals(text(join(host, "there/index.html")), "kept");
    },
  },
  "claim-dynamic.yaml": {
    pod: "shop",
    look: (root) => {
      assert(writes(join(root(), "data")));
      assertEquals(Deno.statSync(join(root(), "data")).gid, 2000);
    },
  },
  "local-volume.yaml": { pod: "on-local-disk", look: (root) => assert(writes(join(root(), "disk"))) },
  "ephemeral.yaml": { pod: "with-scratch", look: (root) => assert(writes(join(root(), "scratch"))) },
  "sub-path.yaml": {
    pod: "lamp-site",
    look: (root) => {
      Deno.writeTextFileSync(join(root("database"), "var/lib/mysql/table"), "rows");
      assertEquals(text(join(root("prepare"), "site/mysql/table")), "rows");
      assert(writes(join(root("web"), "var/log/web")));
      assert(Deno.statSync(join(root("prepare"), "site/logs/lamp-site")).isDirectory);
    },
  },
  "block.yaml": {
    pod: "with-device",
    look: (root, pod) => {
      assert(Deno.statSync(join(root(), "dev/xvda")).isBlockDevice);
      const [status] = pod.status!.containerStatuses as { devices: { devicePath: string; hostPath: string }[] }[];
      assertEquals(status!.devices[0]!.devicePath, "/dev/xvda");
      assert(Deno.statSync(status!.devices[0]!.hostPath).isBlockDevice);
    },
  },
};

Deno.test("every example has its test", () => {
  const files = [...Deno.readDirSync(join(project, "tests/examples"))].map(({ name }) => name);
  assertEquals(files.filter((name) => name.endsWith(".yaml")).sort(), Object.keys(EXAMPLES).sort());
});

for (const [file, { pod: name, look }] of Object.entries(EXAMPLES)) {
  rootTest(`${file} comes up as it says, and leaves nothing when it is deleted`, async () => {
    await using room = await podRuntime();
    const { test, host } = room;
    const { runtime } = test;
    const manifest = exampleText(file, host);
    await applyText(runtime, manifest);
    const pod = await ready(runtime, name);
    look((container = "main") => rootOf(pod, container), pod, host);
    const again = await applyText(runtime, manifest);
    assertEquals(again.filter((line) => !line.endsWith("unchanged")), []);
    await deleteAll(runtime, manifest);
    assertEquals(runtime.containers.list(), []);
    assertEquals(runtime.operations.volumesInUse(), []);
    assertEquals([...Deno.readDirSync(join(test.root, "pods"))].map(({ name }) => name), []);
    assertEquals(await test.check(), []);
  });
}

/** What uses others first, as `lamina delete -f` does it. */
async function deleteAll(runtime: LaminaRuntime, manifest: string): Promise<void> {
  const objects = parseManifest(manifest, "manifest").map(({ value }) => value as unknown as KubeObject).reverse();
  for (const { kind, metadata } of objects) await deleted(runtime, kind, metadata.name);
  for (const claim of runtime.objects.list("PersistentVolumeClaim")) {
    await until(runtime, claim.kind, claim.metadata.name, (object) => object === undefined);
  }
}

function writes(directory: string): boolean {
  try {
    Deno.writeTextFileSync(join(directory, "probe"), "x");
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw error;
    return false;
  }
}
