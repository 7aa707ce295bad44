import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { parseMountFlag } from "../../runtime/core/mount_flag.ts";
import { MountSpec } from "../../runtime/core/specs/mount.ts";
import { parseSize } from "../../runtime/core/size_text.ts";
import { parseTmpfsFlag, parseVolumeFlag, parseVolumesFrom } from "../../runtime/core/volume_flag.ts";

const resolve = (path: string) => `/home/me/${path.replace(/^\.\//, "")}`;
const long = "x".repeat(10_000);

const bind = (source: string, target: string, read_only = false, create_source = true) =>
  ({ type: "bind", source, target, read_only, create_source }) as const;
const volume = (source: string, target: string, read_only = false) =>
  ({ type: "volume", source, target, read_only }) as const;

const VALID_VOLUMES: ReadonlyArray<readonly [string, unknown]> = [
  ["data:/data", volume("data", "/data")],
  ["data:/data:rw", volume("data", "/data")],
  ["data:/data:ro", volume("data", "/data", true)],
  ["d.a-t_a:/var/lib/x", volume("d.a-t_a", "/var/lib/x")],
  ["/srv/www:/www", bind("/srv/www", "/www")],
  ["/srv/www:/www:ro", bind("/srv/www", "/www", true)],
  ["/:/host:ro", bind("/", "/host", true)],
  ["./conf:/etc/app", bind("/home/me/conf", "/etc/app")],
  [".:/work", bind("/home/me/.", "/work")],
  ["..:/up", bind("/home/me/..", "/up")],
  ["../x:/up", bind("/home/me/../x", "/up")],
  ["/with space/ä:/ä b", bind("/with space/ä", "/ä b")],
  ["ro:/data", volume("ro", "/data")],
  ["/data", { type: "volume", target: "/data" }],
  ["/data/", { type: "volume", target: "/data/" }],
  ["data:/data:z", { ...volume("data", "/data"), relabel: "z" }],
  ["data:/data:Z,ro", { ...volume("data", "/data", true), relabel: "Z" }],
  ["data:/data:nocopy", { ...volume("data", "/data"), no_copy: true }],
  ["data:/data:ro,nocopy,Z,cached", { ...volume("data", "/data", true), no_copy: true, relabel: "Z" }],
  ["data:/data:consistent", volume("data", "/data")],
  ["/srv:/x:delegated", bind("/srv", "/x")],
  ["/srv:/x:shared", { ...bind("/srv", "/x"), propagation: "shared" }],
  ["/srv:/x:rslave,ro,z,cached", { ...bind("/srv", "/x", true), propagation: "rslave", relabel: "z" }],
  ["/srv:/x:private", { ...bind("/srv", "/x"), propagation: "private" }],
  ["./srv:/x:rprivate", { ...bind("/home/me/srv", "/x"), propagation: "rprivate" }],
  ["/srv:/x:slave", { ...bind("/srv", "/x"), propagation: "slave" }],
  ["/srv:/x:rshared", { ...bind("/srv", "/x"), propagation: "rshared" }],
];

const INVALID_VOLUMES: ReadonlyArray<readonly [string, string]> = [
  ["", "target is missing"],
  ["data", "target is missing"],
  ["./data", "target is missing"],
  ["/", 'must not be "/"'],
  ["/a/../b", '".."'],
  ["data:", "absolute path"],
  [":/data", "source is empty"],
  ["::", "source is empty"],
  ["data:ro", "is a mode"],
  ["/srv:rw", "is a mode"],
  ["data:data", "absolute path"],
  ["data:./x", "absolute path"],
  ["data:/", 'must not be "/"'],
  ["data://", 'must not be "/"'],
  ["data:/.", 'must not be "/"'],
  ["data:/a/../b", '".."'],
  ["data:/..", '".."'],
  ["data:/a:", "no mode"],
  ["data:/a:rox", "no mode"],
  ["data:/a:ro,rw", "exclude each other"],
  ["data:/a:ro,ro", "exclude each other"],
  ["data:/a:ro,", "no mode"],
  ["data:/a:RO", "no mode"],
  ["data:/a:z,Z", "exclude each other"],
  ["data:/a:nocopy,nocopy", "exclude each other"],
  ["data:/a:cached,delegated", "exclude each other"],
  ["data:/a:copy", "no mode"],
  ["/srv:/a:shared,rslave", "exclude each other"],
  ["/srv:/a:nocopy", "nocopy is for volumes"],
  ["data:/a:rshared", "for host directories"],
  ["data:/a:ro,slave", "for host directories"],
  ["data:ro,z", "is a mode"],
  ["/srv:rslave", "is a mode"],
  ["/srv:nocopy", "is a mode"],
  ["data:/a:ro:rw", "more than three parts"],
  ["data:/a:/b:ro", "more than three parts"],
  ["a/b:/data", "no volume name"],
  ["~/x:/data", "no volume name"],
  ["x:/data", "2 to 255"],
  ["-data:/data", "no volume name"],
  ["_data:/data", "no volume name"],
  ["da ta:/data", "no volume name"],
  ["dä:/data", "no volume name"],
  [`${long}:/data`, "2 to 255"],
  [`/${long}:/data`, "4,096"],
  [`data:/${long}`, "4,096"],
  ["/a\0b:/data", "NUL"],
  ["data:/a\0b", "NUL"],
  ["da\0ta:/a", "no volume name"],
];

