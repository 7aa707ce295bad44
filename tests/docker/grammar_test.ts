import { assertEquals, assertThrows } from "@std/assert";
import { splitVersion } from "../../runtime/api/docker/api_version.ts";
import type { ContainerBody } from "../../runtime/api/docker/container_body.ts";
import { mergedConfig } from "../../runtime/api/docker/container_config.ts";
import { globFits, labelsFit, parseFilters, switchOf, untilOf } from "../../runtime/api/docker/filters.ts";
import { isNameOnly, longName, referenceOf, shortName } from "../../runtime/api/docker/image_names.ts";
import { requestedMounts } from "../../runtime/api/docker/mount_requests.ts";
import { baseOf, goFileMode, pathStatHeader } from "../../runtime/api/docker/path_stat.ts";
import type { PathStat } from "../../runtime/core/model/container.ts";

Deno.test("a path's version is taken off, and one that is not spoken is refused in Docker's words", () => {
  const cases: [string, number, string][] = [
    ["/v1.41/volumes", 41, "/volumes"],
    ["/v1.24/_ping", 24, "/_ping"],
    ["/v1.47/images/v1.2/json", 47, "/images/v1.2/json"],
    ["/volumes", 47, "/volumes"],
    ["/v1.x/volumes", 47, "/v1.x/volumes"],
    ["/volumes/v1.99/x", 47, "/volumes/v1.99/x"],
  ];
  for (const [path, version, rest] of cases) assertEquals(splitVersion(path), { version, path: rest });
  for (const path of ["/v1.48/info", "/v2.0/info", "/v2/info", "/v9999.1/info"]) {
    assertThrows(() => splitVersion(path), Error, "is too new. Maximum supported API version is 1.47");
  }
  for (const path of ["/v1.23/info", "/v0.9/info", "/v1/info"]) {
    assertThrows(() => splitVersion(path), Error, "is too old. Minimum supported API version is 1.24");
  }
});

Deno.test("filters are read in both of Docker's forms, and anything else is refused", () => {
  const read = (text: string | undefined) => Object.fromEntries(parseFilters(text, ["label", "name"]));
  assertEquals(read(undefined), {});
  assertEquals(read(""), {});
  assertEquals(read("null"), {});
  assertEquals(read('{"label":["a","b=c"]}'), { label: ["a", "b=c"] });
  assertEquals(read('{"label":{"a":true,"b":false},"name":{}}'), { label: ["a"] });
  const wrong = ["{", "[]", '"label"', "7", '{"label":"a"}', '{"label":[1]}', '{"label":{"a":1}}', '{"label":null}'];
  for (const text of wrong) assertThrows(() => read(text), Error, "invalid filters");
  assertThrows(() => read('{"colour":["red"]}'), Error, 'invalid filter "colour"');
  assertThrows(() => read(JSON.stringify({ label: Array(1001).fill("x") })), Error, "1000");
  // No name of JSON reaches anything but the table of known ones.
  assertThrows(() => read('{"__proto__":["x"]}'), Error, "invalid filter");
});

Deno.test("switches, labels and times of filters", () => {
  const filters = (value: unknown) => parseFilters(JSON.stringify(value), ["dangling", "label", "label!", "until"]);
  for (const on of ["1", "true", "True", "t"]) assertEquals(switchOf(filters({ dangling: [on] }), "dangling"), true);
  for (const off of ["0", "false", "F"]) assertEquals(switchOf(filters({ dangling: [off] }), "dangling"), false);
  assertEquals(switchOf(filters({}), "dangling"), undefined);
  assertThrows(() => switchOf(filters({ dangling: ["yes"] }), "dangling"), Error, "dangling=yes");
  assertThrows(() => switchOf(filters({ dangling: ["1", "0"] }), "dangling"), Error, "not both");
  const labels = { a: "1", empty: "", "with=sign": "x" };
  const cases: [unknown, boolean][] = [
    [{ label: ["a"] }, true],
    [{ label: ["a=1"] }, true],
    [{ label: ["a=2"] }, false],
    [{ label: ["a", "b"] }, false],
    [{ label: ["empty="] }, true],
    [{ label: ["toString"] }, false],
    [{ "label!": ["a"] }, false],
    [{ "label!": ["a=2", "b"] }, true],
    [{}, true],
  ];
  for (const [value, fits] of cases) assertEquals(labelsFit(filters(value), labels), fits, JSON.stringify(value));
  const now = Date.parse("2024-06-01T12:00:00Z");
  const until: [string, string][] = [
    ["24h", "2024-05-31T12:00:00Z"],
    ["1h30m", "2024-06-01T10:30:00Z"],
    ["500ms", "2024-06-01T11:59:59.500Z"],
    ["1700000000", "2023-11-14T22:13:20Z"],
    ["2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"],
    ["2024-01-02", "2024-01-02T00:00:00Z"],
  ];
  for (const [value, time] of until) assertEquals(untilOf(filters({ until: [value] }), now), Date.parse(time), value);
  for (const value of ["yesterday", "h", "1x", ""]) {
    assertThrows(() => untilOf(filters({ until: [value] }), now), Error, "until");
  }
});

