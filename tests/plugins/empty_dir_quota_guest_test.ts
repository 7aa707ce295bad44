/** `sizeLimit` of an emptyDir by project quotas, on real file systems; in a guest, because the host's kernel has none. */
import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path/posix";
import { runCommand } from "../../runtime/host/command.ts";
import { projectOf, projectUsage } from "../../runtime/host/project_quota.ts";
import { quotaFileSystem } from "../quota/support/quota_file_system.ts";
import { rootTest } from "../support/scratch.ts";
import { PluginStage } from "./stage.ts";

const LIMIT_BYTES = 16 << 20;

for (const type of ["xfs", "ext4"] as const) {
  rootTest(`on ${type} with project quotas a sizeLimit is enforced, reported, and leaves with the volume`, async () => {
    await using fs = await quotaFileSystem(type);
    await using stage = await PluginStage.open(fs.path);
    const spec = stage.spec("cache", { emptyDir: { sizeLimit: "16Mi" } });
    const free = stage.spec("free", { emptyDir: {} });
    const [path, other] = [await stage.setUp(spec), await stage.setUp(free)];
    assertEquals([stage.warnings, Deno.statSync(path).mode! & 0o777], [[], 0o777]);
    const { projectId } = projectOf(path);
    assertEquals(projectUsage(fs.path, projectId).limit_bytes, LIMIT_BYTES);
    // As a container has it: without the right to write past quotas, which ext4 grants to root.
    const write = (target: string) =>
      runCommand("setpriv", [
        "--bounding-set=-sys_resource",
        "dd",
        "if=/dev/zero",
        `of=${target}/much`,
        "bs=1M",
        "count=24",
        "conv=fsync",
      ], {});
    const refused = await write(path);
    assertEquals(refused.code, 1, refused.stderr);
    assertMatch(refused.stderr, /quota exceeded|No space left/i);
    assertEquals((await write(other)).code, 0);
    const usage = await stage.plugin(spec).usage!(path, stage.operation);
    assertEquals([usage.capacity_bytes, usage.used_bytes <= LIMIT_BYTES], [LIMIT_BYTES, true]);
    // Whoever takes it down may be another process than the one that made it.
    await stage.restart();
    for (const one of [spec, free]) assertEquals(await stage.tearDown(one), "nothing");
    await stage.plugins.settled();
    assertEquals([...Deno.readDirSync(join(stage.layout.trash))].map(({ name }) => name), []);
    assertEquals(projectUsage(fs.path, projectId), {
      ...projectUsage(fs.path, projectId),
      used_bytes: 0,
      limit_bytes: 0,
    });
  });
}
