import { assertEquals, assertStringIncludes } from "@std/assert";
import { isReadOnlyClaim, refusedUse } from "../../runtime/volume/claims/access.ts";
import { type Action, plan, type World } from "../../runtime/volume/claims/plan.ts";
import { type ClaimUser, claimUsers } from "../../runtime/volume/claims/views.ts";
import { claim, podJson, snapshot, storageClass, volume } from "./support/objects.ts";

const PROTECTED = ["kubernetes.io/pvc-protection"];
const PROVISIONING = [...PROTECTED, "lamina.dev/provisioning"];
const deletionTimestamp = "2026-01-01T00:00:00Z";
const mine = { "pv.kubernetes.io/provisioned-by": "lamina.dev/local" };
const none = { storageClassName: "" };
const refOf = (name: string, uid = `uid-${name}`) => ({ claimRef: { namespace: "default", name, uid } });
const asks = (storage: string) => ({ resources: { requests: { storage } } });
const bound = (storage = "1Gi", more: Record<string, unknown> = {}) => ({
  phase: "Bound",
  capacity: { storage },
  ...more,
});
const user = (pod: string, more: Partial<ClaimUser> = {}): ClaimUser => ({
  pod: `default/${pod}`,
  uid: pod,
  created: "2026-01-01T00:00:00Z",
  deleting: false,
  ...more,
});

function planned(world: Partial<World>): string[] {
  return actions(world).map((action) => {
    const about = "claim" in action && action.kind !== "take_snapshot"
      ? action.claim.name
      : "snapshot" in action
      ? action.snapshot.name
      : action.volume.name;
    const more = action.kind === "bind" || action.kind === "settle"
      ? ` ${action.volume.name}`
      : action.kind === "set_phase"
      ? ` ${action.phase}`
      : action.kind === "wait"
      ? ` ${action.reason}`
      : action.kind === "provision" && action.from !== undefined
      ? " from " + ("snapshot" in action.from ? action.from.snapshot.name : action.from.volume.name)
      : "";
    return `${action.kind} ${about}${more}`;
  });
}

function actions(world: Partial<World>): Action[] {
  return plan({
    claims: [],
    volumes: [],
    classes: [storageClass("fast"), storageClass("grows", { allowVolumeExpansion: true })],
    snapshots: [],
    users: new Map(),
    node: { name: "here", labels: {} },
    provisioners: ["lamina.dev/local"],
    ...world,
  });
}

const pair = (name: string, spec = {}, meta = {}, status: Record<string, unknown> = bound()) => ({
  claim: claim(name, { ...none, volumeName: `v-${name}`, ...spec }, meta, status),
  volume: volume(`v-${name}`, refOf(name), {}, "Bound"),
});

