/** ConfigMap and Secret: small data for pods. */
import * as z from "zod";
import { Metadata } from "./metadata.ts";
import { DataKey } from "./primitives.ts";

/** Of all values together, as Kubernetes has it. */
const MAX_DATA_BYTES = 1 << 20;
const base64 = z.string().regex(
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  "must be base64",
);
// Line breaks inside of base64 are common in files; they say nothing.
const Base64 = z.preprocess((value) => typeof value === "string" ? value.replace(/[\r\n]/g, "") : value, base64);

/** Bytes of a text in UTF-8, without making them. */
function utf8Length(text: string): number {
  let size_bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= 0x80) size_bytes += code >= 0x800 && (code < 0xd800 || code > 0xdfff) ? 2 : 1;
  }
  return size_bytes;
}

function sizeOf(texts: Record<string, string> = {}, binary: Record<string, string> = {}): number {
  const text_bytes = Object.values(texts).reduce((sum, text) => sum + utf8Length(text), 0);
  return Object.values(binary).reduce((sum, value) => sum + Math.floor(value.length * 3 / 4), text_bytes);
}

const tooLarge = `the data has more than ${MAX_DATA_BYTES} bytes`;

/** See the head of the file. */
export const ConfigMap = z.looseObject({
  apiVersion: z.literal("v1"),
  kind: z.literal("ConfigMap"),
  metadata: Metadata,
  data: z.record(DataKey, z.string()).optional(),
  binaryData: z.record(DataKey, Base64).optional(),
  immutable: z.boolean().optional(),
}).superRefine(({ data = {}, binaryData = {} }, context) => {
  if (sizeOf(data, binaryData) > MAX_DATA_BYTES) {
    context.addIssue({ code: "custom", path: ["data"], message: tooLarge });
  }
  for (const key of Object.keys(binaryData)) {
    if (!Object.hasOwn(data, key)) continue;
    context.addIssue({ code: "custom", path: ["binaryData", key], message: "is in data, too" });
  }
}).meta({ id: "ConfigMap" });
/** See the schema of the same name. */
export type ConfigMap = z.infer<typeof ConfigMap>;

/** See the head of the file. `stringData` is turned into `data` before it is stored. */
export const Secret = z.looseObject({
  apiVersion: z.literal("v1"),
  kind: z.literal("Secret"),
  metadata: Metadata,
  type: z.string().max(253).default("Opaque"),
  data: z.record(DataKey, Base64).optional(),
  stringData: z.record(DataKey, z.string()).optional(),
  immutable: z.boolean().optional(),
}).superRefine(({ data, stringData }, context) => {
  if (sizeOf(stringData, data) > MAX_DATA_BYTES) {
    context.addIssue({ code: "custom", path: ["data"], message: tooLarge });
  }
}).meta({ id: "Secret" });
/** See the schema of the same name. */
export type Secret = z.infer<typeof Secret>;
