import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path/posix";
import { projectOf, projectUsage } from "../../runtime/host/project_quota.ts";
import { quotaFileSystem } from "../quota/support/quota_file_system.ts";
import { rootTest } from "../support/scratch.ts";
import { ClaimsFixture } from "./support/claims_fixture.ts";
import { claimJson, classJson, snapshotJson } from "./support/objects.ts";
import { fill, MIB } from "./support/place.ts";

const asks = (storage: string) => ({ resources: { requests: { storage } } });

rootTest(
  "on xfs with project quotas a volume is a directory with a limit, grows at once, and has snapshots",
  async () => {
    await using fs = await quotaFileSystem("xfs");
    {
      await using f = new ClaimsFixture(join(fs.path, "root"));
      await f.create(classJson("fast", { allowVolumeExpansion: true }));
      await f.create(claimJson("c", { storageClassName: "fast", ...asks("16Mi") }));
      await f.quiet();
      assertMatch(f.path("c"), /\/data$/);
      const written = fill(join(f.path("c"), "big"), 64 * MIB);
      assert(written > 12 * MIB && written <= 17 * MIB, `${written}`);
      await f.change("PersistentVolumeClaim", "c", asks("48Mi"));
      assertEquals(f.claim("c").storage, "48Mi");
      const more = fill(join(f.path("c"), "more"), 16 * MIB);
      assertEquals(more, 16 * MIB);
      Deno.removeSync(join(f.path("c"), "big"));
      await f.create(snapshotJson("s", "c"));
      await f.create(
        claimJson("clone", {
          storageClassName: "fast",
          ...asks("48Mi"),
          dataSource: { kind: "PersistentVolumeClaim", name: "c" },
        }),
      );
      await f.quiet();
      assertEquals(Deno.statSync(join(f.path("clone"), "more")).size, more);
      assert(fill(join(f.path("clone"), "full"), 64 * MIB) < 33 * MIB, "the copy has a limit, too");
      const { available_bytes } = await f.local.capacity({}, f.operation);
      assert(available_bytes > 0);
    }
    // The next start and a reboot keep the limits.
    await fs.remount();
    await using f = new ClaimsFixture(join(fs.path, "root"));
    await f.local.capacity({}, f.operation);
    const { projectId, inherited } = projectOf(f.path("c"));
    assert(inherited);
    assertEquals(projectUsage(fs.path, projectId).limit_bytes, 48 * MIB);
    for (const name of ["c", "clone"]) await f.delete("PersistentVolumeClaim", name);
    await f.delete("VolumeSnapshot", "s");
    assertEquals(f.onDisk().filter((name) => name !== "projects"), []);
    assertEquals(projectUsage(fs.path, projectId).limit_bytes, 0);
  },
);

rootTest("ext4's project quotas are used when they are asked for: they do not hold everybody", async () => {
  await using fs = await quotaFileSystem("ext4");
  await using f = new ClaimsFixture(join(fs.path, "root"));
  await f.create(classJson("auto"));
  await f.create(classJson("asked", { parameters: { backing: "quota" } }));
  for (const name of ["auto", "asked"]) await f.create(claimJson(name, { storageClassName: name, ...asks("16Mi") }));
  await f.create(snapshotJson("s", "asked"));
  await f.quiet();
  assertMatch(f.path("auto"), /\/image$/);
  assertMatch(f.path("asked"), /\/data$/);
  assertEquals(projectUsage(fs.path, projectOf(f.path("asked")).projectId).limit_bytes, 16 * MIB);
  assertMatch(f.events("s").at(-1)!, /cannot share blocks/);
  await f.delete("VolumeSnapshot", "s");
  for (const name of ["auto", "asked"]) await f.delete("PersistentVolumeClaim", name);
});
