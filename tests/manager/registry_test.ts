/** Which plugin answers for a volume, and what it refuses: a table. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { VolumeCapabilities, VolumePlugin, VolumeSpec } from "../../drivers/volume/port.ts";
import { LaminaError } from "../../runtime/core/errors.ts";
import { PluginRegistry } from "../../runtime/volume/manager/registry.ts";
import { volume } from "./support/real_manager.ts";

const everything: VolumeCapabilities = {
  mountOptions: true,
  block: true,
  fsGroup: true,
  accessModes: ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"],
};

/** Answers for sources with any of these keys. */
function plugin(name: string, keys: readonly string[], can: Partial<VolumeCapabilities> = {}): VolumePlugin {
  return {
    name,
    capabilities: { ...everything, ...can },
    supports: ({ source }) => keys.some((key) => key in source),
    volumeId: ({ name }) => name,
    setUp: () => Promise.resolve(),
    tearDown: () => Promise.resolve(),
  };
}

const registry = new PluginRegistry([
  plugin("test/all", ["all", "twice"]),
  plugin("test/plain", ["plain", "twice"], { mountOptions: false, block: false, accessModes: ["ReadWriteOnce"] }),
  plugin("test/none", ["none"], { accessModes: [] }),
]);

type Row = readonly [title: string, source: string, rest: Partial<VolumeSpec>, answer: string];

/** The answer is a plugin's name, or a code and words of the message. */
const table: readonly Row[] = [
  ["the one plugin that knows the source", "all", {}, "test/all"],
  ["another one", "plain", {}, "test/plain"],
  ["nobody knows it", "strange", {}, "UNSUPPORTED strange|test/all, test/plain, test/none"],
  ["two know it", "twice", {}, "CONFLICT test/all, test/plain. Remove all but one"],
  ["options where they are honoured", "all", { mount_options: ["ro"] }, "test/all"],
  ["options where they are not", "plain", { mount_options: ["ro"] }, "UNSUPPORTED Leave mountOptions out"],
  ["a block device", "all", { volume_mode: "Block" }, "test/all"],
  ["a block device where there is none", "plain", { volume_mode: "Block" }, "UNSUPPORTED Use volumeMode: Filesystem"],
  ["no access mode", "plain", { access_modes: [] }, "test/plain"],
  ["an access mode that it has", "plain", { access_modes: ["ReadWriteOnce"] }, "test/plain"],
  ["one of several is enough", "plain", { access_modes: ["ReadWriteMany", "ReadWriteOnce"] }, "test/plain"],
  [
    "none of them",
    "plain",
    { access_modes: ["ReadWriteMany"] },
    "UNSUPPORTED cannot do ReadWriteMany, only ReadWriteOnce",
  ],
  [
    "none of several",
    "plain",
    { access_modes: ["ReadWriteMany", "ReadWriteOncePod"] },
    "UNSUPPORTED cannot do ReadWriteMany, ReadWriteOncePod",
  ],
  ["a plugin without access modes", "none", { access_modes: ["ReadWriteOnce"] }, "UNSUPPORTED only none"],
  [
    "the first thing that is wrong",
    "plain",
    { mount_options: ["x"], volume_mode: "Block" },
    "UNSUPPORTED mountOptions",
  ],
];

for (const [title, source, rest, answer] of table) {
  Deno.test(`registry: ${title}`, () => {
    const { spec } = volume("v", { [source]: {} }, rest);
    const [code, words] = /^([A-Z_]+) (.*)$/.exec(answer)?.slice(1) ?? [];
    if (code === undefined) return assertEquals(registry.find(spec).name, answer);
    const error = assertThrows(() => registry.find(spec), LaminaError, 'Cannot use the volume "v"');
    assertEquals([error.code, error.details.volume], [code, "v"]);
    for (const part of words!.split("|")) assertStringIncludes(error.message, part);
  });
}

Deno.test("registry: a source that says nothing is told so, and so is a registry that has nothing", () => {
  const { spec } = volume("v", {});
  assertThrows(() => registry.find(spec), LaminaError, "what to do with nothing");
  assertThrows(() => new PluginRegistry().find(spec), LaminaError, "There are: none");
});

Deno.test("registry: plugins are listed as they came, once a name, and missed by their name", () => {
  const own = new PluginRegistry([plugin("b", ["b"])]);
  own.add(plugin("a", ["a"]));
  assertEquals(own.list().map(({ name }) => name), ["b", "a"]);
  assertEquals(assertThrows(() => own.add(plugin("b", ["c"])), LaminaError).code, "ALREADY_EXISTS");
  assertEquals(own.byName("a").name, "a");
  const gone = assertThrows(() => own.byName("c"), LaminaError, "The volume plugin c is not there");
  assertEquals([gone.code, gone.details.failure_class], ["UNAVAILABLE", "transient"]);
});
