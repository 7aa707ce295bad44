import { assertEquals, assertStrictEquals } from "@std/assert";
import { ContainerViews } from "../../runtime/container/container_view.ts";
import { RootLayout } from "../../runtime/core/root_layout.ts";
import type { Reader } from "../../runtime/store/store.ts";

Deno.test("a container is the same object in two lists, until it is renamed, mounted or changed", () => {
  const spec = { image: "i:1", mounts: [], labels: {}, storage_options: {}, read_only: false, auto_remove: false };
  const row = { id: "a".repeat(64), name: "web", image_id: "sha256:1", spec: "", state: "ready", created_at_ms: 0 };
  const stored = { ...row, spec: JSON.stringify(spec) };
  const reader = { all: () => [stored], get: () => stored } as unknown as Reader;
  const layout = new RootLayout("/r");
  const views = new ContainerViews(reader, layout, { name: "overlay" }, () => ({ volume: String, image: String }));
  const none = new Set<string>();
  const [first] = views.list(none);
  assertStrictEquals(views.list(none)[0], first);
  stored.name = "renamed";
  const [renamed] = views.list(none);
  assertEquals([first!.name, renamed!.name, renamed!.mounted], ["web", "renamed", false]);
  const [mounted] = views.list(new Set([layout.rootfs(row.id)]));
  assertEquals(mounted, { ...renamed!, mounted: true });
  assertEquals(views.list(none), [renamed!]);
  stored.spec = JSON.stringify({ ...spec, storage_options: { size: "1G" } });
  views.forget(row.id);
  assertEquals<unknown>(views.list(none)[0]!.storage_options, { size: "1G" });
});
