import { assertEquals, assertMatch } from "@std/assert";
import { match, type MatchWorld } from "../../runtime/volume/claims/bind.ts";
import type { Claim, Class, Volume } from "../../runtime/volume/claims/views.ts";
import { claim, storageClass, volume } from "./support/objects.ts";

const node = { name: "here", labels: { "kubernetes.io/hostname": "here", zone: "a" } };

interface Case {
  readonly name: string;
  readonly claim: Claim;
  readonly volumes?: readonly Volume[];
  readonly classes?: readonly Class[];
  readonly consumer?: boolean;
  /** `bind NAME`, `provision CLASS`, or a pattern of `REASON: message`. */
  readonly is: string | RegExp;
}

function outcome({ claim, volumes = [], classes = [], consumer = false }: Case): string {
  const world: MatchWorld = { volumes, classes, node, provisioners: ["lamina.dev/local"], hasConsumer: consumer };
  const found = match(claim, world);
  if (found.kind === "bind") return `bind ${found.volume.name}`;
  if (found.kind === "provision") return `provision ${found.class.name}`;
  return `${found.reason}: ${found.message}`;
}

const size = (storage: string) => ({ capacity: { storage } });
const on = (expressions: unknown[], key = "matchExpressions") => ({
  nodeAffinity: { required: { nodeSelectorTerms: [{ [key]: expressions }] } },
});
const none = { storageClassName: "" };
const fast = storageClass("fast");
const slow = storageClass("slow", { volumeBindingMode: "WaitForFirstConsumer" });

