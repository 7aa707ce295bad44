/** The files of `-f`: read whole, checked whole, before anything is sent. */
import { join } from "@std/path/posix";
import { isLaminaError, LaminaError, messageOf } from "../core/errors.ts";
import { parseKubeObject } from "../core/specs/kube/parse_object.ts";
import { DEFAULT_NAMESPACE, kindOf, type ObjectPlace } from "./kube_objects.ts";
import { type ManifestObject, MAX_MANIFEST_BYTES, parseManifest, tooLarge } from "./manifest.ts";
import { UsageError } from "./parse.ts";
import { standardInput } from "./standard_input.ts";

/** One object to be sent. */
export interface SentObject extends ManifestObject {
  readonly to: ObjectPlace;
}

/** How `-f` is read. */
export interface ReadOptions {
  /** `-n`; absent: what the objects say. */
  readonly namespace: string | undefined;
  /** Directories with all that is below them. */
  readonly recursive: boolean;
  /** Only kind and name have to be good: what is there may be deleted by an old manifest. */
  readonly loose?: boolean;
}

/**
 * The objects of files, directories (`*.yaml`, `*.yml`, `*.json`, by name) and standard input (`-`).
 *
 * @throws `INVALID_ARGUMENT` naming each wrong field, with file, document and line; `NOT_FOUND` for a file.
 */
export async function readManifests(paths: readonly string[], options: ReadOptions): Promise<SentObject[]> {
  const objects: SentObject[] = [];
  const wrong: string[] = [];
  for (const path of paths) {
    for (const file of await filesOf(path, options.recursive)) {
      const name = file === "-" ? "standard input" : file;
      for (const object of parseManifest(await read(file), name)) {
        try {
          objects.push({ ...object, to: checked(object, options) });
        } catch (error) {
          if (!isLaminaError(error)) throw error;
          wrong.push(`${object.place}: ${error.message}`);
        }
      }
    }
  }
  if (wrong.length > 0) {
    if (wrong.length === 1) throw new LaminaError("INVALID_ARGUMENT", wrong[0]!);
    const more = wrong.length > 10 ? `\n  and ${wrong.length - 10} more` : "";
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `${wrong.length} objects are invalid, nothing was sent:\n  ${wrong.slice(0, 10).join("\n  ")}${more}`,
    );
  }
  if (objects.length === 0) throw new UsageError(`There are no objects in ${paths.join(", ")}`);
  return objects;
}

function checked({ value }: ManifestObject, { namespace, loose }: ReadOptions): ObjectPlace {
  const { kind: row, metadata } = loose ? looseObject(value) : strictObject(value);
  const kind = kindOf(row);
  if (!kind.namespaced) return { kind, namespace: "", name: metadata.name };
  if (namespace !== undefined && metadata.namespace !== undefined && metadata.namespace !== namespace) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `metadata.namespace is "${metadata.namespace}", --namespace says "${namespace}"`,
    );
  }
  return { kind, namespace: metadata.namespace ?? namespace ?? DEFAULT_NAMESPACE, name: metadata.name };
}

interface Named {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

function strictObject(value: Record<string, unknown>): Named {
  return parseKubeObject(value).object as unknown as Named;
}

function looseObject(value: Record<string, unknown>): Named {
  const { kind, metadata } = value as Partial<Named>;
  if (typeof kind === "string" && typeof metadata?.name === "string") return { kind, metadata };
  throw new LaminaError("INVALID_ARGUMENT", "an object needs kind and metadata.name");
}

async function filesOf(path: string, recursive: boolean): Promise<string[]> {
  if (path === "-") return [path];
  try {
    if (!(await Deno.stat(path)).isDirectory) return [path];
    const entries = (await Array.fromAsync(Deno.readDir(path))).sort((a, b) => a.name < b.name ? -1 : 1);
    const files: string[] = [];
    for (const { name, isDirectory } of entries) {
      if (isDirectory && recursive) files.push(...await filesOf(join(path, name), true));
      else if (!isDirectory && /\.(yaml|yml|json)$/.test(name)) files.push(join(path, name));
    }
    return files;
  } catch (error) {
    throw unreadable(path, error);
  }
}

async function read(file: string): Promise<string> {
  const name = file === "-" ? "standard input" : file;
  try {
    const stream = file === "-" ? standardInput("a manifest") : (await Deno.open(file)).readable;
    const chunks: Uint8Array[] = [];
    let size_bytes = 0;
    for await (const chunk of stream) {
      size_bytes += chunk.length;
      if (size_bytes > MAX_MANIFEST_BYTES) throw tooLarge(name);
      chunks.push(chunk);
    }
    return new TextDecoder("utf-8", { fatal: true }).decode(await new Blob(chunks as BlobPart[]).arrayBuffer());
  } catch (error) {
    throw unreadable(name, error);
  }
}

function unreadable(path: string, error: unknown): unknown {
  if (isLaminaError(error)) return error;
  if (error instanceof Deno.errors.NotFound) {
    return new LaminaError("NOT_FOUND", `Cannot read ${path}: it does not exist`);
  }
  if (error instanceof TypeError) {
    return new LaminaError("INVALID_ARGUMENT", `Cannot read ${path}: it is not UTF-8`, { cause: error });
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new LaminaError("PERMISSION_DENIED", `Cannot read ${path}: permission denied`, { cause: error });
  }
  return new LaminaError("INVALID_ARGUMENT", `Cannot read ${path}: ${messageOf(error)}`, { cause: error });
}
