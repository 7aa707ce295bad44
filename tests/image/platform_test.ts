import { assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import {
  formatPlatform,
  machinePlatform,
  normalizePlatform,
  parsePlatform,
  platformFit,
} from "../../runtime/image/platform.ts";

Deno.test("parsePlatform accepts os/architecture[/variant] and other spellings of the same", () => {
  const cases: [string, string][] = [
    ["linux/amd64", "linux/amd64"],
    ["linux/x86_64", "linux/amd64"],
    ["Linux/ARM64", "linux/arm64"],
    ["linux/aarch64", "linux/arm64"],
    ["linux/arm64/v8", "linux/arm64"],
    ["linux/arm/v7", "linux/arm/v7"],
    ["linux/arm/7", "linux/arm/v7"],
    ["linux/armhf", "linux/arm/v7"],
    ["linux/i686", "linux/386"],
    ["linux/amd64/v1", "linux/amd64"],
    ["linux/amd64/v3", "linux/amd64/v3"],
    ["windows/amd64", "windows/amd64"],
  ];
  for (const [given, expected] of cases) assertEquals(formatPlatform(parsePlatform(given)), expected);
});

Deno.test("parsePlatform refuses what is no platform", () => {
  for (const text of ["", "linux", "linux/", "/amd64", "linux/amd64/v1/x", "linux/am d64", "../../etc"]) {
    assertThrows(() => parsePlatform(text), LaminaError, "os/architecture");
  }
});

Deno.test("platformFit prefers the highest variant that runs and refuses what does not run", () => {
  const fit = (wanted: string, offered: string) => platformFit(parsePlatform(wanted), parsePlatform(offered));
  assertEquals(fit("linux/arm/v7", "linux/arm/v7") > fit("linux/arm/v7", "linux/arm/v6"), true);
  assertEquals(fit("linux/arm/v6", "linux/arm/v7"), 0);
  assertEquals(fit("linux/arm", "linux/arm/v7") > 0, true);
  assertEquals(fit("linux/arm64", "linux/arm64/v8") > 0, true);
  assertEquals(fit("linux/amd64", "linux/amd64/v3"), 0);
  assertEquals(fit("linux/amd64/v3", "linux/amd64") > 0, true);
  assertEquals(fit("linux/amd64", "linux/arm64"), 0);
  assertEquals(fit("linux/amd64", "windows/amd64"), 0);
});

Deno.test("machinePlatform is normal and runs on itself", () => {
  assertEquals(normalizePlatform(machinePlatform()), machinePlatform());
  assertEquals(platformFit(machinePlatform(), machinePlatform()) > 0, true);
});
