import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { MountSpec } from "../../runtime/core/specs/mount.ts";
import { parseSize } from "../../runtime/core/size_text.ts";
import { parseMountFlag, parseTmpfsFlag, parseVolumeFlag } from "../../runtime/core/volume_flag.ts";

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
];

const INVALID_VOLUMES: ReadonlyArray<readonly [string, string]> = [
  ["", "target is missing"],
  ["data", "target is missing"],
  ["/data", "target is missing"],
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
  ["data:/a:ro,rw", "no mode"],
  ["data:/a:ro,ro", "no mode"],
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
  ["type=tmpfs,target=/tmp", { type: "tmpfs", target: "/tmp", mode: 0o1777, read_only: false }],
  ["type=tmpfs,target=/tmp,tmpfs-size=64m,tmpfs-mode=700", {
    type: "tmpfs",
    target: "/tmp",
    size_bytes: 64 * 2 ** 20,
    mode: 0o700,
    read_only: false,
  }],
];

const INVALID_MOUNTS: ReadonlyArray<readonly [string, string]> = [
  ["", "no key"],
  ["type=bind", "target is missing"],
  ["type=bind,target=/a", "source is missing"],
  ["type=volume,target=/a", "name a volume"],
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
  ["type=image,source=a,target=/c", "bind, volume or tmpfs"],
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
  ["/tmp:uid=0", "no option"],
  ["/tmp:ro,rw", "not both"],
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

Deno.test("--tmpfs takes a target, a size and a mode", () => {
  const expected = { type: "tmpfs", target: "/run", mode: 0o1777, read_only: false };
  assertEquals(parseTmpfsFlag("/run") as unknown, expected);
  assertEquals(parseTmpfsFlag("/run:size=1g,mode=0755,ro") as unknown, {
    ...expected,
    size_bytes: 2 ** 30,
    mode: 0o755,
    read_only: true,
  });
  for (const [text, why] of INVALID_TMPFS) {
    assertStringIncludes(refusal(() => parseTmpfsFlag(text)).message, why, JSON.stringify(text));
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
