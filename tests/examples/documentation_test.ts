/** Manifests of the shapes that Kubernetes' pages on storage show: each is accepted, and comes up as the page says. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path/posix";
import { parseManifest } from "../../runtime/cli/manifest.ts";
import type { KubeObject } from "../../runtime/core/model/object.ts";
import { commandOutput } from "../../runtime/host/command.ts";
import { project } from "../architecture/sources.ts";
import { placeOn } from "../claims/support/place.ts";
import { applyText, deleted, exampleText, podRuntime, ready, rootOf, until } from "../pod/support/pods.ts";
import { rootTest } from "../support/scratch.ts";
import { TestRuntime } from "../support/test_runtime.ts";

const text = (path: string) => Deno.readTextFileSync(path);
const mode = (path: string) => Deno.statSync(path).mode! & 0o7777;
const isReadOnly = (directory: string) =>
  assertThrows(() => Deno.writeTextFileSync(join(directory, "probe"), ""), Error, "Read-only file system");

function write(directory: string): void {
  Deno.writeTextFileSync(join(directory, "probe"), "");
}

/** A directory that mounts come to and go from, with one below it. */
async function sharedMount(path: string): Promise<AsyncDisposable> {
  Deno.mkdirSync(path);
  await commandOutput("mount", ["-t", "tmpfs", "shared", path]);
  await commandOutput("mount", ["--make-private", path]);
  await commandOutput("mount", ["--make-shared", path]);
  Deno.mkdirSync(join(path, "below"));
  await commandOutput("mount", ["-t", "tmpfs", "below", join(path, "below")]);
  return { [Symbol.asyncDispose]: async () => void await commandOutput("umount", ["-R", path]) };
}

interface Page {
  readonly pod: string;
  /** Makes what is to be on the host. */
  prepare?(host: string): AsyncDisposable | Promise<AsyncDisposable> | void;
  look(seen: { root(container?: string): string; pod: KubeObject; host: string }): void | Promise<void>;
}