const CASES: readonly Case[] = [
  {
    name: "the smallest that fits is taken",
    claim: claim("c", none),
    volumes: [
      volume("big", size("9Gi")),
      volume("fits", size("2Gi")),
      volume("small", size("1Mi")),
      volume("mid", size("3Gi")),
    ],
    is: "bind fits",
  },
  { name: "as much as asked for is enough", claim: claim("c", none), volumes: [volume("v")], is: "bind v" },
  {
    name: "of two of one size the first is taken",
    claim: claim("c", none),
    volumes: [volume("a"), volume("b")],
    is: "bind a",
  },
  {
    name: "a volume that is too small, and it is said how small",
    claim: claim("c", none),
    volumes: [volume("v", size("512Mi"))],
    is: /^FailedBinding: no persistent volumes available .*v: it has 512Mi of 1Gi.*storageClassName is ""/,
  },
  {
    name: "a volume that somebody has is nobody else's",
    claim: claim("c", none),
    volumes: [volume("v", { claimRef: { namespace: "default", name: "other", uid: "o" } }, {}, "Bound")],
    is: /the only volume is claimed/,
  },
  {
    name: "a volume that is released is not available, though nobody has it",
    claim: claim("c", none),
    volumes: [volume("v", {}, {}, "Released")],
    is: /v: it is Released/,
  },
  {
    name: "a volume that is being deleted is not given away",
    claim: claim("c", none),
    volumes: [volume("v", {}, { deletionTimestamp: "2026-01-01T00:00:00Z" })],
    is: /v: it is being deleted/,
  },
  {
    name: "the modes of access must all be allowed",
    claim: claim("c", { ...none, accessModes: ["ReadWriteOnce", "ReadOnlyMany"] }),
    volumes: [
      volume("one", { accessModes: ["ReadWriteOnce"] }),
      volume("all", { accessModes: ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce"] }),
    ],
    is: "bind all",
  },
  {
    name: "ReadWriteOnce is not ReadWriteOncePod",
    claim: claim("c", { ...none, accessModes: ["ReadWriteOncePod"] }),
    volumes: [volume("v")],
    is: /v: it does not allow ReadWriteOncePod/,
  },
  {
    name: "a file system is no block device",
    claim: claim("c", { ...none, volumeMode: "Block" }),
    volumes: [volume("v")],
    is: /v: its volumeMode is Filesystem/,
  },
  {
    name: "a block device for who wants one",
    claim: claim("c", { ...none, volumeMode: "Block" }),
    volumes: [volume("v"), volume("b", { volumeMode: "Block" })],
    is: "bind b",
  },
  {
    name: "the class must be the same",
    claim: claim("c", none),
    volumes: [volume("v", { storageClassName: "fast" })],
    is: /v: its class is "fast", not ""/,
  },
  {
    name: "a volume of the class comes before a new one",
    claim: claim("c", { storageClassName: "fast" }),
    volumes: [volume("v", { storageClassName: "fast" })],
    classes: [fast],
    is: "bind v",
  },
  {
    name: "else a new one is made",
    claim: claim("c", { storageClassName: "fast" }),
    classes: [fast],
    is: "provision fast",
  },
  {
    name: "no class is the default class",
    claim: claim("c"),
    classes: [
      fast,
      storageClass("usual", {}, { annotations: { "storageclass.kubernetes.io/is-default-class": "true" } }),
    ],
    is: "provision usual",
  },
  {
    name: "of two default classes it is the newer",
    claim: claim("c"),
    classes: ["old", "new"].map((name, i) =>
      storageClass(name, {}, {
        annotations: { "storageclass.kubernetes.io/is-default-class": "true" },
        creationTimestamp: `202${i}-01-01T00:00:00Z`,
      })
    ),
    is: "provision new",
  },
  {
    name: "without a default class there is only what has none",
    claim: claim("c"),
    classes: [fast],
    is: /no storage class is set and there is no default class/,
  },
  { name: "without a default class a volume without one", claim: claim("c"), volumes: [volume("v")], is: "bind v" },
  {
    name: "the empty class is no class, whatever the default is",
    claim: claim("c", none),
    classes: [storageClass("usual", {}, { annotations: { "storageclass.kubernetes.io/is-default-class": "true" } })],
    is: /storageClassName is "", so none is made/,
  },
  {
    name: "a class that does not exist, and those that do",
    claim: claim("c", { storageClassName: "fats" }),
    classes: [slow, fast],
    is: /^ProvisioningFailed: storageclass.storage.k8s.io "fats" not found. There are: fast, slow/,
  },
  {
    name: "a volume of a class that does not exist is a volume",
    claim: claim("c", { storageClassName: "gone" }),
    volumes: [volume("v", { storageClassName: "gone" })],
    is: "bind v",
  },
  {
    name: "a provisioner that is not here, and those that are",
    claim: claim("c", { storageClassName: "cloud" }),
    classes: [storageClass("cloud", { provisioner: "ebs.csi.aws.com" })],
    is: /^ProvisioningFailed: .*"ebs.csi.aws.com", which is not here. There are: lamina.dev\/local/,
  },
  {
    name: "a class whose volumes people make",
    claim: claim("c", { storageClassName: "manual" }),
    classes: [storageClass("manual", { provisioner: "kubernetes.io/no-provisioner" })],
    is: /^FailedBinding: class manual makes no volumes/,
  },
  {
    name: "the selector chooses",
    claim: claim("c", { ...none, selector: { matchLabels: { disk: "ssd" } } }),
    volumes: [volume("hdd", {}, { labels: { disk: "hdd" } }), volume("ssd", size("5Gi"), { labels: { disk: "ssd" } })],
    is: "bind ssd",
  },
  ...([
    [{ operator: "In", values: ["a", "b"] }, true],
    [{ operator: "In", values: ["b"] }, false],
    [{ operator: "NotIn", values: ["a"] }, false],
    [{ operator: "NotIn", values: ["b"] }, true],
    [{ operator: "Exists" }, true],
    [{ operator: "DoesNotExist" }, false],
  ] as const).map(([expression, fits]): Case => ({
    name: `selector ${JSON.stringify(expression)} of a volume with k=a`,
    claim: claim("c", { ...none, selector: { matchExpressions: [{ key: "k", ...expression }] } }),
    volumes: [volume("v", {}, { labels: { k: "a" } })],
    is: fits ? "bind v" : /the selector does not choose it/,
  })),
  {
    name: "a selector that contradicts itself",
    claim: claim("c", {
      ...none,
      selector: { matchLabels: { k: "a" }, matchExpressions: [{ key: "k", operator: "NotIn", values: ["a"] }] },
    }),
    volumes: [volume("v")],
    is: /^FailedBinding: the selector can never choose a volume: matchLabels wants k=a/,
  },
  {
    name: "expressions that exclude each other",
    claim: claim("c", {
      ...none,
      selector: {
        matchExpressions: [
          { key: "k", operator: "In", values: ["a"] },
          { key: "k", operator: "DoesNotExist" },
        ],
      },
    }),
    is: /no value of k fulfils/,
  },
  {
    name: "nothing is made for a selector",
    claim: claim("c", { storageClassName: "fast", selector: { matchLabels: { disk: "ssd" } } }),
    classes: [fast],
    is: /^ProvisioningFailed: a claim with a selector gets no new volume/,
  },
  {
    name: "a volume of another node",
    claim: claim("c", none),
    volumes: [volume("v", on([{ key: "kubernetes.io/hostname", operator: "In", values: ["there"] }]))],
    is: /v: it cannot be used on this node \(here\)/,
  },
  {
    name: "a volume of this node",
    claim: claim("c", none),
    volumes: [volume("v", on([{ key: "kubernetes.io/hostname", operator: "In", values: ["there", "here"] }]))],
    is: "bind v",
  },
  {
    name: "all expressions of a term must hold",
    claim: claim("c", none),
    volumes: [volume("v", on([{ key: "zone", operator: "Exists" }, { key: "gpu", operator: "Exists" }]))],
    is: /cannot be used on this node/,
  },
  {
    name: "one of the terms is enough, and a field is the node's name",
    claim: claim("c", none),
    volumes: [volume("v", {
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: "gpu", operator: "Exists" }] },
            { matchFields: [{ key: "metadata.name", operator: "In", values: ["here"] }] },
          ],
        },
      },
    })],
    is: "bind v",
  },
  {
    name: "what is reserved for the claim wins over what fits better",
    claim: claim("c", none),
    volumes: [volume("fits"), volume("mine", { ...size("9Gi"), claimRef: { namespace: "default", name: "c" } })],
    is: "bind mine",
  },
  {
    name: "what was reserved for an earlier claim of that name is not this one's",
    claim: claim("c", none),
    volumes: [volume("v", { claimRef: { namespace: "default", name: "c", uid: "earlier" } }, {}, "Released")],
    is: /the only volume is claimed/,
  },
  {
    name: "what is reserved in another namespace is not this one's",
    claim: claim("c", none),
    volumes: [volume("v", { claimRef: { namespace: "prod", name: "c" } })],
    is: /claimed/,
  },
  {
    name: "a reserved volume that does not fit is no reason to take another",
    claim: claim("c", none),
    volumes: [volume("fits"), volume("mine", { ...size("1Mi"), claimRef: { namespace: "default", name: "c" } })],
    is: /^VolumeMismatch: volume mine is reserved for this claim, but it has 1Mi of 1Gi/,
  },
  {
    name: "a claim that names its volume gets that one",
    claim: claim("c", { ...none, volumeName: "big" }),
    volumes: [volume("fits"), volume("big", size("9Gi"))],
    is: "bind big",
  },
  {
    name: "a volume that is named but does not exist",
    claim: claim("c", { ...none, volumeName: "gone" }),
    volumes: [volume("fits")],
    is: /^FailedBinding: volume gone, which the claim names, does not exist/,
  },
  {
    name: "a volume that is named but somebody has",
    claim: claim("c", { ...none, volumeName: "v" }),
    volumes: [volume("v", { claimRef: { namespace: "prod", name: "db", uid: "x" } }, {}, "Bound")],
    is: /volume v is already bound to claim prod\/db/,
  },
  {
    name: "a volume that is named but does not fit",
    claim: claim("c", { ...none, volumeName: "v", accessModes: ["ReadWriteMany"] }),
    volumes: [volume("v")],
    is: /^VolumeMismatch: volume v, which the claim names, does not fit: it does not allow ReadWriteMany/,
  },
  {
    name: "what waits for its first consumer waits",
    claim: claim("c", { storageClassName: "slow" }),
    volumes: [volume("v", { storageClassName: "slow" })],
    classes: [slow],
    is: /^WaitForFirstConsumer: waiting for first consumer/,
  },
  {
    name: "with a consumer it is bound",
    claim: claim("c", { storageClassName: "slow" }),
    volumes: [volume("v", { storageClassName: "slow" })],
    classes: [slow],
    consumer: true,
    is: "bind v",
  },
  {
    name: "with a consumer and without a volume one is made",
    claim: claim("c", { storageClassName: "slow" }),
    classes: [slow],
    consumer: true,
    is: "provision slow",
  },
  {
    name: "what is reserved does not wait",
    claim: claim("c", { storageClassName: "slow" }),
    volumes: [volume("v", { storageClassName: "slow", claimRef: { namespace: "default", name: "c" } })],
    classes: [slow],
    is: "bind v",
  },
  {
    name: "what is to have contents takes no empty volume",
    claim: claim("c", { storageClassName: "fast", dataSource: { kind: "VolumeSnapshot", name: "s" } }),
    volumes: [volume("v", { storageClassName: "fast" })],
    classes: [fast],
    is: "provision fast",
  },
  {
    name: "of many volumes that do not fit some are named",
    claim: claim("c", none),
    volumes: Array.from({ length: 9 }, (_, i) => volume(`v${i}`, size("1Mi"))),
    is: /v3: it has 1Mi of 1Gi; 5 more\)/,
  },
];

for (const one of CASES) {
  Deno.test(`binding: ${one.name}`, () => {
    if (typeof one.is === "string") assertEquals(outcome(one), one.is);
    else assertMatch(outcome(one), one.is);
  });
}