const CASES: readonly (readonly [string, Partial<World>, readonly string[]])[] = [
  ["nothing is to do in an empty world", {}, []],
  ["a new volume is made available", { volumes: [volume("v", {}, {}, "Pending")] }, ["set_phase v Available"]],
  [
    "a volume that is reserved by name is available until its claim comes",
    { volumes: [volume("v", { claimRef: { namespace: "default", name: "c" } }, {}, "Available")] },
    [],
  ],
  [
    "two claims do not get one volume, and who came first is first",
    { claims: [claim("a", none), claim("b", none)], volumes: [volume("v")] },
    ["bind a v", "wait b FailedBinding"],
  ],
  [
    "two claims get two volumes",
    { claims: [claim("a", none), claim("b", none)], volumes: [volume("v"), volume("w")] },
    ["bind a v", "bind b w"],
  ],
  ["who is bound stays so", { claims: [pair("c").claim], volumes: [pair("c").volume] }, []],
  [
    "after a crash between the two halves the other half follows",
    { claims: [claim("c", none)], volumes: [volume("v", refOf("c"), {}, "Bound"), volume("w")] },
    ["bind c v"],
  ],
  [
    "after a crash before the status it follows",
    { claims: [claim("c", { ...none, volumeName: "v" })], volumes: [volume("v", refOf("c"), {}, "Bound")] },
    ["settle c v"],
  ],
  [
    "a claim whose volume is gone is lost",
    { claims: [claim("c", { ...none, volumeName: "v" }, {}, bound())] },
    ["lose c"],
  ],
  ["once", { claims: [claim("c", { ...none, volumeName: "v" }, {}, { phase: "Lost" })] }, []],
  [
    "a claim whose volume is another's is lost",
    {
      claims: [claim("c", { ...none, volumeName: "v" }, {}, bound())],
      volumes: [volume("v", refOf("other"), {}, "Released")],
    },
    ["lose c"],
  ],
  [
    "a claim that nobody uses goes",
    { claims: [pair("c", {}, { deletionTimestamp }).claim], volumes: [pair("c").volume] },
    ["release_claim c"],
  ],
  [
    "a claim that a pod uses stays",
    {
      claims: [pair("c", {}, { deletionTimestamp }).claim],
      volumes: [pair("c").volume],
      users: new Map([["default/c", [user("p")]]]),
    },
    ["wait c ClaimInUse"],
  ],
  [
    "also while that pod goes itself",
    {
      claims: [pair("c", {}, { deletionTimestamp }).claim],
      volumes: [pair("c").volume],
      users: new Map([["default/c", [user("p", { deleting: true })]]]),
    },
    ["wait c ClaimInUse"],
  ],
  [
    "a claim that is going gets nothing",
    { claims: [claim("c", none, { deletionTimestamp })], volumes: [volume("v")] },
    ["release_claim c"],
  ],
  [
    "a volume is released when its claim is gone",
    { volumes: [volume("v", refOf("c"), {}, "Bound")] },
    ["set_phase v Released"],
  ],
  [
    "also when a new claim has that name",
    { claims: [claim("c", none, { uid: "new" })], volumes: [volume("v", refOf("c"), {}, "Bound")] },
    ["wait c FailedBinding", "set_phase v Released"],
  ],
  ["what is retained stays", { volumes: [volume("v", refOf("c"), {}, "Released")] }, []],
  [
    "what is not retained is deleted",
    {
      volumes: [
        volume("v", { ...refOf("c"), persistentVolumeReclaimPolicy: "Delete" }, { annotations: mine }, "Released"),
      ],
    },
    ["reclaim v"],
  ],
  [
    "also when that failed before",
    {
      volumes: [
        volume("v", { ...refOf("c"), persistentVolumeReclaimPolicy: "Delete" }, { annotations: mine }, "Failed"),
      ],
    },
    ["reclaim v"],
  ],
  [
    "what nobody here can delete is tried once",
    {
      volumes: ["Released", "Failed"].map((phase) =>
        volume(phase.toLowerCase(), { ...refOf("c"), persistentVolumeReclaimPolicy: "Delete" }, {}, phase)
      ),
    },
    ["reclaim released"],
  ],
  [
    "a bound volume that is deleted stays",
    { claims: [pair("c").claim], volumes: [volume("v-c", refOf("c"), { deletionTimestamp }, "Bound")] },
    [],
  ],
  ["a free volume that is deleted goes", { volumes: [volume("v", {}, { deletionTimestamp })] }, ["release_volume v"]],
  [
    "a released one that is retained goes without its data",
    { volumes: [volume("v", refOf("c"), { deletionTimestamp }, "Released")] },
    ["release_volume v"],
  ],
  [
    "two volumes of one path: the second is given to nobody",
    {
      claims: [claim("a", none), claim("b", none)],
      volumes: [volume("v", { local: { path: "/d" } }), volume("w", { local: { path: "/d" } })],
    },
    ["bind a v", "wait b FailedBinding", "warn_volume w"],
  ],
  ["a volume is made", { claims: [claim("c", { storageClassName: "fast" })] }, ["provision c"]],
  [
    "what is being made for a claim is finished, though another volume would fit by now",
    {
      claims: [claim("c", { storageClassName: "fast" }, { finalizers: PROVISIONING })],
      volumes: [volume("v", { storageClassName: "fast" })],
    },
    ["provision c"],
  ],
  [
    "what was made for a claim is bound",
    {
      claims: [claim("c", { storageClassName: "fast" }, { finalizers: PROVISIONING })],
      volumes: [volume("pvc", { storageClassName: "fast", ...refOf("c") }, { annotations: mine }, "Pending")],
    },
    ["bind c pvc"],
  ],
  [
    "a claim that goes while something is made for it",
    { claims: [claim("c", { storageClassName: "fast" }, { finalizers: PROVISIONING, deletionTimestamp })] },
    ["discard c"],
  ],
];

