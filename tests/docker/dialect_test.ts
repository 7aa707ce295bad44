import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DockerRouter } from "../../runtime/api/docker/router.ts";
import { DOCKER_ROUTES } from "../../runtime/api/docker/route_table.ts";
import { Gate } from "../../runtime/api/gate.ts";
import { Router } from "../../runtime/api/router.ts";
import { rootTest } from "../support/scratch.ts";
import { SMALL_IMAGE, TestRuntime } from "../support/test_runtime.ts";

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

/** The dialect on a runtime, without a socket. */
function dialect(test: TestRuntime, gate?: Gate) {
  const router = new Router({ runtime: test.runtime, gate });
  const docker = new DockerRouter({ runtime: test.runtime, router });
  const call = async (method: string, path: string, body?: unknown, headers: HeadersInit = {}): Promise<Answer> => {
    const raw = typeof body === "string" || body instanceof Uint8Array || body === undefined ||
      body instanceof ReadableStream;
    const request = new Request(`http://docker${path}`, {
      method,
      headers: raw ? headers : { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: raw ? body as BodyInit : JSON.stringify(body) }),
    });
    const response = await docker.fetch(request);
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      body: response.headers.get("content-type")?.includes("json") && text !== "" ? JSON.parse(text) : text,
    };
  };
  return { call, router };
}