Deno.test("patterns of names are those of Go's path.Match", () => {
  const cases: [string, string, boolean][] = [
    ["web", "web", true],
    ["web", "website", false],
    ["w*", "web:1", true],
    ["*", "team/web", false],
    ["*/web", "team/web", true],
    ["w?b", "web", true],
    ["w[a-e]b", "web", true],
    ["w[^a-e]b", "web", false],
    ["we.b", "weXb", false],
    ["we\\*b", "we*b", true],
    ["w[z-a]b", "web", false],
    ["a.b+c(d", "a.b+c(d", true],
    ["[", "[", true],
  ];
  for (const [pattern, name, fits] of cases) assertEquals(globFits(pattern, name), fits, `${pattern} ${name}`);
});

Deno.test("names of images are short inside and may be long outside", () => {
  const cases: [string, string, string][] = [
    ["web", "web", "docker.io/library/web"],
    ["web:1", "web:1", "docker.io/library/web:1"],
    ["docker.io/library/web:1", "web:1", "docker.io/library/web:1"],
    ["index.docker.io/library/web", "web", "index.docker.io/library/web"],
    ["docker.io/team/web", "team/web", "docker.io/team/web"],
    ["library/web", "library/web", "docker.io/library/web"],
    ["localhost/web", "localhost/web", "localhost/web"],
    ["reg.example:5000/web", "reg.example:5000/web", "reg.example:5000/web"],
    ["docker.io/library/deep/web", "library/deep/web", "docker.io/library/deep/web"],
  ];
  for (const [name, short, long] of cases) assertEquals([shortName(name), longName(name)], [short, long], name);
  assertEquals(referenceOf("docker.io/library/web", undefined), "web:latest");
  assertEquals(referenceOf("web:1", undefined), "web:1");
  assertEquals(referenceOf("reg.example:5000/web", "2"), "reg.example:5000/web:2");
  assertEquals(referenceOf(undefined, "1"), undefined);
  for (const bad of ["Web", "a b", "-x", "web:1:2"]) {
    assertThrows(() => referenceOf(bad, undefined), Error, "invalid reference format");
  }
  assertEquals(["web", "web:1", "h:5/web", "h:5/web:1", "w@sha256:0"].map(isNameOnly), [
    true,
    false,
    true,
    false,
    false,
  ]);
});

Deno.test("mounts of a body become mounts of Lamina", () => {
  const read = (host: ContainerBody["HostConfig"], more: Partial<ContainerBody> = {}) =>
    requestedMounts({ HostConfig: host, ...more });
  const [bind, named] = read({ Binds: ["/src:/dst:ro,rshared", "data:/var/data:nocopy"] }).mounts;
  assertEquals(
    bind,
    {
      ...bind,
      type: "bind",
      source: "/src",
      target: "/dst",
      read_only: true,
      propagation: "rshared",
      create_source: true,
    } as typeof bind,
  );
  assertEquals(named, { ...named, type: "volume", source: "data", target: "/var/data", no_copy: true } as typeof named);
  assertEquals(
    read({
      Mounts: [
        { Type: "bind", Source: "/a", Target: "/b", BindOptions: { Propagation: "rslave", NonRecursive: true } },
        { Type: "volume", Target: "/anonymous", ReadOnly: true },
        {
          Type: "volume",
          Source: "data",
          Target: "/v",
          VolumeOptions: {
            NoCopy: true,
            Subpath: "x/y",
            Labels: { a: "b" },
            DriverConfig: { Name: "local", Options: { size: "1m" } },
          },
        },
        {
          Type: "tmpfs",
          Target: "/t",
          TmpfsOptions: { SizeBytes: 4096, Mode: 0o700, Options: [["exec"], ["uid", "7"]] },
        },
        { Type: "image", Source: "web:1", Target: "/i", ImageOptions: { Subpath: "etc" } },
      ],
    }).mounts,
    [
      {
        type: "bind",
        source: "/a",
        target: "/b",
        read_only: false,
        create_source: false,
        propagation: "rslave",
        recursive: "disabled",
      },
      { type: "volume", target: "/anonymous", read_only: true, no_copy: false },
      {
        type: "volume",
        source: "data",
        target: "/v",
        read_only: false,
        no_copy: true,
        subpath: "x/y",
        volume: { driver: "local", options: { size: "1m" }, labels: { a: "b" } },
      },
      { type: "tmpfs", target: "/t", read_only: false, size_bytes: 4096, mode: 0o700, options: ["exec", "uid=7"] },
      { type: "image", source: "web:1", target: "/i", subpath: "etc" },
    ],
  );
  // Anonymous volumes give way to what is mounted there; a driver for all is theirs, too.
  assertEquals(read({ Binds: ["data:/x"] }, { Volumes: { "/x/": {}, "/y": {} } }).volumes, ["/y"]);
  assertEquals(read({ VolumeDriver: "other" }, { Volumes: { "/y": {} } }), {
    mounts: [{ type: "volume", target: "/y", volume: { driver: "other" } }],
    volumes: [],
  });
  const wrong: [ContainerBody["HostConfig"], string][] = [
    [{ Binds: ["./x:/y"] }, "./x"],
    [{ Binds: ["a:b:c:d"] }, "a:b:c:d"],
    [{ Mounts: [{ Type: "bind", Target: "/x" }] }, "Mounts[0]: field Source"],
    [{ Mounts: [{ Type: "bind", Source: "/x" }] }, "Mounts[0]: field Target"],
    [{ Mounts: [{ Type: "npipe", Target: "/x" }] }, 'mount type "npipe"'],
    [{ Mounts: [{ Target: "/x" }] }, 'mount type ""'],
    [{ Mounts: [{ Type: "tmpfs", Source: "/s", Target: "/x" }] }, "Source must not"],
    [{ Mounts: [{ Type: "volume", Target: "/x", BindOptions: { Propagation: "rslave" } }] }, "BindOptions"],
    [{ Tmpfs: { "/x": "nonsense" } }, "nonsense"],
  ];
  for (const [host, words] of wrong) assertThrows(() => read(host), Error, words);
});

