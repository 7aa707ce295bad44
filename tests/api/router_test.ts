import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ERROR_CODES, LaminaError } from "../../runtime/core/errors.ts";
import { HTTP_STATUS } from "../../runtime/api/errors.ts";
import { Gate } from "../../runtime/api/gate.ts";
import { Router } from "../../runtime/api/router.ts";
import { bytes, type FakeRuntime, fakeRuntime } from "./support/fake_runtime.ts";

interface Answered {
  readonly status: number;
  readonly headers: Headers;
  // deno-lint-ignore no-explicit-any
  readonly json: any;
}

async function call(
  path: string,
  init: RequestInit & { runtime?: FakeRuntime } = {},
): Promise<Answered & { runtime: FakeRuntime }> {
  const runtime = init.runtime ?? fakeRuntime();
  const router = new Router({ runtime, checkAnswers: true });
  const response = await router.fetch(new Request(`http://lamina${path}`, init));
  const text = await response.text();
  assertEquals(router.active, 0, "every place is given back");
  return { status: response.status, headers: response.headers, json: text === "" ? null : tryJson(text), runtime };
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function json(body: unknown, method = "POST"): RequestInit {
  return { method, body: JSON.stringify(body), headers: { "content-type": "application/json" } };
}

const tar = { "content-type": "application/x-tar" };

Deno.test("the router answers each verb with what the service returned", async (t) => {
  const cases: Array<[string, string, RequestInit, number, string]> = [
    ["images.list", "/v1/images", {}, 200, "GET"],
    ["images.inspect", "/v1/images/team%2Fweb:1", {}, 200, "GET"],
    ["images.remove", "/v1/images/team%2Fweb:1?force=true", {}, 200, "DELETE"],
    ["images.tag", "/v1/images/web/tag", json({ reference: "b:2" }), 204, "POST"],
    ["images.prune", "/v1/images/prune", {}, 200, "POST"],
    ["images.import", "/v1/images/import?path=/x.tar", {}, 200, "POST"],
    ["images.import", "/v1/images/import", { body: "tar", headers: tar }, 200, "POST"],
    ["images.export", "/v1/images/web/export?format=docker&also=b&also=c", {}, 200, "GET"],
    ["containers.create", "/v1/containers", json({ image: "a" }), 201, "POST"],
    ["containers.list", "/v1/containers", {}, 200, "GET"],
    ["containers.inspect", "/v1/containers/shop?size=true", {}, 200, "GET"],
    ["containers.remove", "/v1/containers/shop?force=1&volumes=0", {}, 200, "DELETE"],
    ["containers.mount", "/v1/containers/shop/mount", {}, 200, "POST"],
    ["containers.unmount", "/v1/containers/shop/unmount", json({ lazy: true }), 204, "POST"],
    ["containers.update", "/v1/containers/shop/update", json({ storage_options: { size: "20g" } }), 200, "POST"],
    ["containers.diff", "/v1/containers/shop/diff", {}, 200, "GET"],
    ["containers.commit", "/v1/containers/shop/commit", json({ reference: "new:1" }), 201, "POST"],
    ["containers.export", "/v1/containers/shop/export", {}, 200, "GET"],
    ["containers.statPath", "/v1/containers/shop/stat?path=/etc/motd", {}, 200, "GET"],
    ["containers.copyOut", "/v1/containers/shop/archive?path=/etc&as=.", {}, 200, "GET"],
    ["containers.copyIn", "/v1/containers/shop/archive?path=/etc", { body: "tar", headers: tar }, 204, "PUT"],
    ["volumes.create", "/v1/volumes", json({ name: "data" }), 201, "POST"],
    ["volumes.listWithPlugins", "/v1/volumes", {}, 200, "GET"],
    ["volumes.inspectWithPlugins", "/v1/volumes/data", {}, 200, "GET"],
    ["volumes.remove", "/v1/volumes/data", {}, 200, "DELETE"],
    ["volumes.prune", "/v1/volumes/prune", json({ all: true }), 200, "POST"],
    ["system.info", "/v1/info", {}, 200, "GET"],
    ["system.diskUsage", "/v1/df", {}, 200, "GET"],
    ["system.check", "/v1/check", json({ repair: true }), 200, "POST"],
    ["system.collectGarbage", "/v1/gc", {}, 200, "POST"],
    ["system.doctor", "/v1/doctor", {}, 200, "GET"],
  ];
  for (const [verb, path, init, status, method] of cases) {
    await t.step(`${method} ${path}`, async () => {
      const answered = await call(path, { ...init, method });
      assertEquals(answered.status, status, JSON.stringify(answered.json));
      assertEquals(answered.runtime.calls.map((c) => c.verb), [verb]);
    });
  }
});

Deno.test("the router passes names percent-decoded and options parsed", async () => {
  const { runtime } = await call("/v1/images/reg.example:5000%2Fteam%2Fweb:1/export?format=docker&also=b&also=c%2Fd");
  assertEquals(runtime.calls[0]!.args.slice(0, 2), [
    ["reg.example:5000/team/web:1", "b", "c/d"],
    { format: "docker", compression: "none" },
  ]);
});

Deno.test("the router refuses what the route table does not know, and says what it does", async (t) => {
  const cases: Array<[string, string, RequestInit, number, string]> = [
    ["an unknown path", "/v2/images", {}, 404, "/v1/docs"],
    ["a known path with another method", "/v1/images", { method: "PATCH" }, 405, "GET"],
    ["the parent of a name", "/v1/containers/..", { method: "DELETE" }, 404, "No route"],
    ["an empty name", "/v1/containers//mount", { method: "POST" }, 404, "No route"],
    ["broken percent-encoding", "/v1/images/%E0%A4%A", {}, 400, "percent"],
    ["an unknown query field", "/v1/images/a?colour=red", { method: "DELETE" }, 400, "query.colour"],
    ["an unknown query field of a route without any", "/v1/info?x=1", {}, 400, "query.x"],
    ["a query field twice", "/v1/containers/a?size=1&size=0", {}, 400, "query.size was given 2 times"],
    ["a flag that is none", "/v1/containers/a?size=maybe", {}, 400, "query.size"],
    ["a sequence number that is none", "/v1/events?since=-1", {}, 400, "query.since"],
    ["a missing required query field", "/v1/containers/a/archive", {}, 400, "query.path"],
    ["malformed JSON", "/v1/volumes", { ...json(0), body: "{" }, 400, "not JSON"],
    ["JSON that is no UTF-8", "/v1/volumes", { ...json(0), body: new Uint8Array([0x22, 0xff, 0x22]) }, 400, "UTF-8"],
    ["an unknown body field", "/v1/volumes", json({ size: 1 }), 400, "body.size: is not a known field"],
    [
      "a wrong nested field",
      "/v1/containers",
      json({ image: "a", mounts: [{ type: "tmpfs", target: "/" }] }),
      400,
      "body.mounts[0].target",
    ],
    [
      "an unknown kind of mount",
      "/v1/containers",
      json({ image: "a", mounts: [{ type: "nfs", target: "/a" }] }),
      400,
      "body.mounts[0].type",
    ],
    ["a volume name with a slash", "/v1/volumes", json({ name: "a/b" }), 400, "body.name"],
    ["a missing body field", "/v1/containers", json({}), 400, "body.image"],
    ["a body that is no object", "/v1/volumes", json([1]), 400, "body"],
    [
      "JSON under another content type",
      "/v1/volumes",
      { ...json({}), headers: { "content-type": "text/yaml" } },
      415,
      "application/json",
    ],
    [
      "an archive under another content type",
      "/v1/images/import",
      { method: "POST", body: "x", headers: { "content-type": "text/html" } },
      415,
      "application/x-tar",
    ],
    ["a copy without an archive", "/v1/containers/a/archive?path=/", { method: "PUT" }, 400, "tar archive"],
    ["an import of nothing", "/v1/images/import", { method: "POST" }, 400, "neither"],
    [
      "an import of a path and a body",
      "/v1/images/import?path=/x",
      { method: "POST", body: "x", headers: tar },
      400,
      "both",
    ],
    ["an import of a relative path", "/v1/images/import?path=x", { method: "POST" }, 400, "query.path"],
    ["a name for a copy with a slash", "/v1/containers/a/archive?path=/a&as=b/c", {}, 400, "query.as"],
    ["a huge body", "/v1/volumes", json({ name: "a".repeat(2 ** 20) }), 413, "1048576"],
  ];
  for (const [name, path, init, status, message] of cases) {
    await t.step(name, async () => {
      const answered = await call(path, init);
      assertEquals(answered.status, status, JSON.stringify(answered.json));
      assertStringIncludes(answered.json.message, message);
      assertEquals(Object.keys(answered.json).sort(), ["code", "details", "message"]);
      assert((ERROR_CODES as readonly string[]).includes(answered.json.code));
      assertEquals(answered.runtime.calls, [], "no service was called");
    });
  }
});

Deno.test("the router names the methods that a path has", async () => {
  const { headers } = await call("/v1/containers/shop", { method: "PUT", body: "x" });
  assertEquals(headers.get("allow"), "GET, DELETE");
});

Deno.test("the router maps every error code of a service to its status", async () => {
  for (const code of ERROR_CODES) {
    const runtime = fakeRuntime();
    runtime.images.inspect = () => {
      throw new LaminaError(code, `says ${code}`, { details: { fact: 1 } });
    };
    const { status, json } = await call("/v1/images/a", { runtime });
    assertEquals(status, HTTP_STATUS[code]);
    assertEquals(json, { code, message: `says ${code}`, details: { fact: 1 } });
  }
});

Deno.test("the router answers 500 for a defect, in the closed shape", async () => {
  const runtime = fakeRuntime();
  runtime.volumes.listWithPlugins = () => {
    throw new TypeError("undefined is not a function");
  };
  const { status, json } = await call("/v1/volumes", { runtime });
  assertEquals([status, json.code], [500, "INTERNAL"]);
});

Deno.test("what is said about an answer is in its headers, whatever its characters", async () => {
  const response = await new Router({ runtime: fakeRuntime() }).fetch(new Request("http://lamina/v1/volumes"));
  const said = response.headers.get("lamina-warning")!.split(",").map((text) => decodeURIComponent(text.trim()));
  assertEquals(said, ["a, b: ü"]);
});

Deno.test("an import reports progress as NDJSON and ends with its result", async () => {
  const runtime = fakeRuntime();
  const router = new Router({ runtime, checkAnswers: true });
  const response = await router.fetch(
    new Request("http://lamina/v1/images/import?path=/x", {
      method: "POST",
      headers: { accept: "application/x-ndjson" },
    }),
  );
  assertEquals(response.headers.get("content-type"), "application/x-ndjson");
  const lines = (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines[0], { type: "progress", phase: "unpack", id: "layer", current: 2, total: 2 });
  assertEquals(lines.at(-1).type, "result");
  assertEquals(lines.at(-1).result.images[0].id, "sha256:aa");
  assertEquals(router.active, 0);
});

Deno.test("an import that fails before any progress has a status of its own", async () => {
  const runtime = fakeRuntime();
  runtime.images.import = () => Promise.reject(new LaminaError("NOT_FOUND", "No such archive"));
  const { status, json } = await call("/v1/images/import?path=/x", {
    runtime,
    method: "POST",
    headers: { accept: "application/x-ndjson" },
  });
  assertEquals([status, json.code], [404, "NOT_FOUND"]);
});

Deno.test("an import that fails after progress ends its stream with the error", async () => {
  const runtime = fakeRuntime();
  runtime.images.import = async (_source, _options, { progress }) => {
    progress({ phase: "read", id: "x", current: 1 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    throw new LaminaError("DATA_LOSS", "Layer 2 has another digest", { details: { layer: "x" } });
  };
  const router = new Router({ runtime });
  const response = await router.fetch(
    new Request("http://lamina/v1/images/import?path=/x", {
      method: "POST",
      headers: { accept: "application/x-ndjson" },
    }),
  );
  const lines = (await response.text()).trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(lines.map((line) => line.type), ["progress", "error"]);
  assertEquals(lines[1].error, { code: "DATA_LOSS", message: "Layer 2 has another digest", details: { layer: "x" } });
});

Deno.test("an export that fails at once has a status, one that fails midway breaks its stream", async () => {
  const runtime = fakeRuntime();
  runtime.images.export = () => Promise.resolve(bytes(new LaminaError("DATA_LOSS", "a file is damaged")));
  assertEquals((await call("/v1/images/a/export", { runtime })).status, 422);

  runtime.images.export = () => Promise.resolve(bytes("part", new LaminaError("DATA_LOSS", "a file is damaged")));
  const router = new Router({ runtime });
  const response = await router.fetch(new Request("http://lamina/v1/images/a/export"));
  assertEquals(response.status, 200);
  await assertRejects(() => response.text(), LaminaError, "a file is damaged");
  assertEquals(router.active, 0);
});

Deno.test("a client that stops reading an export aborts the work behind it", async () => {
  const runtime = fakeRuntime();
  let cancelled = false;
  let signal: AbortSignal | undefined;
  runtime.containers.export = (_name, operation) => {
    signal = operation.signal;
    return Promise.resolve(
      new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(10)),
        cancel: () => {
          cancelled = true;
        },
      }),
    );
  };
  const router = new Router({ runtime });
  const response = await router.fetch(new Request("http://lamina/v1/containers/a/export"));
  await response.body!.cancel();
  assertEquals([cancelled, signal?.aborted, router.active], [true, true, 0]);
});