rootTest("every answer tells the version; /_ping has no version and takes HEAD", async () => {
  await using test = await TestRuntime.open();
  const { call } = dialect(test);
  for (
    const [method, path] of [["GET", "/_ping"], ["HEAD", "/_ping"], ["GET", "/v1.24/_ping"], ["GET", "/v1.41/nope"]]
  ) {
    const { headers } = await call(method!, path!);
    assertEquals([headers.get("api-version"), headers.get("ostype")], ["1.47", "linux"]);
    assertMatch(headers.get("server")!, /^Lamina\//);
  }
  assertEquals((await call("GET", "/_ping")).body, "OK");
  assertEquals((await call("HEAD", "/_ping")).body, "");
});

rootTest("paths, versions and methods that do not exist are refused in Docker's shape", async () => {
  await using test = await TestRuntime.open();
  const { call } = dialect(test);
  const cases: [string, string, number, string][] = [
    ["GET", "/v1.41/nope", 404, "page not found"],
    ["PUT", "/v1.41/volumes", 404, "page not found"],
    ["GET", "/v1.48/info", 400, "client version 1.48 is too new"],
    ["GET", "/v1.12/info", 400, "client version 1.12 is too old"],
    ["GET", "/v1.41/volumes/%zz", 400, "percent-encoding"],
    ["GET", "/containers/nobody/json", 404, "No such container: nobody"],
    ["GET", "/containers/%2Fnobody/json", 404, "No such container: nobody"],
    ["GET", "/images/none%3A1/json", 404, "No such image: none:1"],
    ["GET", "/images/team/none/json", 404, "No such image: team/none:latest"],
    ["GET", "/images/Bad/json", 400, "invalid reference format"],
    ["GET", "/volumes/none", 404, "get none: no such volume"],
    ["DELETE", "/volumes/none", 404, "no such volume"],
    ["DELETE", "/containers/nobody", 404, "No such container: nobody"],
    ["DELETE", "/images/none", 404, "No such image"],
    ["POST", "/containers/nobody/start", 404, "No such container"],
    ["POST", "/containers/nobody/rename?name=x", 404, "No such container"],
    ["GET", "/containers/nobody/archive?path=/", 404, "No such container"],
    ["GET", "/networks/x", 404, "network x not found"],
    ["POST", "/auth", 501, "talks to no registry"],
    ["POST", "/images/create?fromImage=web", 501, "downloads nothing"],
    ["POST", "/images/create?fromSrc=http://x/y.tar", 501, "downloads nothing"],
    ["GET", "/distribution/web/json", 501, "downloads nothing"],
    ["POST", "/build", 501, "does not build"],
    ["POST", "/exec/abc/start", 501, "does not run processes"],
  ];
  for (const [method, path, status, words] of cases) {
    const answer = await call(method, path);
    assertEquals(
      [answer.status, Object.keys(answer.body)],
      [status, ["message"]],
      `${method} ${path}: ${JSON.stringify(answer.body)}`,
    );
    assertStringIncludes(answer.body.message, words);
  }
});

rootTest("bodies and queries that are wrong are refused with their place, and change nothing", async () => {
  await using test = await TestRuntime.withImage();
  const { call } = dialect(test);
  const create = "/v1.41/containers/create";
  const cases: [string, string, unknown, number, string][] = [
    ["POST", create, "{not json", 400, "not JSON"],
    ["POST", create, { Image: 7 }, 400, "body.Image"],
    ["POST", create, {}, 400, "body.Image"],
    ["POST", create, { Image: SMALL_IMAGE, HostConfig: { Binds: "x" } }, 400, "body.HostConfig.Binds"],
    ["POST", create, { Image: SMALL_IMAGE, HostConfig: { Binds: ["a:b:c", 7] } }, 400, "body.HostConfig.Binds[1]"],
    [
      "POST",
      create,
      { Image: SMALL_IMAGE, HostConfig: { Mounts: [{ Type: "bind" }] } },
      400,
      "body.HostConfig.Mounts[0]",
    ],
    [
      "POST",
      create,
      {
        Image: SMALL_IMAGE,
        HostConfig: { Mounts: [{ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: "big" } }] },
      },
      400,
      "SizeBytes",
    ],
    [
      "POST",
      create,
      {
        Image: SMALL_IMAGE,
        HostConfig: { Mounts: [{ Type: "bind", Source: "/", Target: "/t", BindOptions: { Propagation: "odd" } }] },
      },
      400,
      "propagation",
    ],
    ["POST", create, { Image: SMALL_IMAGE, Labels: { a: 1 } }, 400, "body.Labels.a"],
    ["POST", create, { Image: SMALL_IMAGE, HostConfig: { ReadonlyRootfs: "yes" } }, 400, "ReadonlyRootfs"],
    ["POST", create, [], 400, "body"],
    ["POST", `${create}?name=${"n".repeat(5000)}`, { Image: SMALL_IMAGE }, 400, "query.name"],
    ["POST", `${create}?name=../x`, { Image: SMALL_IMAGE }, 400, "name"],
    ["POST", create, { Image: SMALL_IMAGE, HostConfig: { StorageOpt: { color: "red" } } }, 400, "color"],
    ["POST", create, { Image: SMALL_IMAGE, HostConfig: { VolumesFrom: ["nobody"] } }, 400, "nobody"],
    ["POST", "/volumes/create", { Name: "a/b" }, 400, "volume name"],
    ["POST", "/volumes/create", { Name: "x".repeat(10_000) }, 400, "name"],
    ["POST", "/volumes/create", { Name: "a\0b" }, 400, "name"],
    ["POST", "/volumes/create", { Name: ["a"] }, 400, "body.Name"],
    ["POST", "/volumes/create", { Name: "vol", DriverOpts: { a: 1 } }, 400, "body.DriverOpts.a"],
    ["POST", "/volumes/create", "null", 400, "body"],
    ["GET", "/volumes?filters={", undefined, 400, "not JSON"],
    ["GET", '/volumes?filters={"label":7}', undefined, 400, "query.filters.label"],
    ["GET", '/images/json?filters={"odd":["x"]}', undefined, 400, "odd"],
    ["GET", "/containers/json?limit=many", undefined, 400, "query.limit"],
    ["GET", "/events?since=yesterday", undefined, 400, "query.since"],
    ["POST", "/commit", undefined, 400, "query.container"],
    ["POST", `/images/${SMALL_IMAGE}/tag`, undefined, 400, "query.repo"],
    ["POST", `/images/${SMALL_IMAGE}/tag?repo=Bad`, undefined, 400, "invalid reference format"],
    ["GET", "/images/get", undefined, 400, "query.names"],
  ];
  for (const [method, path, body, status, words] of cases) {
    const answer = await call(
      method,
      path,
      body,
      typeof body === "string" ? { "content-type": "application/json" } : {},
    );
    assertEquals(
      [answer.status, Object.keys(answer.body)],
      [status, ["message"]],
      `${method} ${path}: ${JSON.stringify(answer.body)}`,
    );
    assertStringIncludes(answer.body.message, words);
  }
  const text = await call("POST", "/volumes/create", '{"Name":"vol"}', { "content-type": "text/plain" });
  assertEquals(text.status, 400);
  assertStringIncludes(text.body.message, "application/json");
  const huge = await call("POST", "/volumes/create", { Name: "vol", Labels: { a: "x".repeat(2 << 20) } });
  assertEquals(huge.status, 413);
  assertEquals([(await call("GET", "/volumes")).body.Volumes, (await call("GET", "/containers/json?all=1")).body], [
    [],
    [],
  ]);
});

rootTest("unknown fields and parameters are ignored, and nulls are nothing", async () => {
  await using test = await TestRuntime.withImage();
  const { call } = dialect(test);
  const { status, body } = await call("POST", "/v1.30/containers/create?name=c&shiny=1", {
    Image: SMALL_IMAGE,
    Cmd: "one-word",
    Env: null,
    Labels: null,
    Volumes: null,
    FutureField: { deep: [1] },
    HostConfig: { Binds: null, Mounts: null, Tmpfs: null, VolumesFrom: null, StorageOpt: null, FutureField: 1 },
    NetworkingConfig: { EndpointsConfig: {} },
  });
  assertEquals([status, body.Warnings], [201, []]);
  const shown = (await call("GET", `/containers/${body.Id}/json`)).body;
  assertEquals([shown.Config.Cmd, shown.HostConfig.FutureField], [["one-word"], 1]);
});