for (const [name, world, expected] of CASES) {
  Deno.test(`plan: ${name}`, () => assertEquals(planned(world), expected));
}

Deno.test("plan: a claim grows where its class allows it, never shrinks, and is told why not", () => {
  const grown = (className: string, storage: string, meta = {}, more = {}) => ({
    claims: [claim("c", { storageClassName: className, volumeName: "v", ...asks(storage) }, {}, bound("1Gi", more))],
    volumes: [volume("v", { storageClassName: className, ...refOf("c") }, meta, "Bound")],
  });
  const pending = { conditions: [{ type: "FileSystemResizePending", status: "True" }] };
  assertEquals(planned(grown("grows", "2Gi", { annotations: mine })), ["expand c"]);
  assertEquals(planned(grown("grows", "1Gi", { annotations: mine })), []);
  assertEquals(planned(grown("grows", "512Mi", { annotations: mine })), []);
  const refusals = [grown("fast", "2Gi", { annotations: mine }), grown("grows", "2Gi"), grown("gone", "2Gi")]
    .map((world) => actions(world)[0] as Action & { message: string });
  assertStringIncludes(refusals[0]!.message, 'Cannot expand to 2Gi: class fast has no "allowVolumeExpansion: true"');
  assertStringIncludes(refusals[1]!.message, "was not made by a provisioner of this node");
  assertStringIncludes(refusals[2]!.message, "volume v has no class that allows it");
  // The device has grown; the file system waits for a mount, which only a pod brings.
  const waiting = grown("grows", "2Gi", { annotations: mine }, pending);
  const larger = {
    ...waiting,
    volumes: [
      volume(
        "v",
        { storageClassName: "grows", capacity: { storage: "2Gi" }, ...refOf("c") },
        { annotations: mine },
        "Bound",
      ),
    ],
  };
  assertEquals(planned(waiting), ["expand c"]);
  assertEquals(planned(larger), []);
  assertEquals(planned({ ...larger, users: new Map([["default/c", [user("p")]]]) }), ["expand c"]);
});

Deno.test("plan: snapshots are taken of bound claims, and hold what they are made of", () => {
  const { claim: c } = pair("c");
  const v = volume("v-c", refOf("c"), { annotations: mine }, "Bound");
  const world = (snapshots: World["snapshots"], claims = [c]) => planned({ claims, volumes: [v], snapshots });
  assertEquals(world([snapshot("s", "c")]), ["take_snapshot s"]);
  assertEquals(world([snapshot("s", "c", {}, { readyToUse: true })]), []);
  assertEquals(world([snapshot("s", "gone")]), ["fail_snapshot s"]);
  assertEquals(planned({ claims: [c], volumes: [pair("c").volume], snapshots: [snapshot("s", "c")] }), [
    "fail_snapshot s",
  ]);
  assertEquals(world([snapshot("s", "c", { deletionTimestamp, finalizers: ["lamina.dev/snapshot-protection"] })]), [
    "delete_snapshot s",
  ]);
  const going = pair("c", {}, { deletionTimestamp }).claim;
  const taking = snapshot("s", "c", { finalizers: ["lamina.dev/snapshot-protection"] });
  assertEquals(world([taking], [going])[0], "wait c ClaimInUse");
  const failed = snapshot("s", "c", { finalizers: ["lamina.dev/snapshot-protection"] }, { error: { message: "no" } });
  assertEquals(world([failed], [going])[0], "release_claim c");
});