const PAGES: Readonly<Record<string, Page>> = {
  "reserved-volume.yaml": {
    pod: "foo",
    look({ root, host }) {
      Deno.writeTextFileSync(join(root(), "data/file"), "mine");
      assertEquals(text(join(host, "there/file")), "mine");
    },
  },
  "claim-selector.yaml": {
    pod: "my-pod",
    look({ root, host }) {
      write(join(root(), "var/www/html"));
      assertEquals([...Deno.readDirSync(host)].map(({ name }) => name).sort(), ["right", "there"]);
      assert(Deno.statSync(join(host, "right/probe")).isFile);
    },
  },
  "local-disk.yaml": {
    pod: "with-local-disk",
    look({ root, host }) {
      write(join(root(), "mnt/disk"));
      assert(Deno.statSync(join(host, "there/probe")).isFile);
    },
  },
  "raw-block-volume.yaml": {
    pod: "pod-with-block-volume",
    prepare(host) {
      using file = Deno.openSync(join(host, "disk.img"), { write: true, create: true });
      file.truncateSync(16 << 20);
    },
    look({ pod, host }) {
      const [status] = pod.status!.containerStatuses as { devices: { devicePath: string; hostPath: string }[] }[];
      const [{ devicePath, hostPath }] = status!.devices as [{ devicePath: string; hostPath: string }];
      assertEquals([devicePath, Deno.statSync(hostPath).isBlockDevice], ["/dev/xvda", true]);
      using device = Deno.openSync(hostPath, { write: true });
      device.writeSync(new TextEncoder().encode("raw"));
      device.syncSync();
      assertEquals(text(join(host, "disk.img")).slice(0, 3), "raw");
    },
  },
  "sub-path-expanded.yaml": {
    pod: "pod1",
    look({ root, host }) {
      write(join(root(), "logs"));
      assert(Deno.statSync(join(host, "var-log-pods/logs/pod1/probe")).isFile);
    },
  },
  "host-path-files.yaml": {
    pod: "test-webserver",
    look({ root, host }) {
      Deno.writeTextFileSync(join(root(), "var/local/aaa/1.txt"), "line");
      write(join(root(), "var/local/aaa"));
      assertEquals([text(join(host, "1.txt")), mode(join(host, "1.txt")), mode(join(host, "aaa"))], [
        "line",
        0o644,
        0o755,
      ]);
      // The mount point of the file, in the directory.
      assertEquals([...Deno.readDirSync(join(host, "aaa"))].map(({ name }) => name).sort(), ["1.txt", "probe"]);
    },
  },
  "downward-resources.yaml": {
    pod: "downward-resources",
    look({ root, pod }) {
      const at = join(root(), "etc/podinfo");
      const files = ["cpu_limit", "cpu_request", "mem_limit", "mem_request", "annotations", "names/uid"];
      assertEquals(files.map((name) => text(join(at, name))), [
        "250",
        "125",
        String(64 << 20),
        "32",
        'builder="john-doe"',
        pod.metadata.uid,
      ]);
      assertEquals([mode(join(at, "cpu_limit")), mode(join(at, "names/uid"))], [0o440, 0o400]);
    },
  },
  "projected-secrets.yaml": {
    pod: "volume-test",
    look({ root }) {
      const at = join(root(), "projected-volume");
      assertEquals(text(join(at, "my-group/my-username")), "admin");
      assertEquals(text(join(at, "my-group/my-password")), "1f2d1e2e67df");
      assertEquals([mode(join(at, "my-group/my-username")), mode(join(at, "my-group/my-password"))], [0o644, 0o777]);
    },
  },
  "dot-files.yaml": {
    pod: "secret-dotfiles-pod",
    look({ root }) {
      assertEquals(text(join(root(), "etc/secret-volume/.secret-file")), "value-2\r\n\r\n");
    },
  },
  "recursive-read-only.yaml": {
    pod: "rro",
    prepare: (host) => sharedMount(join(host, "mnt")),
    look({ root }) {
      for (const path of ["mnt-rro", "mnt-rro/below", "mnt-if-possible", "mnt-if-possible/below", "mnt-ro"]) {
        isReadOnly(join(root(), path));
      }
      for (const path of ["mnt-ro/below", "mnt-rw", "mnt-rw/below"]) write(join(root(), path));
    },
  },
  "mount-propagation.yaml": {
    pod: "propagation",
    prepare: (host) => sharedMount(join(host, "mnt")),
    async look({ root, host }) {
      Deno.mkdirSync(join(host, "mnt/later"));
      await commandOutput("mount", ["-t", "tmpfs", "later", join(host, "mnt/later")]);
      write(join(host, "mnt/later"));
      const seen = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name);
      assertEquals(seen(join(root(), "host/later")), ["probe"]);
      assertEquals(seen(join(root(), "alone/later")), []);
      Deno.mkdirSync(join(host, "mnt/made"));
      await commandOutput("mount", ["-t", "tmpfs", "made", join(root("mounter"), "host/made")]);
      write(join(root("mounter"), "host/made"));
      assertEquals(seen(join(host, "mnt/made")), ["probe"]);
    },
  },
  "one-pod-claim.yaml": {
    pod: "single-writer",
    look({ root }) {
      write(join(root(), "data"));
      const { gid } = Deno.statSync(join(root(), "data"));
      assertEquals([gid, mode(join(root(), "data")) & 0o2070], [4000, 0o2070]);
    },
  },
};

/** Tested below by themselves. */
const OTHERS = ["accepted.yaml", "snapshot-and-clone.yaml"];

const page = (name: string, host: string) =>
  exampleText(`documentation/${name}`, host).replaceAll("example-node", Deno.hostname());

Deno.test("every page has its test", () => {
  const files = [...Deno.readDirSync(join(project, "tests/examples/documentation"))].map(({ name }) => name);
  assertEquals(files.sort(), [...Object.keys(PAGES), ...OTHERS].sort());
});

