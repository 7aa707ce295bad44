import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { dirname, join } from "@std/path/posix";
import { mountImage } from "../../drivers/volume/sized/image_mount.ts";
import { effectiveCapabilities } from "../../runtime/host/host_facts.ts";
import { loopsOf } from "../../runtime/host/block_devices.ts";
import { Claims } from "../../runtime/volume/claims/capacity.ts";
import { checkClaims } from "../../runtime/system/check_claims.ts";
import { rootTest } from "../support/scratch.ts";
import { ClaimsFixture } from "./support/claims_fixture.ts";
import { claimJson, classJson, podJson, snapshotJson, volumeJson } from "./support/objects.ts";
import { MIB, mounter, type Place, placeOn } from "./support/place.ts";

const asks = (storage: string) => ({ resources: { requests: { storage } } });
const small = (className: string, more = {}) => ({ storageClassName: className, ...asks("16Mi"), ...more });

/** A test with a controller whose volumes are on a fresh file system. */
function claimsTest(
  name: string,
  body: (f: ClaimsFixture, place: Place) => Promise<void>,
  type: "scratch" | "xfs" | "btrfs" = "scratch",
): void {
  rootTest(name, async () => {
    await using place = await placeOn(type);
    await using f = new ClaimsFixture(join(place.path, "root"));
    await body(f, place);
  });
}