Deno.test("plan: restores and clones say what is missing", () => {
  const from = (kind: string, name: string, storage = "1Gi", finalizers = PROTECTED) =>
    claim("new", { storageClassName: "fast", dataSource: { kind, name }, ...asks(storage) }, { finalizers });
  const ready = { readyToUse: true, restoreSize: "1Gi", handle: "/h", provisioner: "lamina.dev/local" };
  const source = pair("c");
  const v = volume("v-c", refOf("c"), { annotations: mine }, "Bound");
  const tell = (one: World["claims"][number], world: Partial<World> = {}) => {
    const [action] = actions({ ...world, claims: [one, ...world.claims ?? []] });
    return action!.kind === "wait" ? action!.message : planned({ ...world, claims: [one, ...world.claims ?? []] })[0];
  };
  assertEquals(
    tell(from("VolumeSnapshot", "s"), { snapshots: [snapshot("s", "c", {}, ready)] }),
    "provision new from s",
  );
  assertEquals(
    tell(from("PersistentVolumeClaim", "c"), { claims: [source.claim], volumes: [v] }),
    "provision new from v-c",
  );
  const refusals: [string | undefined, string][] = [
    [tell(from("VolumeSnapshot", "s")), "the VolumeSnapshot default/s does not exist"],
    [tell(from("VolumeSnapshot", "s"), { snapshots: [snapshot("s", "c")] }), "is not ready"],
    [
      tell(from("VolumeSnapshot", "s", "1Mi"), { snapshots: [snapshot("s", "c", {}, ready)] }),
      "the claim asks for 1Mi, but its source needs 1Gi",
    ],
    [
      tell(from("VolumeSnapshot", "s"), {
        snapshots: [snapshot("s", "c", {}, { ...ready, provisioner: "lamina.dev/lvm" })],
      }),
      "is of lamina.dev/lvm, the class fast of lamina.dev/local",
    ],
    [tell(from("PersistentVolumeClaim", "gone")), "default/gone, which is to be copied, does not exist"],
    [tell(from("PersistentVolumeClaim", "c"), { claims: [claim("c", none)] }), "is not bound"],
  ];
  for (const [message, part] of refusals) assertStringIncludes(message!, part);
  // The source stays until the copy is made.
  const going = pair("c", {}, { deletionTimestamp }).claim;
  const copying = from("PersistentVolumeClaim", "c", "1Gi", PROVISIONING);
  assertEquals(planned({ claims: [going, copying], volumes: [v] }), ["wait c ClaimInUse", "provision new from v-c"]);
});

Deno.test("pods use the claims that they name and those of their own, until they have ended", () => {
  const pod = (name: string, claims: string[], status?: Record<string, unknown>) =>
    ({
      ...podJson(name, claims),
      metadata: { name, namespace: "default", uid: name, resourceVersion: "1", creationTimestamp: "t" },
      status,
    }) as unknown as Parameters<typeof claimUsers>[0] extends Iterable<infer T> ? T : never;
  const own = { ...pod("own", []), spec: { volumes: [{ name: "scratch", ephemeral: {} }] } };
  const users = claimUsers([pod("a", ["x", "x"]), pod("b", ["x"]), pod("done", ["y"], { phase: "Succeeded" }), own]);
  assertEquals([...users].map(([key, all]) => `${key}: ${all.map(({ uid }) => uid)}`), [
    "default/x: a,b",
    "default/own-scratch: own",
  ]);
});

Deno.test("ReadWriteOncePod is for the pod that came first; ReadOnlyMany is read-only", () => {
  const one = { key: "default/c", access_modes: ["ReadWriteOncePod"] as const };
  const users = [user("late", { created: "2026-02-01T00:00:00Z" }), user("early")];
  assertEquals(refusedUse(one, "early", users), undefined);
  assertStringIncludes(refusedUse(one, "late", users)!, "pod default/early uses it");
  assertEquals(refusedUse({ ...one, access_modes: ["ReadWriteOnce"] }, "late", users), undefined);
  assertEquals([
    isReadOnlyClaim(["ReadOnlyMany"]),
    isReadOnlyClaim(["ReadOnlyMany", "ReadWriteOnce"]),
    isReadOnlyClaim(["ReadWriteOnce"], ["ReadOnlyMany"]),
    isReadOnlyClaim(["ReadWriteOnce"], ["ReadWriteOnce"]),
  ], [true, false, true, false]);
});
