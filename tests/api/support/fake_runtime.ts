/**
 * A runtime without storage, for tests of the API's and the command line's grammar: every verb answers with something
 * that fits its schema, and a test replaces the verb whose faults it injects.
 */
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Container } from "../../../runtime/core/specs/container.ts";
import type { Image } from "../../../runtime/core/specs/image.ts";
import type { Event, Info } from "../../../runtime/core/specs/system.ts";
import type { Union } from "../../../runtime/core/specs/union.ts";
import type { Volume } from "../../../runtime/core/specs/volume.ts";
import type { KubeObject } from "../../../runtime/core/model/object.ts";
import type { ByteStream, LaminaRuntime } from "../../../runtime/services.ts";

/** What each verb was called with, newest last. */
export type Calls = Array<{ verb: string; args: unknown[] }>;

/** A runtime whose verbs a test may replace. */
export interface FakeRuntime extends LaminaRuntime {
  readonly calls: Calls;
  disposed: boolean;
}

/** See the head of the file. */
export function fakeRuntime(): FakeRuntime {
  const calls: Calls = [];
  const note = <A extends unknown[], R>(verb: string, answer: (...args: A) => R) => (...args: A): R => {
    calls.push({ verb, args });
    return answer(...args);
  };
  const removal = { untagged: [], deleted: ["x"], reclaimed_bytes: 5 };
  const runtime: FakeRuntime = {
    calls,
    disposed: false,
    images: {
      import: note("images.import", async (source, _options, operation) => {
        if ("stream" in source) { for await (const _ of source.stream) operation.signal.throwIfAborted(); }
        operation.progress({ phase: "unpack", id: "layer", current: 1, total: 2 });
        operation.progress({ phase: "unpack", id: "layer", current: 2, total: 2 });
        return {
          images: [{
            id: "sha256:aa",
            references: ["a:1"],
            layers_total: 2,
            layers_unpacked: 1,
            layers_shared: 1,
            already_present: false,
          }],
          warnings: [],
        };
      }),
      list: note("images.list", () => [fakeImage("team/web:1")]),
      inspect: note("images.inspect", (image) => {
        if (image === "absent") throw new LaminaError("NOT_FOUND", 'No image "absent"');
        return fakeImage(image);
      }),
      tag: note("images.tag", () => Promise.resolve()),
      export: note("images.export", () => Promise.resolve(bytes("tar"))),
      remove: note("images.remove", () => Promise.resolve(removal)),
      prune: note("images.prune", () => Promise.resolve(removal)),
    },
    containers: {
      create: note("containers.create", (spec) => Promise.resolve(fakeContainer(spec.name ?? "made"))),
      mount: note("containers.mount", (name) => Promise.resolve(fakeContainer(name))),
      unmount: note("containers.unmount", () => Promise.resolve()),
      list: note("containers.list", () => [fakeContainer("shop"), fakeContainer("store")]),
      inspect: note("containers.inspect", (name) => Promise.resolve(fakeContainer(name))),
      update: note("containers.update", (name) => Promise.resolve(fakeContainer(name))),
      diff: note("containers.diff", () => Promise.resolve([{ kind: "A" as const, path: "/new" }])),
      commit: note("containers.commit", (_name, options) => Promise.resolve(fakeImage(options.reference ?? "none:1"))),
      export: note("containers.export", () => Promise.resolve(bytes("tar"))),
      statPath: note("containers.statPath", (_name, path) =>
        Promise.resolve({
          name: path.split("/").at(-1)!,
          kind: "file" as const,
          size_bytes: 1,
          mode: 0o644,
          modified_at: "2024-01-01T00:00:00Z",
        })),
      copyOut: note("containers.copyOut", () => Promise.resolve(bytes("tar"))),
      copyIn: note("containers.copyIn", async (_name, _path, archive) => {
        for await (const _ of archive) { /* read to the end */ }
      }),
      rename: note("containers.rename", () => Promise.resolve(fakeContainer("renamed"))),
      prune: note("containers.prune", () => Promise.resolve(removal)),
      remove: note("containers.remove", () => Promise.resolve(removal)),
    },
    volumes: {
      create: note("volumes.create", (spec) => Promise.resolve(fakeVolume(spec.name ?? "anonymous"))),
      list: note("volumes.list", () => [fakeVolume("data")]),
      inspect: note("volumes.inspect", (name) => fakeVolume(name)),
      listWithPlugins: note(
        "volumes.listWithPlugins",
        () => Promise.resolve({ volumes: [fakeVolume("data")], warnings: ["a, b: ü"] }),
      ),
      inspectWithPlugins: note("volumes.inspectWithPlugins", (name) => Promise.resolve(fakeVolume(name))),
      space: note("volumes.space", () => Promise.resolve({ used_bytes: 1 })),
      remove: note("volumes.remove", () => Promise.resolve(removal)),
      prune: note("volumes.prune", () => Promise.resolve(removal)),
      rename: note("volumes.rename", (_name, to) => Promise.resolve(fakeVolume(to))),
      resize: note("volumes.resize", (name) => Promise.resolve({ ...fakeVolume(name), pending: false })),
      mount: note("volumes.mount", () => Promise.resolve("/data")),
      unmount: note("volumes.unmount", () => Promise.resolve()),
      backup: note(
        "volumes.backup",
        () => Promise.resolve({ stream: bytes("tar"), consistency: "live" as const, warnings: ["it is in use"] }),
      ),
      restore: note("volumes.restore", async (name, archive) => {
        for await (const _ of archive) { /* read to the end */ }
        return fakeVolume(name);
      }),
      snapshot: note("volumes.snapshot", () => Promise.resolve(fakeSnapshot())),
      snapshots: note("volumes.snapshots", () => [fakeSnapshot()]),
      removeSnapshot: note("volumes.removeSnapshot", () => Promise.resolve()),
      clone: note("volumes.clone", (_name, to) => Promise.resolve(fakeVolume(to.name))),
    },
    operations: {
      list: note("operations.list", () => [{
        key: "uid/cache",
        name: "volume_mount",
        plugin: "kubernetes.io/empty-dir",
        state: "backoff" as const,
        attempts: 2,
        since: "2024-01-01T00:00:00.000Z",
        next_at: "2024-01-01T00:00:01.000Z",
        last_error: "Cannot mount",
      }]),
      volumesInUse: note("operations.volumesInUse", () => [{
        workload: { kind: "pod" as const, uid: "uid", name: "default/web" },
        volume: "cache",
        plugin: "kubernetes.io/empty-dir",
        state: "Mounted" as const,
        path: "/root/pods/uid/volumes/cache",
      }]),
      metrics: note("operations.metrics", () => "lamina_volumes 1\n"),
    },
    claims: {
      capacity: note("claims.capacity", () =>
        Promise.resolve({
          classes: [{ storage_class: "fast", provisioner: "lamina.dev/local", total_bytes: 10, available_bytes: 5 }],
          volumes: [],
        })),
    },
    unions: {
      mount: note("unions.mount", (request) => Promise.resolve(fakeUnion(request.target))),
      list: note("unions.list", () => [fakeUnion("/mnt")]),
      unmount: note("unions.unmount", () => Promise.resolve()),
    },
    objects: {
      apply: note("objects.apply", () => Promise.resolve({ result: "created" as const, object: fakeObject() })),
      get: note("objects.get", () => fakeObject()),
      list: note("objects.list", () => [fakeObject()]),
      delete: note("objects.delete", () => Promise.resolve({ gone: true, object: fakeObject() })),
      watch: note("objects.watch", async function* () {
        yield { type: "added" as const, object: fakeObject() };
      }),
      events: note("objects.events", () => []),
    },
    system: {
      info: note("system.info", fakeInfo),
      diskUsage: note("system.diskUsage", () =>
        Promise.resolve({
          filesystem: { total_bytes: 100, used_bytes: 40, available_bytes: 60, inodes: 10, inodes_available: 5 },
          images: [{ id: "sha256:aa", references: ["a:1"], size_bytes: 7, unique_bytes: 3 }],
          layers_bytes: 7,
          containers: [{ name: "shop", rw_bytes: 1, rw_inodes: 1 }],
          volumes: [{ name: "data", size_bytes: 2, inodes: 1, used_by: 0 }],
          reclaimable_bytes: 2,
        })),
      check: note("system.check", () => Promise.resolve({ findings: [], checked: { layers: 2 } })),
      collectGarbage: note("system.collectGarbage", () => Promise.resolve(removal)),
      events: note("system.events", async function* (options, signal): AsyncGenerator<Event> {
        yield fakeEvent(options.since ?? 1);
        if (signal.aborted) return;
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      }),
      migrate: note(
        "system.migrate",
        ({ to }) => Promise.resolve({ from: "overlay", to, layers: 2, containers: 1, resumed: false }),
      ),
      abandonMigration: note("system.abandonMigration", () => Promise.resolve(true)),
      doctor: note(
        "system.doctor",
        () => Promise.resolve([{ subject: "overlay", status: "ok" as const, found: "kernel 6" }]),
      ),
    },
    [Symbol.asyncDispose]: () => {
      runtime.disposed = true;
      return Promise.resolve();
    },
  };
  return runtime;
}