async function mounted(f: ClaimsFixture, claim: string, target: string): Promise<Disposable & AsyncDisposable> {
  const source = f.path(claim);
  await mountImage({ source, target, fs_type: "ext4", read_only: false }, mounter, f.operation);
  return {
    [Symbol.dispose]() {},
    async [Symbol.asyncDispose]() {
      await mounter.unmount([target], { signal: f.operation.signal });
      for (let tries = 0; tries < 1000 && loopsOf(source).length > 0; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
  };
}

claimsTest("a claim gets a volume of its own, and both go when it is deleted", async (f) => {
  await f.create(classJson("fast"));
  await f.create(claimJson("c", small("fast")));
  await f.quiet();
  const { object, phase, storage, volume } = f.claim("c");
  assertEquals([phase, storage, volume], ["Bound", "16Mi", `pvc-${object!.metadata.uid}`]);
  assertEquals(f.onDisk(), [volume]);
  assertEquals(f.phase(volume!), "Bound");
  const spec = f.get("PersistentVolume", volume!)!.spec as Record<string, unknown>;
  assertEquals(spec.local, { path: join(f.home, volume!, "image"), fsType: "ext4" });
  assertEquals(spec.persistentVolumeReclaimPolicy, "Delete");
  assertEquals(object!.metadata.finalizers, ["kubernetes.io/pvc-protection"]);
  assertMatch(f.events("c").join("\n"), /^ProvisioningSucceeded: Successfully provisioned volume pvc-/);
  await f.delete("PersistentVolumeClaim", "c");
  assertEquals([f.claim("c").object, f.get("PersistentVolume", volume!)], [undefined, undefined]);
  assertEquals(f.onDisk(), []);
});

claimsTest(
  "a class that retains leaves volume and data when the claim goes, and the volume can be had again",
  async (f) => {
    await f.create(classJson("keep", { reclaimPolicy: "Retain" }));
    await f.create(claimJson("c", small("keep")));
    await f.quiet();
    const { volume } = f.claim("c");
    await f.delete("PersistentVolumeClaim", "c");
    assertEquals([f.phase(volume!), f.onDisk()], ["Released", [volume]]);
    // Another claim does not get it by itself.
    await f.create(claimJson("other", { storageClassName: "keep", ...asks("16Mi"), volumeName: volume }));
    await f.quiet();
    assertEquals(f.claim("other").phase, "Pending");
    assertMatch(f.events("other")[0]!, /is already bound to claim default\/c/);
    await f.change("PersistentVolume", volume!, { claimRef: undefined });
    assertEquals([f.claim("other").phase, f.phase(volume!)], ["Bound", "Bound"]);
  },
);

claimsTest("volumes that people made are bound both ways, and a claim says why it cannot be", async (f) => {
  await f.create(claimJson("c", { storageClassName: "" }));
  await f.quiet();
  assertEquals(f.claim("c").phase, "Pending");
  assertEquals(f.events("c"), [
    'FailedBinding: no persistent volumes available for this claim (there are no volumes), and its storageClassName is "", so none is made',
  ]);
  await f.create(volumeJson("tiny", { capacity: { storage: "1Mi" } }));
  await f.quiet();
  assertEquals(f.phase("tiny"), "Available");
  assertMatch(f.events("c").at(-1)!, /tiny: it has 1Mi of 1Gi/);
  await f.create(volumeJson("good", { capacity: { storage: "3Gi" } }));
  await f.quiet();
  const { phase, volume, storage } = f.claim("c");
  assertEquals([phase, volume, storage], ["Bound", "good", "3Gi"]);
  const claimRef = (f.get("PersistentVolume", "good")!.spec as { claimRef: Record<string, string> }).claimRef;
  assertEquals(claimRef.uid, f.claim("c").object!.metadata.uid);
  // A bound volume stays while it is bound; its end is not the data's.
  await f.delete("PersistentVolume", "good");
  assert(f.get("PersistentVolume", "good")?.metadata.deletionTimestamp !== undefined);
  await f.delete("PersistentVolumeClaim", "c");
  assertEquals([f.claim("c").object, f.get("PersistentVolume", "good")], [undefined, undefined]);
});

claimsTest(
  "a claim that a pod uses stays until the pod is gone; one that waits is served when a pod comes",
  async (f) => {
    await f.create(classJson("later", { volumeBindingMode: "WaitForFirstConsumer" }));
    await f.create(claimJson("c", small("later")));
    await f.quiet();
    assertEquals([f.claim("c").phase, f.onDisk()], ["Pending", []]);
    assertMatch(f.events("c")[0]!, /^WaitForFirstConsumer: /);
    await f.create(podJson("p", ["c"]));
    await f.quiet();
    assertEquals(f.claim("c").phase, "Bound");
    await f.delete("PersistentVolumeClaim", "c");
    assert(f.claim("c").object?.metadata.deletionTimestamp !== undefined, "it stays while it is used");
    assertMatch(f.events("c").at(-1)!, /ClaimInUse: .*pod default\/p uses it/);
    assertEquals(f.onDisk().length, 1);
    await f.objects.update({ kind: "Pod", namespace: "default", name: "p" }, (pod) => ({
      ...pod,
      metadata: { ...pod.metadata, finalizers: [] },
    }));
    await f.delete("Pod", "p");
    assertEquals([f.claim("c").object, f.onDisk()], [undefined, []]);
  },
);

claimsTest("an image grows while it is mounted, and one that is not when it is mounted next", async (f, place) => {
  await f.create(classJson("grows", { allowVolumeExpansion: true }));
  await f.create(classJson("stays"));
  await f.create(claimJson("c", small("grows")));
  await f.create(claimJson("fixed", small("stays")));
  await f.quiet();
  await f.change("PersistentVolumeClaim", "fixed", asks("32Mi"));
  assertMatch(f.events("fixed").at(-1)!, /VolumeResizeFailed: .*class stays has no "allowVolumeExpansion: true"/);

  await f.change("PersistentVolumeClaim", "c", asks("64Mi"));
  assertEquals([f.claim("c").storage, f.claim("c").conditions?.[0]?.type], ["16Mi", "FileSystemResizePending"]);
  assertEquals((f.get("PersistentVolume", f.claim("c").volume!)!.spec as { capacity: unknown }).capacity, {
    storage: "64Mi",
  });
  const target = place.target("m");
  {
    await using _mount = await mounted(f, "c", target);
    await f.create(podJson("p", ["c"]));
    await f.quiet();
    assertEquals([f.claim("c").storage, f.claim("c").conditions], ["64Mi", undefined]);
    assertMatch(f.events("c").at(-1)!, /^VolumeResizeSuccessful: /);
    if (effectiveCapabilities().has("sys_resource")) {
      await f.change("PersistentVolumeClaim", "c", asks("128Mi"));
      assertEquals(f.claim("c").storage, "128Mi");
    } else {
      await f.change("PersistentVolumeClaim", "c", asks("128Mi"));
      assertMatch(
        f.events("c").at(-1)!,
        /FileSystemResizeRequired: .*mounts the volume next, not now: .*CAP_SYS_RESOURCE/,
      );
    }
  }
  // It never shrinks.
  const before = f.claim("c").storage;
  await f.change("PersistentVolumeClaim", "c", asks("8Mi"));
  assertEquals(f.claim("c").storage, before);
});

claimsTest("snapshots and copies of images on xfs are independent of what they are made of", async (f, place) => {
  await f.create(classJson("fast"));
  await f.create(claimJson("c", small("fast")));
  await f.quiet();
  const target = place.target("m");
  {
    await using _mount = await mounted(f, "c", target);
    Deno.writeTextFileSync(join(target, "a"), "one");
    await f.create(snapshotJson("s", "c"));
    await f.quiet();
    Deno.writeTextFileSync(join(target, "a"), "two");
  }
  const status = f.get("VolumeSnapshot", "s")!.status as Record<string, unknown>;
  assertEquals([status.readyToUse, status.restoreSize], [true, "16Mi"]);
  const source = { apiGroup: "snapshot.storage.k8s.io", kind: "VolumeSnapshot", name: "s" };
  await f.create(claimJson("restored", small("fast", { dataSource: source, ...asks("32Mi") })));
  await f.create(claimJson("cloned", small("fast", { dataSource: { kind: "PersistentVolumeClaim", name: "c" } })));
  await f.create(claimJson("tooSmall".toLowerCase(), small("fast", { dataSource: source, ...asks("1Mi") })));
  await f.quiet();
  assertMatch(f.events("toosmall")[0]!, /ProvisioningFailed: the claim asks for 1Mi, but its source needs 16Mi/);
  // The origin and the snapshot may go.
  await f.delete("PersistentVolumeClaim", "c");
  await f.delete("VolumeSnapshot", "s");
  assertEquals(f.onDisk().length, 2);
  for (const [name, content] of [["restored", "one"], ["cloned", "two"]] as const) {
    await using _mount = await mounted(f, name, target);
    assertEquals(Deno.readTextFileSync(join(target, "a")), content);
  }
  assertEquals(f.claim("restored").storage, "32Mi");
}, "xfs");

claimsTest("where blocks cannot be shared a snapshot is refused with the reason, and can go", async (f) => {
  await f.create(classJson("fast"));
  await f.create(claimJson("c", small("fast")));
  await f.create(snapshotJson("s", "c"));
  await f.quiet();
  const { error, readyToUse } = f.get("VolumeSnapshot", "s")!.status as {
    error: { message: string };
    readyToUse: boolean;
  };
  assertEquals(readyToUse, false);
  assertStringIncludes(error.message, "cannot share blocks");
  await f.delete("VolumeSnapshot", "s");
  assertEquals(f.get("VolumeSnapshot", "s"), undefined);
  await f.delete("PersistentVolumeClaim", "c");
  assertEquals(f.onDisk(), []);
});

claimsTest("subvolumes are volumes with snapshots", async (f) => {
  await f.create(classJson("sub", { parameters: { backing: "btrfs" } }));
  await f.create(claimJson("c", small("sub")));
  await f.quiet();
  Deno.writeTextFileSync(join(f.path("c"), "a"), "one");
  await f.create(snapshotJson("s", "c"));
  await f.quiet();
  Deno.writeTextFileSync(join(f.path("c"), "a"), "two");
  await f.create(claimJson("r", small("sub", { dataSource: { kind: "VolumeSnapshot", name: "s" } })));
  await f.quiet();
  assertEquals(Deno.readTextFileSync(join(f.path("r"), "a")), "one");
  for (const name of ["c", "r"]) await f.delete("PersistentVolumeClaim", name);
  await f.delete("VolumeSnapshot", "s");
  assertEquals(f.onDisk(), []);
}, "btrfs");

claimsTest("no more is promised than there is, unless the class says so", async (f) => {
  await f.create(classJson("honest"));
  await f.create(classJson("bold", { parameters: { overprovision: "true" } }));
  await f.create(claimJson("first", { storageClassName: "honest", ...asks("300Mi") }));
  await f.quiet();
  const { total_bytes, available_bytes } = await f.local.capacity({}, f.operation);
  assert(total_bytes > 900 * MIB && available_bytes > 400 * MIB && available_bytes < 700 * MIB, `${available_bytes}`);
  await f.create(claimJson("second", { storageClassName: "honest", ...asks("900Mi") }));
  await f.quiet();
  assertEquals(f.claim("second").phase, "Pending");
  assertMatch(
    f.events("second")[0]!,
    /ProvisioningFailed: failed to provision .*"honest": Cannot give 943718400 bytes/,
  );
  await f.create(claimJson("third", { storageClassName: "bold", ...asks("10Gi") }));
  await f.quiet();
  assertEquals(f.claim("third").phase, "Bound");
  assertEquals(f.onDisk().length, 2);
  // What could not be had is had when there is room again.
  await f.delete("PersistentVolumeClaim", "first");
  await f.change("PersistentVolumeClaim", "second", asks("200Mi"));
  await f.create(podJson("nudge", []));
  await f.quiet();
  assertEquals(f.claim("second").phase, "Bound");
}, "xfs");

claimsTest("wrong parameters, wrong classes and full disks are told at the claim", async (f, place) => {
  const classes: [string, Record<string, unknown>, RegExp][] = [
    ["typo", { parameters: { baking: "image" } }, /lamina.dev\/local has no parameter "baking"/],
    ["wrong", { parameters: { backing: "zfs" } }, /parameters.backing: must be "auto", "quota"/],
    [
      "nowhere",
      { parameters: { path: "/does/not/exist" } },
      /Cannot make volumes in \/does\/not\/exist: it does not exist/,
    ],
    ["quota", { parameters: { backing: "quota" } }, /by project quotas/],
    ["cloud", { provisioner: "ebs.csi.aws.com" }, /"ebs.csi.aws.com", which is not here/],
  ];
  for (const [name, fields, message] of classes) {
    await f.create(classJson(name, fields));
    await f.create(claimJson(`c-${name}`, small(name)));
    await f.quiet();
    assertEquals(f.claim(`c-${name}`).phase, "Pending");
    assertMatch(f.events(`c-${name}`).join("\n"), message);
    await f.delete("PersistentVolumeClaim", `c-${name}`);
    assertEquals(f.claim(`c-${name}`).object, undefined, `claim of class ${name} goes`);
  }
  assertEquals(f.onDisk(), []);
  // In a place of its own; two Laminas do not share one.
  await f.create(classJson("there", { parameters: { path: place.target("disk") } }));
  await f.create(claimJson("c", small("there")));
  await f.quiet();
  assertEquals(f.claim("c").phase, "Bound");
  await using other = new ClaimsFixture(join(place.path, "other"));
  await other.create(classJson("there", { parameters: { path: dirname(dirname(f.path("c"))) } }));
  await other.create(claimJson("c", small("there")));
  await other.quiet();
  // This process is the holder: in another one it is named.
  assertMatch(other.events("c")[0]!, /another Lamina, has it open/);
});

claimsTest("what is mounted is not deleted: the volume fails, says where, and goes when it can", async (f, place) => {
  await f.create(classJson("fast"));
  await f.create(claimJson("c", small("fast")));
  await f.quiet();
  const { volume } = f.claim("c"), target = place.target("m");
  {
    await using _mount = await mounted(f, "c", target);
    await f.delete("PersistentVolumeClaim", "c");
    assertEquals(f.phase(volume!), "Failed");
    assertMatch(f.events(volume!).at(-1)!, /^VolumeFailedDelete: .*mounted at/);
    assertEquals(f.onDisk(), [volume]);
  }
  await f.create(podJson("nudge", []));
  await f.quiet();
  assertEquals([f.get("PersistentVolume", volume!), f.onDisk()], [undefined, []]);
});

claimsTest("block volumes are images without a file system", async (f) => {
  await f.create(classJson("fast"));
  await f.create(claimJson("c", small("fast", { volumeMode: "Block" })));
  await f.quiet();
  const volume = f.get("PersistentVolume", f.claim("c").volume!)!;
  assertEquals((volume.spec as { local: unknown }).local, { path: f.path("c") });
  assertEquals(Deno.statSync(f.path("c")).size, 16 * MIB);
});

claimsTest("check tells of data without a volume and of volumes without data; capacity what each holds", async (f) => {
  assertEquals(await checkClaims(f.room, f.operation), []);
  assertEquals(f.onDisk(), [], "looking makes nothing");
  await f.create(classJson("keep", { reclaimPolicy: "Retain" }));
  await f.create(classJson("cloud", { provisioner: "ebs.csi.aws.com" }));
  for (const name of ["a", "b"]) await f.create(claimJson(name, small("keep")));
  await f.create(volumeJson("mine", { storageClassName: "other" }));
  await f.quiet();
  const told = async () => (await checkClaims(f.room, f.operation)).map(({ kind, object }) => `${kind} ${object}`);
  assertEquals(await told(), []);
  const { classes, volumes } = await new Claims(f.room).capacity(f.operation);
  assertMatch(classes.find((one) => one.storage_class === "cloud")!.error!, /no provisioner "ebs.csi.aws.com"/);
  assert(classes.find((one) => one.storage_class === "keep")!.available_bytes! > 0);
  const of = (name: string) => volumes.find((one) => one.name === name)!;
  const { volume: a } = f.claim("a"), { volume: b } = f.claim("b");
  assertEquals([of(a!).claim, of(a!).phase, of(a!).capacity_bytes], ["default/a", "Bound", 16 * MIB]);
  assert(of(a!).used_bytes! < 8 * MIB);
  assertEquals(of("mine").used_bytes, undefined);

  await f.delete("PersistentVolumeClaim", "a");
  await f.delete("PersistentVolume", a!);
  await Deno.rename(join(f.home, b!), join(f.directory, "elsewhere"));
  assertEquals(await told(), [`missing-volume-data ${b}`, `unowned-volume-data ${join(f.home, a!)}`]);
  // An object of another name makes it somebody's again.
  await f.create(volumeJson("again", { local: { path: join(f.home, a!, "image") }, capacity: { storage: "16Mi" } }));
  await Deno.rename(join(f.directory, "elsewhere"), join(f.home, b!));
  await f.quiet();
  assertEquals(await told(), []);
});
