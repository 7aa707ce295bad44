import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path/posix";
import { LvmProvisioner } from "../../drivers/volume/provisioner/lvm_provisioner.ts";
import { mountImage } from "../../drivers/volume/sized/image_mount.ts";
import { commandOutput, runCommand } from "../../runtime/host/command.ts";
import { attachLoop } from "../../runtime/host/block_devices.ts";
import { fileSystemStatus } from "../../runtime/host/disk.ts";
import { rootTest, scratchDirectory } from "../support/scratch.ts";
import { ClaimsFixture } from "./support/claims_fixture.ts";
import { claimJson, classJson, podJson, snapshotJson } from "./support/objects.ts";
import { fill, MIB, mounter } from "./support/place.ts";

const asks = (storage: string) => ({ resources: { requests: { storage } } });
const lvm = (program: string, ...args: string[]) => commandOutput(program, ["-q", ...args]);

rootTest(
  "thin volumes of LVM are made, filled, grown, copied and deleted; those of others are left alone",
  async () => {
    await using scratch = await scratchDirectory();
    await runCommand("modprobe", ["-a", "loop", "dm-thin-pool", "xfs"]);
    // Without a monitor: that would be a daemon which outlives the test and holds its scratch.
    await Deno.writeTextFile(join(scratch.path, "lvm.conf"), "activation {\n  monitoring = 0\n}\n");
    Deno.env.set("LVM_SYSTEM_DIR", scratch.path);
    const disk = join(scratch.path, "disk");
    await commandOutput("truncate", ["-s", "1G", disk]);
    using device = attachLoop(disk);
    await lvm("vgcreate", "laminaclaims", device.path);
    const target = join(scratch.path, "m");
    await Deno.mkdir(target);
    try {
      await lvm("lvcreate", "-T", "-L", "800m", "-Zn", "laminaclaims/pool");
      await lvm("lvcreate", "-T", "-V", "64m", "-n", "others", "laminaclaims/pool");
      await using f = new ClaimsFixture(join(scratch.path, "root"), [new LvmProvisioner()]);
      const parameters = { vg: "laminaclaims", thinpool: "pool" };
      const lvmClass = (name: string, more = {}, fields = {}) =>
        f.create(classJson(name, { provisioner: "lamina.dev/lvm", parameters: { ...parameters, ...more }, ...fields }));
      await lvmClass("thin", {}, { allowVolumeExpansion: true });
      await lvmClass("nowhere", { thinpool: "none" });
      await lvmClass("bold", { overprovision: "true" });
      const claim = (name: string, storage: string, spec = {}) =>
        f.create(claimJson(name, { storageClassName: "thin", ...asks(storage), ...spec }));
      const mount = (name: string, fs_type: "ext4" | "xfs" = "ext4") =>
        mountImage({ source: f.path(name), target, fs_type, read_only: false }, mounter, f.operation);
      const unmount = () => mounter.unmount([target], { signal: f.operation.signal });

      await claim("c", "64Mi");
      await f.quiet();
      assertEquals(f.claim("c").phase, "Bound", f.events("c").join("\n"));
      await mount("c");
      Deno.writeTextFileSync(join(target, "a"), "one");
      const written = fill(join(target, "big"), 128 * MIB);
      assert(written > 40 * MIB && written <= 64 * MIB, `${written}`);
      Deno.removeSync(join(target, "big"));
      // Online, while it is mounted.
      await f.create(podJson("p", ["c"]));
      await f.change("PersistentVolumeClaim", "c", asks("128Mi"));
      assertEquals([f.claim("c").storage, f.claim("c").conditions], ["128Mi", undefined], f.events("c").join("\n"));
      assert(fileSystemStatus(target).total_bytes > 100 * MIB);

      await f.create(snapshotJson("s", "c"));
      await f.quiet();
      assertEquals(f.events("s").map((line) => line.split(":")[0]), ["SnapshotReady"], f.events("s").join("\n"));
      Deno.writeTextFileSync(join(target, "a"), "two");
      await unmount();
      await claim("restored", "192Mi", { dataSource: { kind: "VolumeSnapshot", name: "s" } });
      await f.quiet();
      assertEquals(
        [f.claim("restored").phase, f.claim("restored").storage],
        ["Bound", "192Mi"],
        f.events("restored").join("\n"),
      );
      await mount("restored");
      assertEquals(Deno.readTextFileSync(join(target, "a")), "one");
      assert(fileSystemStatus(target).total_bytes > 160 * MIB, "it fills its device at its first mount");
      await unmount();
      await mount("c");
      assertEquals(Deno.readTextFileSync(join(target, "a")), "two");
      await unmount();

      // What is promised: c, its snapshot, its restored copy, and what somebody else has made.
      const { available_bytes, total_bytes } = await new LvmProvisioner().capacity(parameters, f.operation);
      assertEquals([total_bytes, available_bytes], [800 * MIB, (800 - 64 - 128 - 128 - 192) * MIB]);
      await claim("toomuch", "400Mi");
      await claim("bold", "4Gi", { storageClassName: "bold" });
      await claim("nowhere", "8Mi", { storageClassName: "nowhere" });
      await claim("raw", "32Mi", { volumeMode: "Block" });
      await f.quiet();
      assertMatch(f.events("toomuch")[0]!, /are promised to no other volume/);
      assertMatch(f.events("nowhere")[0]!, /laminaclaims\/none: it does not exist. Thin pools of laminaclaims: pool/);
      assertEquals([f.claim("bold").phase, f.claim("raw").phase], ["Bound", "Bound"]);
      const raw = (f.get("PersistentVolume", f.claim("raw").volume!)!.spec as { local: unknown }).local;
      assertEquals(raw, { path: f.path("raw") });

      // In use: it says so, and goes when it can.
      await mount("restored");
      const { volume } = f.claim("restored");
      await f.delete("PersistentVolumeClaim", "restored");
      assertEquals(f.phase(volume!), "Failed");
      assertMatch(f.events(volume!).at(-1)!, /VolumeFailedDelete: Cannot change .*in use/);
      await unmount();
      for (const name of ["c", "toomuch", "bold", "nowhere", "raw"]) await f.delete("PersistentVolumeClaim", name);
      await f.delete("VolumeSnapshot", "s");
      await f.objects.update({ kind: "Pod", namespace: "default", name: "p" }, (pod) => ({
        ...pod,
        metadata: { ...pod.metadata, finalizers: [] },
      }));
      await f.delete("Pod", "p");
      assertEquals(f.objects.list("PersistentVolume"), []);
      const left = await lvm("lvs", "--noheadings", "-o", "lv_name", "laminaclaims");
      assertEquals(left.trim().split(/\s+/).sort(), ["others", "pool"]);
    } finally {
      await runCommand("umount", [target]);
      await runCommand("vgremove", ["-q", "-ff", "-y", "laminaclaims"]);
      Deno.env.delete("LVM_SYSTEM_DIR");
    }
  },
);