/** A stream of one chunk per part; one that is an `Error` breaks the stream. */
export function bytes(...parts: Array<string | Error>): ByteStream {
  const encoder = new TextEncoder();
  const rest = [...parts];
  return new ReadableStream({
    pull(controller) {
      const part = rest.shift();
      if (part === undefined) controller.close();
      else if (part instanceof Error) controller.error(part);
      else controller.enqueue(encoder.encode(part));
    },
  });
}

function fakeImage(reference: string): Image {
  return {
    id: "sha256:" + "a".repeat(64),
    references: [reference],
    imported_at: "2024-01-01T00:00:00Z",
    platform: "linux/amd64",
    layers: 1,
    size_bytes: 7,
    unique_bytes: 3,
    containers: 0,
    config: {},
    layer_list: [{ chain_id: "c", diff_id: "d", size_bytes: 7, tar_bytes: 8, shared_by: 1 }],
  };
}

function fakeContainer(name: string): Container {
  return {
    id: "b".repeat(64),
    name,
    image: "a:1",
    image_id: "sha256:aa",
    created_at: "2024-01-01T00:00:00Z",
    mounted: true,
    rootfs: `/root/containers/${name}/rootfs`,
    read_only: false,
    auto_remove: false,
    labels: {},
    storage_options: {},
    storage_driver: "overlay",
    volumes_from: [],
    mounts: [],
    config: { env: [] },
    engine: {},
    oci: {
      root: { path: "/x", readonly: false },
      mounts: [],
      process: { args: ["sh"], env: [], cwd: "/", user: "" },
    },
  };
}