const VALID_MOUNTS: ReadonlyArray<readonly [string, unknown]> = [
  ["type=bind,source=/srv,target=/www", bind("/srv", "/www", false, false)],
  ["type=bind,src=/srv,dst=/www,readonly", bind("/srv", "/www", true, false)],
  ["type=bind,src=./srv,destination=/www,ro=true", bind("/home/me/srv", "/www", true, false)],
  ["type=bind,src=/a:b,target=/www,readonly=0", bind("/a:b", "/www", false, false)],
  ["type=bind,src=/srv,dst=/www,bind-create-src", bind("/srv", "/www", false, true)],
  ["source=data,target=/data", volume("data", "/data")],
  ["type=volume,source=data,target=/data,ro=1", volume("data", "/data", true)],
  ["type=tmpfs,target=/tmp", { type: "tmpfs", target: "/tmp", read_only: false }],
  ["type=tmpfs,target=/tmp,tmpfs-size=64m,tmpfs-mode=700,ro", {
    type: "tmpfs",
    target: "/tmp",
    size_bytes: 64 * 2 ** 20,
    mode: 0o700,
    read_only: true,
  }],
  ["target=/data", { type: "volume", target: "/data", read_only: false }],
  ["TYPE=volume,Source=data,Target=/data", volume("data", "/data")],
  ["source=data,target=/d,consistency=cached", volume("data", "/d")],
  ["type=bind,src=/s,dst=/d,bind-propagation=rshared", {
    ...bind("/s", "/d", false, false),
    propagation: "rshared",
  }],
  ["type=bind,src=/s,dst=/d,bind-recursive=disabled", { ...bind("/s", "/d", false, false), recursive: "disabled" }],
  ["type=bind,src=/s,dst=/d,bind-recursive=enabled", { ...bind("/s", "/d", false, false), recursive: "enabled" }],
  ["type=bind,src=/s,dst=/d,ro,bind-recursive=writable", { ...bind("/s", "/d", true, false), recursive: "writable" }],
  ["type=bind,src=/s,dst=/d,ro,bind-recursive=readonly,bind-propagation=rprivate", {
    ...bind("/s", "/d", true, false),
    recursive: "readonly",
    propagation: "rprivate",
  }],
  ["type=bind,src=/s,dst=/d,bind-create-src=false", bind("/s", "/d", false, false)],
  ["source=data,target=/d,volume-subpath=a/b", { ...volume("data", "/d"), subpath: "a/b" }],
  ["source=data,target=/d,volume-nocopy", { ...volume("data", "/d"), no_copy: true }],
  ["source=data,target=/d,volume-nocopy=false", volume("data", "/d")],
  ["source=data,target=/d,volume-driver=local,volume-opt=type=tmpfs,volume-opt=device=tmpfs", {
    ...volume("data", "/d"),
    volume: { driver: "local", options: { type: "tmpfs", device: "tmpfs" } },
  }],
  ['source=data,target=/d,"volume-opt=o=addr=10.0.0.1,rw"', {
    ...volume("data", "/d"),
    volume: { options: { o: "addr=10.0.0.1,rw" } },
  }],
  ['source=data,target=/d,"volume-label=say=""hi"", you",volume-label=bare', {
    ...volume("data", "/d"),
    volume: { labels: { say: '"hi", you', bare: "" } },
  }],
  ['type=bind,"src=/a,b",dst=/d', bind("/a,b", "/d", false, false)],
  ["type=image,source=app:1,target=/app", { type: "image", source: "app:1", target: "/app" }],
  ["type=image,source=app:1,target=/app,image-subpath=bin,ro", {
    type: "image",
    source: "app:1",
    target: "/app",
    subpath: "bin",
  }],
];

