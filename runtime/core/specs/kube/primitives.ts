/** Values that several kinds of Kubernetes objects hold, with Kubernetes' rules. */
import * as z from "zod";
import { parseQuantity } from "../../quantity.ts";

/** A DNS label (RFC 1123): up to 63 characters. Names of volumes, containers and namespaces. */
export const DnsLabel = z.string().max(63).regex(
  /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
  "must be a DNS label: lower-case letters, digits and -, with a letter or digit at both ends",
);

/** A DNS subdomain (RFC 1123): labels with dots between, up to 253 characters. Names of most objects. */
export const DnsSubdomain = z.string().max(253).regex(
  /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
  "must be a DNS name: lower-case letters, digits, - and ., with a letter or digit at both ends",
);

const QUANTITY =
  "must be a quantity: digits and one of Ki, Mi, Gi, Ti, Pi, Ei (or k, M, G, T, P, E), e.g. 1Gi, 500M or 128974848";

/** A quantity as text; a number is taken for what it says. At least zero. */
export const Quantity = z.preprocess(
  (value) => typeof value === "number" ? String(value) : value,
  z.string().refine((text) => parseQuantity(text) !== undefined, QUANTITY),
);

/** A quantity of more than zero bytes. */
export const StorageQuantity = Quantity.refine(
  // What is no quantity at all was complained of already.
  (text) => parseQuantity(text) !== 0,
  "must be greater than zero, e.g. 1Gi",
);

/** Permission bits of a file: a number (0 to 511, which is 0777), or octal text as people write it (`"0644"`). */
export const FileMode = z.preprocess(
  (value) => typeof value === "string" && /^0o?[0-7]{1,4}$/.test(value) ? parseInt(value.replace("o", ""), 8) : value,
  z.int("must be permission bits: 0 to 0777 (511)").min(0).max(0o777, "must be permission bits: 0 to 0777 (511)"),
);

/** A key of a ConfigMap or Secret. */
export const DataKey = z.string().min(1).max(253).regex(/^[-._a-zA-Z0-9]+$/, "must hold letters, digits, - _ . only")
  .refine((key) => key !== "." && !key.startsWith(".."), 'must not be "." and must not start with ".."');

/** Absolute on the host, without `..`. */
export const HostPath = z.string().min(1).max(4096).regex(/^\/[^\0]*$/, "must be an absolute path")
  .refine((path) => !path.split("/").includes(".."), 'must not contain ".."');

/** Below a volume: relative, without `..`. */
export const SubPath = z.string().max(4096).regex(/^[^\0]*$/, "must not contain NUL")
  .refine((path) => !path.startsWith("/"), "must be relative")
  .refine((path) => !path.split("/").includes(".."), 'must not contain ".."');

/** A file of a volume that Lamina writes: relative, no element `..`, not beginning with `..`. */
export const FilePath = SubPath.min(1).refine((path) => !path.startsWith(".."), 'must not start with ".."')
  .refine((path) => path.split("/").every((part) => part.length <= 255), "has a name of more than 255 characters");

/** Where a mount appears in a container. */
export const MountPath = z.string().min(1).max(4096).regex(/^[^\0]*$/, "must not contain NUL")
  .refine((path) => !/^[/.]*$/.test(path), 'must not be "/"')
  .refine((path) => !path.split("/").includes(".."), 'must not contain ".."');

/** `metadata.name` and the like of an object in the same namespace. */
export const LocalReference = z.strictObject({ name: DnsSubdomain });

/** An object of any namespace. */
export const SecretReference = z.strictObject({ name: DnsSubdomain, namespace: DnsLabel.optional() });

/** Of the file system on a device. */
export const FileSystemType = z.string().max(63).regex(/^[a-zA-Z0-9_.-]*$/, "must be the name of a file system");

const labelName = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const labelPrefix = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** Whether a text is a key of labels and annotations: `[prefix/]name`. */
function isQualifiedName(key: string): boolean {
  const [prefix, name, ...more] = key.includes("/") ? key.split("/") : [undefined, key];
  return more.length === 0 && labelName.test(name ?? "") &&
    (prefix === undefined || (prefix.length <= 253 && labelPrefix.test(prefix)));
}

/** `[prefix/]name`. */
export const QualifiedName = z.string().refine(isQualifiedName, "must be [PREFIX/]NAME of letters, digits, - _ .");

/** Value of a label. */
export const LabelValue = z.string().max(63).regex(
  /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/,
  "must hold letters, digits, - _ . with a letter or digit at both ends",
);

/** Labels of an object. */
export const KubeLabels = z.record(QualifiedName, LabelValue);

/** Annotations of an object: 256 KiB in all. */
export const Annotations = z.record(QualifiedName, z.string()).refine(
  (all) => Object.entries(all).reduce((sum, [key, value]) => sum + key.length + value.length, 0) <= 262_144,
  "must not have more than 262144 bytes in all",
);

/** Chooses objects by their labels. */
export const LabelSelector = z.strictObject({
  matchLabels: KubeLabels.optional(),
  matchExpressions: z.array(
    z.strictObject({
      key: QualifiedName,
      operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]),
      values: z.array(z.string()).optional(),
    }).superRefine(({ operator, values }, context) => {
      const needs = operator === "In" || operator === "NotIn";
      if (needs !== (values ?? []).length > 0) {
        context.addIssue({
          code: "custom",
          path: ["values"],
          message: needs ? `is needed for ${operator}` : `must be empty for ${operator}`,
        });
      }
    }),
  ).optional(),
});
/** See the schema of the same name. */
export type LabelSelector = z.infer<typeof LabelSelector>;

/** How a claim may be used. */
export const AccessModes = z.array(
  z.enum(["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]),
).min(1, "must name at least one access mode").refine(
  (modes) => !modes.includes("ReadWriteOncePod") || modes.length === 1,
  "ReadWriteOncePod goes with no other access mode",
);

/** File tree or raw device. */
export const VolumeMode = z.enum(["Filesystem", "Block"]).default("Filesystem");

/** mount(8) options. */
export const MountOptions = z.array(z.string().min(1).max(4096).regex(/^[^\0]*$/, "must not contain NUL")).max(64);
