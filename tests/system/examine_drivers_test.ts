import { assertEquals } from "@std/assert";
import { describeNeed, describeProbe } from "../../runtime/system/examine_drivers.ts";

const capabilities = {
  quota: false,
  parallelApply: false,
  nativeDiff: true,
  rootless: false,
  copyOnWrite: true,
};

Deno.test("a need is told with the command that meets it", () => {
  assertEquals(describeNeed({ module: "zfs" }), "modprobe zfs");
  assertEquals(
    describeNeed({ module: "dm_thin_pool", kernelOption: "CONFIG_DM_THIN_PROVISIONING" }),
    "modprobe dm_thin_pool (kernel option CONFIG_DM_THIN_PROVISIONING)",
  );
  assertEquals(
    describeNeed({ package: "zfsutils-linux" }),
    "install zfsutils-linux (Debian: apt-get install zfsutils-linux)",
  );
  assertEquals(
    describeNeed({ mountOption: "prjquota", kernelOption: "CONFIG_XFS_QUOTA" }),
    "mount the root's file system with -o prjquota, a kernel with CONFIG_XFS_QUOTA",
  );
  assertEquals(describeNeed({ fileSystem: "btrfs" }), "put the root on btrfs");
});

Deno.test("a driver that works says what it can do, one that does not what it would need", () => {
  assertEquals(describeProbe({ supported: true, reasons: ["no limits: because"], capabilities }), {
    status: "ok",
    found: "works here (copy on write, native diff); no limits: because",
  });
  const needs = [{ module: "zfs" }, { package: "zfsutils-linux" }];
  assertEquals(describeProbe({ supported: false, reasons: ["no zfs"], capabilities, needs }), {
    status: "warning",
    found: "no zfs",
    advice: "modprobe zfs; or install zfsutils-linux (Debian: apt-get install zfsutils-linux)",
  });
});