const INVALID_MOUNTS: ReadonlyArray<readonly [string, string]> = [
  ["", "no key"],
  ["type=bind", "target is missing"],
  ["type=bind,target=/a", "source is missing"],
  ["type=bind,source=,target=/a", "empty value"],
  ["type=bind,source=/a,target=", "empty value"],
  ["type=bind,source=/a,target", "needs a value"],
  ["type=bind,source=a,target=/a", "absolute path"],
  ["type=bind,source=/a,target=b", "absolute path"],
  ["type=bind,source=/a,src=/b,target=/c", "given twice"],
  ["type=bind,source=/a,target=/c,readonly=yes", "true, false, 1 or 0"],
  ["type=bind,source=/a,target=/c,colour=red", "no key"],
  ["type=bind,source=/a,target=/c,tmpfs-size=1m", "type=tmpfs only"],
  ["type=volume,source=data,target=/c,bind-create-src", "type=bind only"],
  ["type=volume,source=/abs,target=/c", "no volume name"],
  ["type=tmpfs,source=/a,target=/c", "no source"],
  ["type=tmpfs,target=/c,tmpfs-size=big", "no size"],
  ["type=tmpfs,target=/c,tmpfs-size=0", "no size"],
  ["type=tmpfs,target=/c,tmpfs-mode=999", "octal"],
  ["type=npipe,source=a,target=/c", "volume, bind, tmpfs, image"],
  ["type=cluster,source=a,target=/c", "volume, bind, tmpfs, image"],
  ["type=image,target=/c", "name an image"],
  ["type=image,source=a,target=/c,readonly=false", "always read-only"],
  ["type=image,source=a,target=/c,volume-subpath=x", "type=volume only"],
  ["type=image,source=a,target=/c,image-subpath=../x", '".."'],
  ["source=data,target=/c,image-subpath=x", "type=image only"],
  ["source=data,target=/c,volume-subpath=/x", "relative"],
  ["source=data,target=/c,volume-subpath=a/../..", '".."'],
  ["source=data,target=/c,volume-subpath=", "empty value"],
  ["target=/c,volume-subpath=x", "needs a source"],
  ["source=data,target=/c,bind-propagation=shared", "type=bind only"],
  ["source=data,target=/c,bind-recursive=disabled", "type=bind only"],
  ["type=bind,source=/a,target=/c,volume-nocopy", "type=volume only"],
  ["type=bind,source=/a,target=/c,volume-opt=a=b", "type=volume only"],
  ["type=tmpfs,target=/c,volume-driver=local", "type=volume only"],
  ["source=data,target=/c,volume-opt==b", "name before"],
  ["source=data,target=/c,volume-opt=a=b,volume-opt=a=c", "twice"],
  ["source=data,target=/c,volume-label=a,volume-label=a=1", "twice"],
  ["source=data,target=/c,volume-driver=a,volume-driver=b", "twice"],
  ["source=data,target=/c,volume-nocopy=maybe", "true, false, 1 or 0"],
  ["source=data,target=/c,ro=TRUE", "true, false, 1 or 0"],
  ["source=data,target=/c,consistency=strong", "consistency"],
  ["type=bind,source=/a,target=/c,bind-propagation=public", "bind-propagation"],
  ["type=bind,source=/a,target=/c,bind-recursive=yes", "bind-recursive"],
  ["type=bind,source=/a,target=/c,bind-recursive=writable", "give readonly too"],
  ["type=bind,source=/a,target=/c,bind-recursive=readonly", "give readonly too"],
  ["type=bind,source=/a,target=/c,ro,bind-recursive=readonly,bind-propagation=rshared", "rprivate"],
  ['source=data,target=/c,"volume-opt=a=b', "not closed"],
  ['source=data,target=/c,"volume-opt=a"=b', "after its closing quote"],
  ['source=data,target=/c,volume-opt=a="b"', "whole field"],
  ["source=data,target=/c\n,readonly", "line break"],
  ["source=data,,target=/c", "no key"],
  ["source=data,target=/c,constructor=x", "no key"],
  ["source=data,target=/c, readonly", "no key"],
  ["type=bind,source=/a,target=/", 'must not be "/"'],
];

const INVALID_TMPFS: ReadonlyArray<readonly [string, string]> = [
  ["", "absolute path"],
  ["tmp", "absolute path"],
  ["/", 'must not be "/"'],
  ["/tmp:", "no option"],
  ["/tmp:size", "no size"],
  ["/tmp:size=-1", "no size"],
  ["/tmp:size=1m,size=2m", "given twice"],
  ["/tmp:mode=8", "octal"],
  ["/tmp:uid=root", "no option"],
  ["/tmp:uid=1,uid=2", "exclude each other"],
  ["/tmp:exec,noexec", "exclude each other"],
  ["/tmp:noatime,strictatime", "exclude each other"],
  ["/tmp:ro,rw", "not both"],
  ["/tmp:ro=1", "no option"],
  ["/tmp:mand", "no option"],
  ["/tmp:context=x", "no option"],
  ["/tmp:size=1m,", "no option"],
];

