import { assertEquals, assertThrows } from "@std/assert";
import { LaminaError } from "../../runtime/core/errors.ts";
import type { VolumeFilters } from "../../runtime/core/model/volume.ts";
import { type FilteredVolume, volumeFilter } from "../../runtime/volume/volume_filters.ts";

const volumes: FilteredVolume[] = [
  { name: "db-1", driver: "local", labels: { tier: "db", keep: "" }, users: 1 },
  { name: "db-2", driver: "local", labels: { tier: "db" }, users: 0 },
  { name: "web", driver: "nfs", labels: { tier: "web" }, users: 0 },
];

const table: ReadonlyArray<[VolumeFilters, string[]]> = [
  [{}, ["db-1", "db-2", "web"]],
  [{ dangling: true }, ["db-2", "web"]],
  [{ dangling: false }, ["db-1"]],
  [{ driver: ["nfs"] }, ["web"]],
  [{ driver: ["nfs", "local"] }, ["db-1", "db-2", "web"]],
  [{ label: ["tier"] }, ["db-1", "db-2", "web"]],
  [{ label: ["tier=db"] }, ["db-1", "db-2"]],
  [{ label: ["tier=db", "keep"] }, ["db-1"]],
  [{ label: ["tier=d"] }, []],
  [{ not_label: ["keep"] }, ["db-2", "web"]],
  [{ not_label: ["tier=db"] }, ["web"]],
  [{ name: ["^db"] }, ["db-1", "db-2"]],
  [{ name: ["b"] }, ["db-1", "db-2", "web"]],
  [{ name: ["1$", "^w"] }, ["db-1", "web"]],
  [{ name: ["^db"], dangling: true }, ["db-2"]],
  [{ name: ["toString"], label: ["toString"] }, []],
];

Deno.test("filters of volumes are Docker's", () => {
  for (const [filters, names] of table) {
    assertEquals(volumes.filter(volumeFilter(filters)).map(({ name }) => name), names, JSON.stringify(filters));
  }
});

Deno.test("a name that is no regular expression, or one that could take for ever, is refused", () => {
  for (const name of ["(", "[", "*", "(a+)+$", "(a*)*", "(a|b+){9}", "(x)\\1", "x".repeat(600)]) {
    assertEquals(assertThrows(() => volumeFilter({ name: [name] }), LaminaError).code, "INVALID_ARGUMENT", name);
  }
});
