/** `parameters` of a StorageClass with the provisioner `lamina.dev/local`. */
import * as z from "zod";
import { LaminaError } from "../../../runtime/core/errors.ts";

const fsType = z.enum(["ext4", "xfs"], 'must be "ext4" or "xfs"');

const Parameters = z.strictObject({
  backing: z.enum(["auto", "quota", "btrfs", "image"], 'must be "auto", "quota", "btrfs" or "image"').default("auto"),
  fsType: fsType.optional(),
  "csi.storage.k8s.io/fstype": fsType.optional(),
  path: z.string().regex(/^\/[^\0]+$/, "must be an absolute path").refine(
    (path) => !path.split("/").includes(".."),
    'must not contain ".."',
  ).optional(),
  overprovision: z.enum(["true", "false"], 'must be "true" or "false"').default("false"),
}).transform((given) => ({
  backing: given.backing,
  /** Of images. */
  fs_type: given.fsType ?? given["csi.storage.k8s.io/fstype"] ?? "ext4",
  /** Where volumes are made; absent: in Lamina's root. */
  path: given.path,
  /** More may be promised than the disk has. */
  overprovision: given.overprovision === "true",
}));
/** See the head of the file. */
export type LocalParameters = z.infer<typeof Parameters>;

/** @throws `INVALID_ARGUMENT` naming the parameter. */
export function parseLocalParameters(parameters: Readonly<Record<string, string>>): LocalParameters {
  return parseParameters("lamina.dev/local", Parameters, parameters);
}

/** The same for any schema. @throws `INVALID_ARGUMENT` naming the parameter. */
export function parseParameters<T>(
  provisioner: string,
  schema: z.ZodType<T>,
  parameters: Readonly<Record<string, string>>,
): T {
  const parsed = schema.safeParse(parameters);
  if (parsed.success) return parsed.data;
  const what = parsed.error.issues.map((issue) =>
    issue.code === "unrecognized_keys"
      ? `${provisioner} has no parameter ${issue.keys.map((key) => JSON.stringify(key)).join(", ")}`
      : `parameters.${issue.path.join(".")}: ${issue.message}`
  ).join("; ");
  throw new LaminaError("INVALID_ARGUMENT", `Cannot use the StorageClass: ${what}`);
}
