import { assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import { overlayMount } from "../../overlay/overlay_mounts.ts";

const options = ["index=off"];
const writable = { upper: "/l/9/fs", work: "/l/9/work" };

Deno.test("a writable stack names its lower directories topmost first, then upper and work", () => {
  assertEquals(overlayMount({ source: "/l/9", lowers: ["/l/2/fs", "/l/1/fs"], writable, options }), {
    type: "overlay",
    source: "/l/9",
    target: "",
    options: ["lowerdir=/l/2/fs:/l/1/fs", "upperdir=/l/9/fs", "workdir=/l/9/work", "index=off"],
  });
});

Deno.test("a read-only stack has no upper directory", () => {
  const { type, options: given } = overlayMount({ source: "/l/9", lowers: ["/l/2/fs", "/l/1/fs"], options });
  assertEquals([type, given], ["overlay", ["ro", "lowerdir=/l/2/fs:/l/1/fs", "index=off"]]);
});

Deno.test("a stack of one directory is a bind mount of it", () => {
  assertEquals(overlayMount({ source: "/l/9", lowers: ["/l/1/fs"], options }), {
    type: "bind",
    source: "/l/1/fs",
    target: "",
    options: ["bind", "ro"],
  });
  assertEquals(overlayMount({ source: "/l/9", lowers: [], writable, options }), {
    type: "bind",
    source: "/l/9/fs",
    target: "",
    options: ["bind", "rw"],
  });
});

Deno.test("special characters of a path are escaped for overlayfs", () => {
  const { options: given } = overlayMount({ source: "s", lowers: ["/a:b/1", "/a,b\\c/2"], options: [] });
  assertEquals(given, ["ro", "lowerdir=/a\\:b/1:/a\\,b\\\\c/2"]);
});

Deno.test("more layers than the kernel stacks are refused before any mount", () => {
  const lowers = Array.from({ length: 501 }, (_, i) => `/l/${i}/fs`);
  const error = assertThrows(() => overlayMount({ source: "s", lowers, writable, options }), LaminaError);
  assertEquals([error.code, error.details.limit], ["UNSUPPORTED", 500]);
  assertEquals(overlayMount({ source: "s", lowers: lowers.slice(1), writable, options }).type, "overlay");
});