Deno.test("a container's config is its own over its image's, as Docker merges them", () => {
  const image = {
    Cmd: ["-v"],
    Entrypoint: ["/serve"],
    Env: ["A=1", "B=1"],
    User: "7",
    Labels: { a: "1" },
    Volumes: { "/d": {} },
  };
  const merged = (own: Record<string, unknown>) => mergedConfig(own, image);
  assertEquals([merged({}).Entrypoint, merged({}).Cmd], [["/serve"], ["-v"]]);
  assertEquals([merged({ Cmd: ["x"] }).Entrypoint, merged({ Cmd: ["x"] }).Cmd], [["/serve"], ["x"]]);
  assertEquals([merged({ Entrypoint: ["y"] }).Entrypoint, merged({ Entrypoint: ["y"] }).Cmd], [["y"], null]);
  assertEquals(merged({ Entrypoint: [""] }).Entrypoint, null);
  assertEquals(merged({ Env: ["B=2"] }).Env, ["B=2", "A=1"]);
  assertEquals(merged({ Labels: { b: "2" } }).Labels, { a: "1", b: "2" });
  assertEquals([merged({}).User, merged({ User: "8" }).User], ["7", "8"]);
  assertEquals(merged({ Volumes: { "/e": {} } }).Volumes, { "/d": {}, "/e": {} });
  // What Go's clients send for nothing.
  assertEquals(merged({ Cmd: null, Env: null, Labels: null, Volumes: null }), merged({}));
});

Deno.test("modes of files are Go's", () => {
  const stat = (kind: PathStat["kind"], mode: number, special?: PathStat["special"]): PathStat => ({
    name: "x",
    kind,
    mode,
    size_bytes: 5,
    modified_at: "2024-01-02T03:04:05.678Z",
    special,
  });
  const cases: [PathStat, number][] = [
    [stat("file", 0o644), 0o644],
    [stat("directory", 0o1777), 0x80000000 + 0x00100000 + 0o777],
    [stat("symlink", 0o777), 0x08000000 + 0o777],
    [stat("file", 0o6755), 0x00800000 + 0x00400000 + 0o755],
    [stat("other", 0o600, "character"), 0x04000000 + 0x00200000 + 0o600],
    [stat("other", 0o660, "block"), 0x04000000 + 0o660],
    [stat("other", 0o600, "fifo"), 0x02000000 + 0o600],
    [stat("other", 0o600, "socket"), 0x01000000 + 0o600],
  ];
  for (const [given, mode] of cases) assertEquals(goFileMode(given), mode);
  const header = pathStatHeader(stat("symlink", 0o777), "naïve", "/ziel")["x-docker-container-path-stat"]!;
  const text = new TextDecoder().decode(Uint8Array.fromBase64(header));
  assertEquals(JSON.parse(text), {
    name: "naïve",
    size: 5,
    mode: 0x08000000 + 0o777,
    mtime: "2024-01-02T03:04:05.678Z",
    linkTarget: "/ziel",
  });
  assertEquals(["/a/b", "/a/b/", "/a/b/.", "/", "//", "/a"].map(baseOf), ["b", "b", ".", "/", "/", "a"]);
});