rootTest("names that are taken and things in use are 409", async () => {
  await using test = await TestRuntime.withImage();
  const { call } = dialect(test);
  const container = { Image: SMALL_IMAGE, HostConfig: { Binds: ["vol:/v"] } };
  assertEquals((await call("POST", "/containers/create?name=/c", container)).status, 201);
  assertEquals((await call("POST", "/containers/create?name=c", container)).status, 409);
  assertEquals((await call("DELETE", "/volumes/vol")).status, 409);
  assertEquals((await call("DELETE", "/volumes/vol?force=1")).status, 409);
  assertEquals((await call("DELETE", `/images/${SMALL_IMAGE}`)).status, 409);
  assertEquals((await call("POST", "/volumes/create", { Name: "vol", DriverOpts: { size: "1m" } })).status, 409);
  assertEquals((await call("POST", "/volumes/create", { Name: "vol" })).status, 201);
  assertEquals((await call("DELETE", "/containers/c")).status, 204);
  assertEquals((await call("DELETE", "/volumes/vol")).status, 204);
  assertEquals((await call("DELETE", "/volumes/vol?force=true")).status, 204);
});

rootTest("clients up to 1.42 see images without a name in the old form", async () => {
  await using test = await TestRuntime.withImage();
  const { call } = dialect(test);
  const { id } = test.runtime.images.inspect(SMALL_IMAGE);
  // A container keeps the image when its name goes.
  await test.create();
  await call("DELETE", `/images/${SMALL_IMAGE}?force=1`);
  const old = (await call("GET", "/v1.41/images/json")).body[0];
  const now = (await call("GET", "/v1.47/images/json")).body[0];
  assertEquals([old.Id, old.RepoTags, old.RepoDigests], [id, ["<none>:<none>"], ["<none>@<none>"]]);
  assertEquals([now.RepoTags, now.RepoDigests, "VirtualSize" in now, "VirtualSize" in old], [[], [], false, true]);
});

rootTest("the path of an archive is described in a header and resolved inside the root", async () => {
  await using test = await TestRuntime.withImage();
  await test.importImage("links:1", [{ "etc/motd": "hello\n", "up": "-> ../../../etc", "loop": "-> loop" }]);
  const { call } = dialect(test);
  await call("POST", "/containers/create?name=c", { Image: "links:1" });
  const stat = async (path: string) => {
    const { status, headers } = await call("HEAD", `/containers/c/archive?path=${encodeURIComponent(path)}`);
    const header = headers.get("x-docker-container-path-stat");
    return header === null ? status : JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(header)));
  };
  assertEquals((await stat("/etc/motd")).size, 6);
  assertEquals((await stat("etc/motd")).name, "motd");
  assertEquals((await stat("/etc/")).name, "etc");
  assertEquals((await stat("/../../etc/.")).name, ".");
  assertEquals((await stat("/up")).linkTarget, "/../../../etc");
  assertEquals((await stat("/up/motd")).size, 6);
  assertEquals(await stat("/nope"), 404);
  assert([400, 404, 409].includes(await stat("/loop/x")));
  for (const [path, status] of [["/etc/motd", 400], ["/nope", 404], ["", 400]] as const) {
    const answer = await call("PUT", `/containers/c/archive?path=${path}`, new Uint8Array(1024));
    assertEquals(answer.status, status, path);
  }
  assertEquals((await call("PUT", "/containers/c/archive?path=/etc", new Uint8Array(1024))).status, 200);
});

rootTest("calls of the dialect stand in the native API's lanes and end with its stop", async () => {
  await using test = await TestRuntime.open();
  const limit = { running: 1, waiting: 0 };
  const { call, router } = dialect(test, new Gate({ quick: limit, long: limit, watch: { running: 1, waiting: 0 } }));
  const events = call("GET", "/events");
  while (router.active === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals((await call("GET", "/events")).status, 503);
  router.stopWatchers();
  assertEquals((await events).status, 200);
  await router.idle();
  assertEquals((await call("GET", "/volumes")).status, 503);
});

Deno.test("each row of the table can be reached", () => {
  const seen = new Set<string>();
  for (const { methods, path } of DOCKER_ROUTES) {
    for (const method of methods.split(" ")) {
      const shape = `${method} ${path.replace(/\{\w+(\.\.\.)?\}/g, "{}")}`;
      assert(!seen.has(shape), `${shape} is in the table twice`);
      seen.add(shape);
    }
  }
  assert(seen.size > 60);
});
