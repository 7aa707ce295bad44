/** Every answer of a real runtime fits the schema that the API publishes. */
import { assert, assertEquals } from "@std/assert";
import { KUBE_KINDS } from "../../runtime/core/specs/kube/kinds.ts";
import { Router } from "../../runtime/api/router.ts";
import { ROUTES } from "../../runtime/api/route_table.ts";
import { join } from "@std/path/posix";
import { rootTest } from "../support/scratch.ts";
import { SMALL_IMAGE, TestRuntime } from "../support/test_runtime.ts";

rootTest("every route answers on a real root, by its schema", async () => {
  await using test = await TestRuntime.withImage();
  const router = new Router({ runtime: test.runtime, checkAnswers: true });
  const called = new Set<string>();
  const call = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const archive = body instanceof Uint8Array;
    const init = body === undefined ? {} : {
      body: archive ? body as Uint8Array<ArrayBuffer> : JSON.stringify(body),
      headers: { "content-type": archive ? "application/x-tar" : "application/json" },
    };
    const response = await router.fetch(new Request(`http://lamina${path}`, { method, ...init }));
    assert(response.status < 300, `${method} ${path}: ${response.status} ${response.ok ? "" : await response.text()}`);
    called.add(`${method} ${path.replace(/\?.*/, "")}`);
    return response;
  };
  const json = async (method: string, path: string, body?: unknown) => {
    const response = await call(method, path, body);
    return response.status === 204 ? undefined : await response.json();
  };
  const bytes = async (method: string, path: string) => (await call(method, path)).bytes();

  const image = encodeURIComponent(SMALL_IMAGE);
  const archive = await bytes("GET", `/v1/images/${image}/export`);
  assert(archive.length > 1024);
  const imported = await json("POST", "/v1/images/import?reference=again:1", archive);
  assertEquals(imported.images[0].references, ["again:1"]);
  await json("GET", "/v1/images");
  await json("GET", `/v1/images/${image}`);
  await json("POST", `/v1/images/${image}/tag`, { reference: "team/small:2" });
  await json("POST", "/v1/volumes", { name: "data" });
  await json("GET", "/v1/volumes");
  await json("GET", "/v1/volumes/data");
  await copiesOfVolumes(json, bytes);
  const mounts = [{ type: "volume", source: "data", target: "/data" }, { type: "tmpfs", target: "/run" }];
  const created = await json("POST", "/v1/containers", { image: "team/small:2", name: "shop", mounts });
  const { rootfs } = await json("POST", "/v1/containers/shop/mount");
  assertEquals(rootfs, created.rootfs);
  await Deno.writeTextFile(`${rootfs}/etc/new`, "new\n");
  await json("GET", "/v1/containers");
  assertEquals((await json("GET", "/v1/containers/shop?size=true")).size.rw_inodes > 0, true);
  assert((await json("GET", "/v1/containers/shop/diff")).some((c: { path: string }) => c.path === "/etc/new"));
  assertEquals((await json("GET", "/v1/containers/shop/stat?path=/etc/new")).size_bytes, 4);
  const tar = await bytes("GET", "/v1/containers/shop/archive?path=/etc/new&as=copy");
  await json("PUT", "/v1/containers/shop/archive?path=/etc", tar);
  assertEquals(await Deno.readTextFile(`${rootfs}/etc/copy`), "new\n");
  await bytes("GET", "/v1/containers/shop/export");
  await json("POST", "/v1/containers/shop/commit", { reference: "shop:1", changes: ['CMD ["sh"]'] });
  await json("POST", "/v1/containers/shop/unmount", { lazy: false });
  await json("POST", "/v1/containers/shop/rename", { name: "store" });
  assertEquals((await json("POST", "/v1/containers/store/rename", { name: "shop" })).name, "shop");
  await json("POST", "/v1/containers", { image: "team/small:2", name: "idle", labels: { old: "yes" } });
  assertEquals((await json("POST", "/v1/containers/prune", { label: ["old=yes"] })).deleted.length, 1);
  // The scratch file system has no quotas: that is the answer, in the shape of an error.
  const update = {
    method: "POST",
    body: JSON.stringify({ storage_options: { size: "64m" } }),
    headers: { "content-type": "application/json" },
  };
  const refusal = await router.fetch(new Request("http://lamina/v1/containers/shop/update", update));
  assertEquals((await refusal.json()).code, "UNSUPPORTED");
  called.add("POST /v1/containers/shop/update");
  for (const path of ["/v1/info", "/v1/version", "/healthz", "/v1/df", "/v1/doctor", "/v1/openapi.json"]) {
    await json("GET", path);
  }
  await bytes("GET", "/v1/docs");
  for (const name of ["a", "b", "both"]) await Deno.mkdir(join(test.scratch.path, name));
  const [a, b, target] = ["a", "b", "both"].map((name) => join(test.scratch.path, name));
  const union = { branches: [{ directory: a, access: "ro" }, { directory: b, access: "rw" }], target };
  const { id } = await json("POST", "/v1/unions", union);
  assertEquals((await json("GET", "/v1/unions")).length, 1);
  await json("DELETE", `/v1/unions/${id}`);
  await objectsOfEachKind(json);
  for (const path of ["/v1/object-events", "/v1/capacity", "/v1/operations", "/v1/volumes-in-use"]) {
    await json("GET", path);
  }
  await bytes("GET", "/v1/metrics");
  assertEquals((await json("POST", "/v1/migrate", { to: "vfs" })).containers, 1);
  assertEquals(await json("DELETE", "/v1/migrate"), { abandoned: false });
  await json("POST", "/v1/check", { deep: true });
  await json("POST", "/v1/gc");
  const events = await call("GET", "/v1/events?since=0");
  const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader();
  assert(JSON.parse((await reader.read()).value!.split("\n")[0]!).sequence > 0);
  await reader.cancel();
  await json("DELETE", "/v1/containers/shop?volumes=true");
  await json("DELETE", "/v1/volumes/data");
  await json("POST", "/v1/volumes/prune", { all: true });
  await json("DELETE", "/v1/images/again:1");
  await json("POST", "/v1/images/prune", { all: true });
  assertEquals(await json("GET", "/v1/images"), []);

  const pattern = (path: string) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`);
  const missed = ROUTES.filter(({ method, path }) =>
    ![...called].some((line) => line.startsWith(`${method} `) && pattern(path).test(line.slice(method.length + 1)))
  );
  assertEquals(missed.map(({ id }) => id), [], "every route was called");
  assertEquals(router.active, 0);
});

/** Backups, snapshots, clones, other names and sizes. */
async function copiesOfVolumes(
  json: (method: string, path: string, body?: unknown) => Promise<{ size?: string; options?: { size?: string } }>,
  bytes: (method: string, path: string) => Promise<Uint8Array>,
): Promise<void> {
  await json("PUT", "/v1/volumes/brought/backup", await bytes("GET", "/v1/volumes/data/backup?compression=zstd"));
  await json("POST", "/v1/volumes/brought/snapshots", { name: "monday", copy: true });
  await json("GET", "/v1/volumes/brought/snapshots");
  await json("POST", "/v1/volumes/brought/clone", { name: "twin", snapshot: "monday", copy: true });
  await json("DELETE", "/v1/volumes/brought/snapshots/monday");
  await json("POST", "/v1/volumes/twin/rename", { name: "other" });
  await json("POST", "/v1/volumes", { name: "sized", options: { size: "16m" } });
  const { options } = await json("POST", "/v1/volumes/sized/resize", { size_bytes: 32 << 20 });
  assertEquals(options?.size, String(32 << 20));
  await json("GET", "/v1/volumes/sized?size=true");
}

/** Applies, reads and deletes one of each. */
async function objectsOfEachKind(json: (method: string, path: string, body?: unknown) => Promise<unknown>) {
  const claim = {
    accessModes: ["ReadWriteOnce"],
    resources: { requests: { storage: "1Mi" } },
    storageClassName: "none",
  };
  const bodies: Record<string, Record<string, unknown>> = {
    StorageClass: { provisioner: "kubernetes.io/no-provisioner" },
    PersistentVolume: {
      spec: { capacity: { storage: "1Mi" }, accessModes: ["ReadWriteOnce"], local: { path: "/nowhere" } },
    },
    ConfigMap: { data: { key: "value" } },
    Secret: { stringData: { key: "value" } },
    VolumeSnapshot: { spec: { source: { persistentVolumeClaimName: "absent" } } },
    PersistentVolumeClaim: { spec: claim },
    Pod: { spec: { containers: [{ name: "c", image: SMALL_IMAGE }], volumes: [{ name: "v", emptyDir: {} }] } },
  };
  for (const { kind, apiVersion, plural, namespaced } of KUBE_KINDS) {
    const one = namespaced ? `/v1/${plural}/default/one` : `/v1/${plural}/one`;
    await json("PUT", one, { apiVersion, kind, metadata: { name: "one" }, ...bodies[kind] });
    await json("GET", one);
    await json("GET", `/v1/${plural}`);
    if (namespaced) await json("GET", `/v1/${plural}/default`);
    await json("DELETE", one);
  }
}
