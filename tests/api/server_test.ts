import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { createLogger } from "../../runtime/api/log.ts";
import { type ApiServer, listenUnix, serveUnix } from "../../runtime/api/server.ts";
import { prepareSocketPath } from "../../runtime/api/socket_path.ts";
import { type FakeRuntime, fakeRuntime } from "./support/fake_runtime.ts";

interface Fixture extends AsyncDisposable {
  readonly directory: string;
  readonly socketPath: string;
  readonly runtime: FakeRuntime;
  readonly server: ApiServer;
  readonly log: string[];
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

async function served(options: { grace_ms?: number; runtime?: FakeRuntime } = {}): Promise<Fixture> {
  const directory = await Deno.makeTempDir({ prefix: "lamina-api-" });
  const socketPath = `${directory}/run/lamina.sock`;
  const runtime = options.runtime ?? fakeRuntime();
  const log: string[] = [];
  const server = await serveUnix({
    socketPath,
    runtime,
    grace_ms: options.grace_ms,
    log: createLogger({ format: "json", write: (line) => log.push(line) }),
  });
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socketPath } });
  return {
    directory,
    socketPath,
    runtime,
    server,
    log,
    fetch: (path, init) => fetch(`http://lamina${path}`, { ...init, client } as RequestInit),
    async [Symbol.asyncDispose]() {
      client.close();
      await server.stop();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

/** Waits until something is so, at most two seconds. */
async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !what(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
  assert(what(), "did not come true in two seconds");
}

Deno.test("the server makes a socket of mode 0600 in a directory of mode 0700 and answers on it", async () => {
  await using it = await served();
  assertEquals((await Deno.stat(it.socketPath)).mode! & 0o7777, 0o600);
  assertEquals((await Deno.stat(`${it.directory}/run`)).mode! & 0o7777, 0o700);
  const response = await it.fetch("/v1/images/team%2Fweb:1", { headers: { "accept-encoding": "gzip" } });
  assertEquals([response.status, response.headers.get("content-encoding")], [200, null]);
  assertEquals((await response.json()).references, ["team/web:1"]);
});

Deno.test("the server removes its socket when it stops", async () => {
  const it = await served();
  await it.server.stop();
  assertEquals(await exists(it.socketPath), false);
  await it[Symbol.asyncDispose]();
});

Deno.test("a client that goes away aborts its call", async () => {
  const runtime = fakeRuntime();
  let signal: AbortSignal | undefined;
  runtime.images.import = (_source, _options, operation) =>
    new Promise((_, reject) => {
      signal = operation.signal;
      operation.signal.addEventListener("abort", () => reject(operation.signal.reason));
    });
  await using it = await served({ runtime });
  const gone = new AbortController();
  const answer = it.fetch("/v1/images/import?path=/x", { method: "POST", signal: gone.signal });
  await until(() => signal !== undefined);
  gone.abort();
  await assertRejects(() => answer);
  await until(() => signal!.aborted && it.server.router.active === 0);
});

Deno.test("an export that fails midway breaks the connection", async () => {
  const runtime = fakeRuntime();
  runtime.images.export = () => {
    let sent = 0;
    return Promise.resolve(
      new ReadableStream({
        async pull(controller) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          if (sent++ < 3) controller.enqueue(new Uint8Array(70_000));
          else controller.error(new LaminaError("DATA_LOSS", "a file is damaged"));
        },
      }),
    );
  };
  await using it = await served({ runtime });
  const response = await it.fetch("/v1/images/a/export");
  assertEquals(response.status, 200);
  await assertRejects(() => response.bytes());
  assertStringIncludes(it.log.join("\n"), "a file is damaged");
});

Deno.test("a POST that says nothing of a body has none", async () => {
  await using it = await served();
  using connection = await Deno.connect({ transport: "unix", path: it.socketPath });
  const request = "POST /v1/images/import?path=/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
  await connection.write(new TextEncoder().encode(request));
  const answer = await new Response(connection.readable).text();
  assertEquals(answer.split("\r\n")[0], "HTTP/1.1 200 OK", answer);
});

Deno.test("the headers of an event stream come before the first event", async () => {
  const runtime = fakeRuntime();
  // deno-lint-ignore require-yield
  runtime.system.events = async function* (_options, signal) {
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
  };
  await using it = await served({ runtime });
  const response = await it.fetch("/v1/events", { signal: AbortSignal.timeout(5000) });
  assertEquals(response.headers.get("content-type"), "application/x-ndjson");
  await it.server.stop();
  assertEquals(await response.text(), "");
});

Deno.test("a stop lets running calls finish, refuses new ones and ends watchers", async () => {
  const runtime = fakeRuntime();
  const release = Promise.withResolvers<void>();
  runtime.containers.unmount = () => release.promise;
  await using it = await served({ runtime });
  const events = await it.fetch("/v1/events");
  const running = it.fetch("/v1/containers/a/unmount", { method: "POST" });
  await until(() => it.server.router.active === 2);
  const stopped = it.server.stop();
  assertStringIncludes(await events.text(), '"ready"');
  await assertRejects(() => it.fetch("/v1/info"), Error);
  release.resolve();
  assertEquals((await running).status, 204);
  await stopped;
});

Deno.test("a stop aborts what runs longer than the grace, and waits for its roll-back", async () => {
  const runtime = fakeRuntime();
  let rolledBack = false;
  runtime.containers.mount = (_name, { signal }) =>
    new Promise((_, reject) =>
      signal.addEventListener("abort", () =>
        setTimeout(() => {
          rolledBack = true;
          reject(signal.reason);
        }, 50))
    );
  await using it = await served({ runtime, grace_ms: 20 });
  const running = it.fetch("/v1/containers/a/mount", { method: "POST" });
  await until(() => it.server.router.active === 1);
  await it.server.stop();
  assertEquals(rolledBack, true);
  const response = await running;
  assertEquals([response.status, (await response.json()).code], [503, "UNAVAILABLE"]);
});

Deno.test("garbage instead of HTTP, half a request and a huge request line leave the server well", async () => {
  await using it = await served();
  for (const text of ["\0\xff\x01garbage\r\n\r\n", `GET /${"a".repeat(200_000)} HTTP/1.1\r\n\r\n`]) {
    using connection = await Deno.connect({ transport: "unix", path: it.socketPath });
    await connection.write(new TextEncoder().encode(text)).catch(() => 0);
    const answer = new Uint8Array(100);
    const size = await connection.read(answer).catch(() => 0) ?? 0;
    assert(!new TextDecoder().decode(answer.subarray(0, size)).includes("200 OK"));
  }
  const half = await Deno.connect({ transport: "unix", path: it.socketPath });
  await half.write(new TextEncoder().encode("POST /v1/volumes HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"));
  half.close();
  assertEquals((await (await it.fetch("/healthz")).json()).status, "ok");
});

Deno.test("a socket path is refused, and what is there stays, when it", async (t) => {
  const directory = await Deno.makeTempDir({ prefix: "lamina-sock-" });
  const refused = async (name: string, path: string, code: string, message: string) => {
    await t.step(name, async () => {
      const error = await assertRejects(() => prepareSocketPath(path), LaminaError);
      assertEquals(error.code, code);
      assertStringIncludes(error.message, message);
    });
  };
  try {
    await refused("is relative", "lamina.sock", "INVALID_ARGUMENT", "absolute");
    await refused("is too long", `${directory}/${"x".repeat(108)}`, "INVALID_ARGUMENT", "107");
    await Deno.writeTextFile(`${directory}/file`, "precious");
    await refused("is a file", `${directory}/file`, "ALREADY_EXISTS", "no socket");
    assertEquals(await Deno.readTextFile(`${directory}/file`), "precious");
    await Deno.mkdir(`${directory}/dir`);
    await refused("is a directory", `${directory}/dir`, "ALREADY_EXISTS", "no socket");
    await refused("lies below a file", `${directory}/file/x.sock`, "ALREADY_EXISTS", "no directory");
    await Deno.mkdir(`${directory}/open`);
    await Deno.chmod(`${directory}/open`, 0o777);
    await refused("lies where others can write", `${directory}/open/x.sock`, "PERMISSION_DENIED", "chmod go-w");
    const live = await listenUnix(`${directory}/live.sock`, () => new Response("ok"));
    await refused("is in use", `${directory}/live.sock`, "CONFLICT", "live.sock");
    await live.shutdown();
    await Deno.symlink(`${directory}/file`, `${directory}/link`);
    await refused("is a link to a file", `${directory}/link`, "ALREADY_EXISTS", "no socket");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a socket that a killed daemon left is replaced", async () => {
  const directory = await Deno.makeTempDir({ prefix: "lamina-sock-" });
  const path = `${directory}/x.sock`;
  try {
    const script = `Deno.listen({ transport: "unix", path: "${path}" }); Deno.kill(Deno.pid, "SIGKILL");`;
    await new Deno.Command(Deno.execPath(), { args: ["eval", script] }).output();
    assertEquals(await exists(path), true);
    const listener = await listenUnix(path, () => new Response("ok"));
    await listener.shutdown();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a directory with the sticky bit is taken with a warning", async () => {
  const directory = await Deno.makeTempDir({ prefix: "lamina-sock-" });
  try {
    await Deno.chmod(directory, 0o1777);
    assertStringIncludes((await prepareSocketPath(`${directory}/x.sock`)).join(), "others can write");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
