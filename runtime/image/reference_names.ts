/** Which references an archive gives its images. */
import { isLaminaError, LaminaError } from "../core/errors.ts";
import { formatImageReference, parseImageReference } from "../core/reference.ts";

const REF_NAME = "org.opencontainers.image.ref.name";
/** containerd and modern Docker: the whole reference. */
const IMAGE_NAME = "io.containerd.image.name";
/** A word that is rather a tag than a name. */
const tagLike = /^(?:latest|v?[0-9][A-Za-z0-9_.-]*)$/;

/** Names found, and what could not be used, for people. */
export interface NamesFound {
  readonly references: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * References from a descriptor's annotations. `io.containerd.image.name` is a whole reference and wins.
 * `org.opencontainers.image.ref.name` may be a whole reference, a bare name (`web`), or a bare tag (`latest`, `1.2`);
 * a bare tag belongs to `baseName`, what the archive's own file is called.
 */
export function referencesFromAnnotations(
  annotations: Readonly<Record<string, string>>,
  baseName: string | undefined,
): NamesFound {
  const whole = annotations[IMAGE_NAME];
  if (whole) return usableReferences([whole]);
  const name = annotations[REF_NAME];
  if (!name) return { references: [], warnings: [] };
  if (!tagLike.test(name)) return usableReferences([name]);
  if (baseName !== undefined) return usableReferences([`${baseName}:${name}`]);
  return {
    references: [],
    warnings: [`The archive names an image by the tag "${name}" only: give it a whole name with --ref`],
  };
}

/** The well-formed ones of `names`, in their normal form, each once; a warning for each of the others. */
export function usableReferences(names: readonly string[]): NamesFound {
  const references = new Set<string>();
  const warnings: string[] = [];
  for (const name of names) {
    // What skopeo and old Docker write for an image without a name.
    if (name === "" || name === "<none>:<none>") continue;
    try {
      references.add(taggableReference(name));
    } catch (error) {
      if (!isLaminaError(error)) throw error;
      warnings.push(`The archive's name of an image was left out. ${error.message}`);
    }
  }
  return { references: [...references], warnings };
}

/**
 * `text` as a reference that an image can be tagged with: name and tag. A digest in it names a manifest, which Lamina
 * does not keep, and is dropped when there is a tag besides.
 *
 * @throws `INVALID_ARGUMENT`.
 */
export function taggableReference(text: string): string {
  const { repository, tag } = parseImageReference(text);
  return formatImageReference({ repository, tag: tag ?? "latest" });
}

/**
 * The same for a name that a caller chose: a digest in it is refused, because it follows from the content.
 *
 * @throws `INVALID_ARGUMENT`.
 */
export function chosenReference(text: string): string {
  if (parseImageReference(text).digest === undefined) return taggableReference(text);
  throw new LaminaError(
    "INVALID_ARGUMENT",
    `Cannot call an image ${JSON.stringify(text)}: its digest follows from its content. Use NAME:TAG`,
  );
}

/** `/tmp/Debian.tar.gz` -> `debian`: a repository name from a file's path; `undefined` if none can be made. */
export function baseNameOf(path: string): string | undefined {
  const last = path.split("/").filter((part) => part !== "" && part !== ".").at(-1) ?? "";
  const name = last.toLowerCase()
    .replace(/(?:\.(?:tar|oci|docker|tgz|gz|zst|zstd|img))+$/, "")
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/[._-]*([._-])/g, "$1")
    .replace(/^[._-]+|[._-]+$/g, "");
  return name === "" ? undefined : name;
}