function fakeVolume(name: string): Volume {
  return {
    name,
    driver: "local",
    scope: "local",
    options: {},
    labels: {},
    mountpoint: `/root/volumes/${name}/_data`,
    usable: true,
    anonymous: false,
    created_at: "2024-01-01T00:00:00Z",
    used_by: [],
  };
}

function fakeSnapshot() {
  return { volume: "data", name: "monday", created_at: "2024-01-01T00:00:00Z", method: "shared" as const };
}

function fakeInfo(): Info {
  return {
    version: "0.0.0",
    pid: 1,
    root: "/root",
    storage_driver: "overlay",
    storage_status: {},
    mounter: "command",
    images: 1,
    layers: 1,
    containers: 2,
    mounted_containers: 1,
    volumes: 1,
    volume_drivers: ["local"],
    kernel: "6",
    architecture: "x86_64",
    os: "linux",
    rootless: false,
    started_at: "2024-01-01T00:00:00Z",
  };
}

function fakeEvent(sequence: number): Event {
  return { sequence, time: "2024-01-01T00:00:00Z", kind: "system", action: "ready", id: "x", attributes: {} };
}

/** A ConfigMap. */
export function fakeObject(): KubeObject {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: "settings",
      namespace: "default",
      uid: "8159bee7-72e9-479f-9b76-e18b86ad9cdf",
      resourceVersion: "1",
      creationTimestamp: "2026-01-01T00:00:00.000Z",
    },
    data: { color: "red" },
  };
}

function fakeUnion(target: string): Union {
  return {
    id: "0123456789abcdef",
    target,
    branches: [{ directory: "/dir1", access: "ro" }],
    program: "mergerfs",
    mounted: true,
    created_at: "2026-01-01T00:00:00.000Z",
  };
}
