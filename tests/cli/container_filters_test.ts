import { assertEquals, assertThrows } from "@std/assert";
import { filterContainers, pruneFilter } from "../../runtime/cli/container_filters.ts";
import { UsageError } from "../../runtime/cli/parse.ts";
import type { ContainerSummary } from "../../runtime/core/model/container.ts";

const bind = { type: "bind", source: "/srv", target: "/www" };
const data = { type: "volume", source: "data", target: "/data" };
const containers = [
  {
    name: "web",
    image: "shop:latest",
    image_id: `sha256:${"a1".repeat(32)}`,
    mounted: true,
    labels: {},
    mounts: [data],
  },
  {
    name: "web-2",
    image: "shop:2",
    image_id: `sha256:${"b2".repeat(32)}`,
    mounted: false,
    labels: { tier: "db" },
    mounts: [bind],
  },
  {
    name: "job",
    image: "a1a1",
    image_id: `sha256:${"c3".repeat(32)}`,
    mounted: false,
    labels: { tier: "web", x: "" },
    mounts: [],
  },
] as unknown as ContainerSummary[];

Deno.test("containers are filtered by label, name, volume, ancestor and status", () => {
  const table: ReadonlyArray<readonly [string[], string[]]> = [
    [[], ["web", "web-2", "job"]],
    [["name=^web$"], ["web"]],
    [["name=^web$", "name=job"], ["web", "job"]],
    [["label=tier"], ["web-2", "job"]],
    [["label=tier=web", "label=x"], ["job"]],
    [["label=toString"], []],
    [["volume=data"], ["web"]],
    [["volume=/www", "volume=/data"], ["web", "web-2"]],
    [["volume=/srv"], ["web-2"]],
    [["ancestor=shop"], ["web"]],
    [["ancestor=a1a1"], ["web", "job"]],
    [["ancestor=sha256:b2b2"], ["web-2"]],
    [["status=created"], ["web-2", "job"]],
    [["status=created", "label=tier=db"], ["web-2"]],
  ];
  for (const [filters, names] of table) {
    assertEquals(filterContainers(containers, filters).map(({ name }) => name), names, filters.join(" "));
  }
  for (const filter of ["colour=red", "name", "name=", "name=(", "status=running", "label!=x"]) {
    assertThrows(() => filterContainers(containers, [filter]), UsageError, undefined, filter);
  }
});

Deno.test("a prune is filtered by labels and time", () => {
  assertEquals(pruneFilter(["label=a", "label!=b=c", "until=2030-01-31"]), {
    label: ["a"],
    not_label: ["b=c"],
    until: "2030-01-31T00:00:00.000Z",
  });
  for (const filter of ["until=soon", "name=a", "label="]) {
    assertThrows(() => pruneFilter([filter]), UsageError, undefined, filter);
  }
});