function refusal(parse: () => unknown): LaminaError {
  const error = assertThrows(parse, LaminaError);
  assertEquals(error.code, "INVALID_ARGUMENT");
  return error;
}

Deno.test("-v takes a host path or a named volume, a target and a mode", () => {
  for (const [text, expected] of VALID_VOLUMES) {
    assertEquals(parseVolumeFlag(text, resolve) as unknown, expected, text);
    MountSpec.parse(parseVolumeFlag(text, resolve));
  }
});

Deno.test("-v refuses every other form and says why", () => {
  for (const [text, why] of INVALID_VOLUMES) {
    assertStringIncludes(refusal(() => parseVolumeFlag(text, resolve)).message, why, JSON.stringify(text));
  }
});

Deno.test("-v refuses a relative host path where nobody can make it absolute", () => {
  assertStringIncludes(refusal(() => parseVolumeFlag("./x:/y")).message, "absolute path");
});

Deno.test("--mount takes binds, volumes and tmpfs with their keys", () => {
  for (const [text, expected] of VALID_MOUNTS) {
    assertEquals(parseMountFlag(text, resolve) as unknown, expected, text);
    MountSpec.parse(parseMountFlag(text, resolve));
  }
});

Deno.test("--mount refuses every other form and says why", () => {
  for (const [text, why] of INVALID_MOUNTS) {
    assertStringIncludes(refusal(() => parseMountFlag(text, resolve)).message, why, JSON.stringify(text));
  }
});

Deno.test("--tmpfs takes a target, a size, a mode and the options that are known", () => {
  const valid: ReadonlyArray<readonly [string, Record<string, unknown>]> = [
    ["/run", {}],
    ["/run:size=1g,mode=0755,ro", { size_bytes: 2 ** 30, mode: 0o755, read_only: true }],
    ["/run:rw,exec,uid=1000,gid=100", { options: ["exec", "uid=1000", "gid=100"] }],
    ["/run:nosuid,nodev,noexec,nr_inodes=5k,noatime,nodiratime", {
      options: ["nosuid", "nodev", "noexec", "nr_inodes=5k", "noatime", "nodiratime"],
    }],
  ];
  for (const [text, expected] of valid) {
    const request = parseTmpfsFlag(text);
    assertEquals(request as unknown, { type: "tmpfs", target: "/run", read_only: false, ...expected }, text);
    MountSpec.parse(request);
  }
  for (const [text, why] of INVALID_TMPFS) {
    assertStringIncludes(refusal(() => parseTmpfsFlag(text)).message, why, JSON.stringify(text));
  }
});

Deno.test("--volumes-from takes a container and a mode", () => {
  assertEquals(parseVolumesFrom("web"), { container: "web", read_only: false });
  assertEquals(parseVolumesFrom("web:rw"), { container: "web", read_only: false });
  assertEquals(parseVolumesFrom("0123abcd:ro"), { container: "0123abcd", read_only: true });
  const invalid = [
    ["", "missing"],
    [":ro", "missing"],
    ["web:", "no mode"],
    ["web:rx", "no mode"],
    [
      "web:ro,rw",
      "no mode",
    ],
    ["web:nocopy", "no mode"],
    ["web:rslave", "no mode"],
  ];
  for (const [text, why] of invalid) {
    assertStringIncludes(refusal(() => parseVolumesFrom(text!)).message, why!, JSON.stringify(text));
  }
});

Deno.test("a refusal shows at most 120 characters of what was given", () => {
  const { message } = refusal(() => parseVolumeFlag(`${long}:${long}:${long}:${long}`));
  assertEquals(message.length < 400, true);
});

Deno.test("a size is a number with an optional unit, in powers of 1024", () => {
  for (
    const [text, size] of [["0", 0], ["1024", 1024], ["1k", 1024], ["64M", 64 * 2 ** 20], ["1.5g", 1.5 * 2 ** 30], [
      "10KiB",
      10240,
    ], ["3 GB", 3 * 2 ** 30]] as const
  ) {
    assertEquals(parseSize(text), size, text);
  }
  for (const text of ["", "k", "-1", "1e3", "0x10", "1kk", "9999999t", "1 k b", "NaN"]) {
    assertEquals(parseSize(text), undefined, text);
  }
});
