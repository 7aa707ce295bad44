import { assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { applyConfigChanges } from "../../runtime/image/config_changes.ts";

Deno.test("applyConfigChanges understands the lines of a Dockerfile", () => {
  const cases: [string, Record<string, unknown>][] = [
    ['CMD ["httpd", "-f"]', { Cmd: ["httpd", "-f"] }],
    ["CMD httpd -f", { Cmd: ["/bin/sh", "-c", "httpd -f"] }],
    ['entrypoint ["/init"]', { Entrypoint: ["/init"] }],
    ['ENV A=1 B=\'two words\' C=a\\ b D="x\\"y"', { Env: ["A=1", "B=two words", "C=a b", 'D=x"y'] }],
    ["ENV A the rest of it", { Env: ["A=the rest of it"] }],
    ["ENV EMPTY=", { Env: ["EMPTY="] }],
    ['LABEL a=1 "b c"=2', { Labels: { a: "1", "b c": "2" } }],
    ["USER 1000:1000", { User: "1000:1000" }],
    ["WORKDIR /srv/../app", { WorkingDir: "/app" }],
    ['VOLUME ["/data", "/logs"]', { Volumes: { "/data": {}, "/logs": {} } }],
    ["VOLUME /data /logs", { Volumes: { "/data": {}, "/logs": {} } }],
    ["EXPOSE 80 53/udp 8000-8001", { ExposedPorts: { "80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {} } }],
    ["STOPSIGNAL SIGTERM", { StopSignal: "SIGTERM" }],
  ];
  for (const [line, expected] of cases) assertEquals(applyConfigChanges({}, [line]), expected, line);
});

Deno.test("applyConfigChanges keeps what it does not change and replaces variables in place", () => {
  const config = { Env: ["PATH=/bin", "A=1"], Labels: { old: "1" }, WorkingDir: "/srv", Healthcheck: { Test: ["x"] } };
  const changed = applyConfigChanges(config, ["ENV A=2 B=3", "LABEL new=1", "WORKDIR sub"]);
  assertEquals(changed, {
    Env: ["PATH=/bin", "A=2", "B=3"],
    Labels: { old: "1", new: "1" },
    WorkingDir: "/srv/sub",
    Healthcheck: { Test: ["x"] },
  });
  assertEquals(config.Env, ["PATH=/bin", "A=1"]);
});

Deno.test("applyConfigChanges refuses what it does not know and names the line", () => {
  const bad = [
    "RUN make",
    "",
    "CMD",
    "ENV =1",
    "ENV A",
    "ENV A='open",
    "EXPOSE http",
    "EXPOSE 0",
    "EXPOSE 90-80",
    "EXPOSE 70000",
  ];
  for (const line of bad) {
    assertThrows(() => applyConfigChanges({}, [line]), LaminaError, "Cannot apply the change", line);
  }
});
