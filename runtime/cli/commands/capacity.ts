/** `lamina capacity`, and `lamina get capacity`, which is the same. */
import type { Capacity } from "../../core/specs/capacity.ts";
import type { Client } from "../client.ts";
import { type Command, command } from "../command.ts";
import { humanSize } from "../human.ts";
import type { Output } from "../output.ts";
import { yamlText } from "../yaml_text.ts";

const size = (size_bytes: number | undefined) => size_bytes === undefined ? "?" : humanSize(size_bytes);

/** Prints it. @param form `json`, `yaml`, or something for people. */
export async function printCapacity(
  api: Client,
  output: Output,
  form: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  const capacity = await api.json<Capacity>("GET", "/v1/capacity", { signal });
  if (form === "json") return output.document(capacity);
  if (form === "yaml") return output.line(await yamlText(capacity));
  output.table<Capacity["classes"][number]>([
    { title: "CLASS", value: ({ storage_class }) => storage_class },
    { title: "PROVISIONER", value: ({ provisioner }) => provisioner },
    { title: "AVAILABLE", value: ({ available_bytes }) => size(available_bytes), right: true },
    { title: "TOTAL", value: ({ total_bytes }) => size(total_bytes), right: true },
    { title: "", value: ({ error }) => error ?? "" },
  ], capacity.classes);
  if (capacity.volumes.length === 0) return;
  output.table<Capacity["volumes"][number]>([
    { title: "VOLUME", value: ({ name }) => name },
    { title: "CLAIM", value: ({ claim }) => claim ?? "" },
    { title: "CLASS", value: ({ storage_class }) => storage_class },
    { title: "PHASE", value: ({ phase }) => phase },
    { title: "USED", value: ({ used_bytes }) => size(used_bytes), right: true },
    { title: "CAPACITY", value: ({ capacity_bytes }) => humanSize(capacity_bytes), right: true },
  ], capacity.volumes);
}

const capacity = command({
  words: ["capacity"],
  summary: "What PersistentVolumes can still be made, and what they hold",
  examples: [["capacity", "free space by StorageClass, used space by volume"]],
  async run({ output, signal, client }) {
    await printCapacity(await client(), output, output.asJson ? "json" : undefined, signal);
  },
});

/** See the head of the file. */
export const capacityCommands: readonly Command[] = [capacity];