Deno.test("a call that outlives its deadline is aborted and answers 504", async () => {
  const runtime = fakeRuntime();
  runtime.containers.mount = (_name, { signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const router = new Router({ runtime, deadlines_ms: { quick: 20 } });
  const response = await router.fetch(new Request("http://lamina/v1/containers/a/mount", { method: "POST" }));
  assertEquals([response.status, (await response.json()).code], [504, "DEADLINE_EXCEEDED"]);
});

Deno.test("calls beyond the running and waiting bounds are refused with 503, the waiting ones run in turn", async () => {
  const runtime = fakeRuntime();
  const release = Promise.withResolvers<void>();
  runtime.containers.unmount = () => release.promise;
  const gate = new Gate({
    quick: { running: 1, waiting: 1 },
    long: { running: 1, waiting: 0 },
    watch: { running: 1, waiting: 0 },
  });
  const router = new Router({ runtime, gate });
  const unmount = () => router.fetch(new Request("http://lamina/v1/containers/a/unmount", { method: "POST" }));
  const first = unmount();
  const second = unmount();
  const third = await unmount();
  assertEquals([third.status, (await third.json()).code], [503, "UNAVAILABLE"]);
  release.resolve();
  assertEquals([(await first).status, (await second).status], [204, 204]);
  assertEquals(router.active, 0);
});

Deno.test("a waiting call whose client leaves gives up its turn", async () => {
  const gate = new Gate({
    quick: { running: 1, waiting: 9 },
    long: { running: 1, waiting: 0 },
    watch: { running: 1, waiting: 0 },
  });
  const never = new AbortController().signal;
  const leave = await gate.enter("quick", never);
  const gone = new AbortController();
  const waiting = gate.enter("quick", gone.signal);
  const next = gate.enter("quick", never);
  gone.abort(new Error("gone"));
  await assertRejects(() => waiting, Error, "gone");
  leave();
  leave();
  (await next)();
  assertEquals(gate.active, 0);
});

Deno.test("events are one JSON object a line and end when the daemon stops", async () => {
  const router = new Router({ runtime: fakeRuntime() });
  const response = await router.fetch(new Request("http://lamina/v1/events?since=41"));
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  assertEquals(JSON.parse((await reader.read()).value!).sequence, 41);
  router.stopWatchers();
  assertEquals(await reader.read(), { done: true, value: undefined });
  assertEquals(router.active, 0);
  const late = await router.fetch(new Request("http://lamina/v1/info"));
  assertEquals(late.status, 503);
  await late.body?.cancel();
});

Deno.test("an archive that stalls does not keep its call from being aborted", async () => {
  const runtime = fakeRuntime();
  const router = new Router({ runtime });
  const gone = new AbortController();
  const stalled = new ReadableStream({ pull: () => new Promise<void>(() => {}) });
  const answer = router.fetch(
    new Request("http://lamina/v1/images/import", {
      method: "POST",
      headers: tar,
      body: stalled,
      signal: gone.signal,
    }),
  );
  await new Promise((resolve) => setTimeout(resolve, 5));
  gone.abort(new LaminaError("CANCELLED", "enough"));
  const response = await answer;
  assertEquals([response.status, (await response.json()).message], [499, "enough"]);
  assertEquals(router.active, 0);
});
