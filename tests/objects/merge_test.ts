import { assertEquals } from "@std/assert";
import { mergeApplied, sameJson } from "../../runtime/objects/merge.ts";

const cases: ReadonlyArray<{
  name: string;
  before: Record<string, unknown>;
  wanted: Record<string, unknown>;
  current: Record<string, unknown>;
  merged: Record<string, unknown>;
}> = [
  {
    name: "what is given is set, what others have set stays",
    before: { spec: { a: 1 } },
    wanted: { spec: { a: 2 } },
    current: { spec: { a: 1, theirs: true }, status: { phase: "Bound" } },
    merged: { spec: { a: 2, theirs: true }, status: { phase: "Bound" } },
  },
  {
    name: "what was given and is not any more goes",
    before: { data: { old: "1", kept: "2" }, metadata: { labels: { a: "b" } } },
    wanted: { data: { kept: "2" } },
    current: { data: { old: "1", kept: "2", theirs: "3" }, metadata: { labels: { a: "b" }, uid: "u" } },
    merged: { data: { kept: "2", theirs: "3" } },
  },
  {
    name: "volumes are told apart by name, in the order in which they are given",
    before: { spec: { volumes: [{ name: "a" }, { name: "gone" }] } },
    wanted: { spec: { volumes: [{ name: "b", emptyDir: {} }, { name: "a", emptyDir: {} }] } },
    current: {
      spec: { volumes: [{ name: "a", emptyDir: { medium: "" } }, { name: "gone" }, { name: "theirs" }] },
    },
    merged: {
      spec: { volumes: [{ name: "b", emptyDir: {} }, { name: "a", emptyDir: { medium: "" } }, { name: "theirs" }] },
    },
  },
  {
    name: "a volume that changes its source loses the old one",
    before: { spec: { volumes: [{ name: "a", emptyDir: {} }] } },
    wanted: { spec: { volumes: [{ name: "a", hostPath: { path: "/x" } }] } },
    current: { spec: { volumes: [{ name: "a", emptyDir: { medium: "" } }] } },
    merged: { spec: { volumes: [{ name: "a", hostPath: { path: "/x" } }] } },
  },
  {
    name: "mounts are told apart by their paths inside of their container",
    before: { spec: { containers: [{ name: "c", volumeMounts: [{ name: "v", mountPath: "/a", readOnly: true }] }] } },
    wanted: { spec: { containers: [{ name: "c", volumeMounts: [{ name: "v", mountPath: "/a" }] }] } },
    current: {
      spec: {
        containers: [{
          name: "c",
          image: "theirs",
          volumeMounts: [{ name: "v", mountPath: "/a", readOnly: true }, { name: "w", mountPath: "/b" }],
        }],
      },
    },
    merged: {
      spec: {
        containers: [{
          name: "c",
          image: "theirs",
          volumeMounts: [{ name: "v", mountPath: "/a" }, { name: "w", mountPath: "/b" }],
        }],
      },
    },
  },
  {
    name: "other lists are replaced as a whole",
    before: { spec: { accessModes: ["ReadWriteOnce"] } },
    wanted: { spec: { accessModes: ["ReadOnlyMany"] } },
    current: { spec: { accessModes: ["ReadWriteOnce", "ReadWriteMany"] } },
    merged: { spec: { accessModes: ["ReadOnlyMany"] } },
  },
  {
    name: "a selector is one thing",
    before: { spec: { selector: { matchLabels: { a: "1" } } } },
    wanted: { spec: { selector: { matchExpressions: [] } } },
    current: { spec: { selector: { matchLabels: { a: "1" } } } },
    merged: { spec: { selector: { matchExpressions: [] } } },
  },
];

for (const { name, before, wanted, current, merged } of cases) {
  Deno.test(`apply: ${name}`, () => {
    const frozen = structuredClone(current);
    assertEquals(mergeApplied(before, wanted, current), merged);
    assertEquals(current, frozen, "the object itself is not changed");
    assertEquals(mergeApplied(wanted, wanted, merged), merged, "the same again changes nothing");
  });
}

Deno.test("a key __proto__ is a key like others", () => {
  const wanted = JSON.parse('{"data": {"__proto__": "x"}}');
  const merged = mergeApplied({}, wanted, { data: { a: "1" } });
  assertEquals(Object.keys(merged.data as object), ["a", "__proto__"]);
  assertEquals(({} as { x?: string }).x, undefined);
});

Deno.test("two JSON values are the same whatever the order of their fields", () => {
  assertEquals(sameJson({ a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1, d: undefined }), true);
  assertEquals(sameJson({ a: [1, 2] }, { a: [2, 1] }), false);
  assertEquals(sameJson({ a: 1 }, { b: 1 }), false);
  assertEquals(sameJson([], {}), false);
});