for (const [name, { pod, prepare, look }] of Object.entries(PAGES)) {
  rootTest(`${name} comes up as its page says, twice is once, and nothing is left of it`, async () => {
    await using room = await podRuntime();
    const { test, host } = room;
    await using _prepared = await prepare?.(host) ?? { async [Symbol.asyncDispose]() {} };
    const manifest = page(name, host);
    await applyText(test.runtime, manifest);
    const up = await ready(test.runtime, pod);
    await look({ root: (container = "main") => rootOf(up, containerOf(up, container)), pod: up, host });
    const again = await applyText(test.runtime, manifest);
    assertEquals(again.filter((line) => !line.endsWith("unchanged")), []);
    await deleteAll(test, manifest);
    assertEquals(await test.check(), []);
  });
}

rootTest(
  "snapshot-and-clone.yaml: what is made of a snapshot and of a claim has their data, and its own from then",
  async () => {
    await using place = await placeOn("xfs", "2G");
    await using test = await TestRuntime.openAt(join(place.path, "root"));
    await test.importImage("small:1", [{ "etc/": "" }]);
    const { runtime } = test;
    const documents = page("snapshot-and-clone.yaml", place.path).split("\n---\n");
    const [claim, copies] = [documents.slice(0, 3).join("\n---\n"), documents.slice(3).join("\n---\n")];
    await applyText(runtime, claim);
    const origin = rootOf(await ready(runtime, "origin"), "main");
    Deno.writeTextFileSync(join(origin, "data/file"), "one");
    await applyText(runtime, copies);
    const root = rootOf(await ready(runtime, "copies"), "main");
    assertEquals([text(join(root, "restored/file")), text(join(root, "cloned/file"))], ["one", "one"]);
    Deno.writeTextFileSync(join(origin, "data/file"), "two");
    Deno.writeTextFileSync(join(root, "restored/file"), "three");
    assertEquals(
      [text(join(root, "restored/file")), text(join(root, "cloned/file")), text(join(origin, "data/file"))],
      [
        "three",
        "one",
        "two",
      ],
    );
    assertEquals(
      runtime.objects.get("PersistentVolumeClaim", "default", "restore-pvc")?.status?.capacity,
      { storage: "128Mi" },
    );
    const again = await applyText(runtime, `${claim}\n---\n${copies}`);
    assertEquals(again.filter((line) => !line.endsWith("unchanged")), []);
    await deleteAll(test, `${claim}\n---\n${copies}`);
    assertEquals(await test.check(), []);
  },
);

rootTest("accepted.yaml: what needs other machines and programs is understood", async () => {
  await using test = await TestRuntime.open();
  const documents = parseManifest(page("accepted.yaml", "/nowhere"), "manifest");
  assert(documents.length >= 7);
  for (const { value } of documents) {
    const { result } = await test.runtime.objects.apply(value, { dryRun: true }, test.operation);
    assertEquals(result, "created");
  }
  assertEquals(test.runtime.objects.list("PersistentVolume"), []);
});

function containerOf(pod: KubeObject, wanted: string): string {
  const { containers } = pod.spec as unknown as { containers: { name: string }[] };
  return containers.some(({ name }) => name === wanted) ? wanted : containers[0]!.name;
}

/** What uses others first, as `lamina delete -f` does it. */
async function deleteAll({ runtime }: TestRuntime, manifest: string): Promise<void> {
  const objects = parseManifest(manifest, "manifest").map(({ value }) => value as unknown as KubeObject).reverse();
  for (const { kind, metadata } of objects) await deleted(runtime, kind, metadata.name);
  for (const kind of ["PersistentVolumeClaim", "PersistentVolume"]) {
    for (const { metadata } of runtime.objects.list(kind)) {
      await until(runtime, kind, metadata.name, (object) => object === undefined);
    }
  }
}
