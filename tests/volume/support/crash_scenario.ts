/** The life of a few volumes with everything that leaves an intent; run by the victim, and looked at by the test. */
import { join } from "@std/path/posix";
import { isLaminaError } from "../../../runtime/core/errors.ts";
import { backgroundOperation } from "../../../runtime/core/operation.ts";
import type { LaminaRuntime } from "../../../runtime/services.ts";
import { archive } from "../../layer/support/tar_builder.ts";
import { streamOfBytes } from "./volumes.ts";

const operation = backgroundOperation();

/** What is in a volume: `absent`, or the text of its only file. */
export async function contentOf({ volumes }: LaminaRuntime, name: string): Promise<string> {
  if (!volumes.list().some((volume) => volume.name === name)) return "absent";
  const client = `look-${crypto.randomUUID()}`;
  const path = await volumes.mount(name, client, operation);
  try {
    const names = [...Deno.readDirSync(path)].map(({ name }) => name);
    if (names.length === 0) return "empty";
    return names.join() === "v" ? await Deno.readTextFile(join(path, "v")) : `these files: ${names.join(", ")}`;
  } finally {
    await volumes.unmount(name, client, operation);
  }
}

async function write({ volumes }: LaminaRuntime, name: string, text: string): Promise<void> {
  const path = await volumes.mount(name, "writer", operation);
  await Deno.writeTextFile(join(path, "v"), text);
  await volumes.unmount(name, "writer", operation);
  if (volumes.inspect(name).options.size === undefined) {
    using file = await Deno.open(join(path, "v"));
    await file.sync();
  }
}

const archiveOf = (text: string) => streamOfBytes(archive([{ name: "v", data: text }]));

/** Each with what the volumes hold after it. */
export const STEPS: ReadonlyArray<{
  readonly run: (runtime: LaminaRuntime) => Promise<unknown>;
  readonly after: Readonly<Record<string, string>>;
}> = [
  {
    run: ({ volumes }) => volumes.create({ name: "sized", options: { size: "16m" } }, operation),
    after: { sized: "empty" },
  },
  { run: (runtime) => write(runtime, "sized", "one"), after: { sized: "one" } },
  { run: ({ volumes }) => volumes.create({ name: "plain" }, operation), after: { plain: "empty" } },
  { run: (runtime) => write(runtime, "plain", "one"), after: { plain: "one" } },
  { run: ({ volumes }) => volumes.snapshot("plain", { name: "monday", copy: false }, operation), after: {} },
  { run: ({ volumes }) => volumes.snapshot("sized", { name: "monday", copy: false }, operation), after: {} },
  {
    run: ({ volumes }) => volumes.restore("plain", archiveOf("two"), { force: true }, operation),
    after: { plain: "two" },
  },
  {
    run: ({ volumes }) => volumes.restore("sized", archiveOf("two"), { force: true }, operation),
    after: { sized: "two" },
  },
  {
    run: ({ volumes }) => volumes.restore("brought", archiveOf("two"), { force: false }, operation),
    after: { brought: "two" },
  },
  {
    run: ({ volumes }) => volumes.clone("plain", { name: "old", snapshot: "monday" }, { copy: false }, operation),
    after: { old: "one" },
  },
  {
    run: ({ volumes }) => volumes.clone("sized", { name: "twin" }, { copy: false }, operation),
    after: { twin: "two" },
  },
  { run: ({ volumes }) => volumes.resize("sized", 32 << 20, operation), after: {} },
  { run: ({ volumes }) => volumes.rename("old", "older", operation), after: { old: "absent", older: "one" } },
  { run: ({ volumes }) => volumes.removeSnapshot("plain", "monday", operation), after: {} },
  { run: ({ volumes }) => volumes.remove("older", operation), after: { older: "absent" } },
];

/** Takes everything away. */
export async function removeAll({ volumes }: LaminaRuntime): Promise<void> {
  for (const { name } of volumes.list()) {
    for (const snapshot of volumes.snapshots(name)) await volumes.removeSnapshot(name, snapshot.name, operation);
    await volumes.unmount(name, "writer", operation);
    try {
      await volumes.remove(name, operation);
    } catch (error) {
      if (!isLaminaError(error, "NOT_FOUND")) throw error;
    }
  }
}
