/** What `cp` does with a source and a destination, as `docker cp` does. Pure. */
import { LaminaError } from "../../core/errors.ts";
import { UsageError } from "../parse.ts";

/** One side of a copy. */
export type CopyOperand =
  | { readonly kind: "stdio" }
  | { readonly kind: "local"; readonly path: string }
  | { readonly kind: "container"; readonly container: string; readonly path: string };

/** What is at a path: `other` is a link, a device, a pipe. */
export type PathKind = "file" | "directory" | "other" | "absent";

/** Where an archive is unpacked, and under which name. */
export interface CopyPlan {
  /** An existing directory. */
  readonly directory: string;
  /** Name of the top entry; `.`: its entries go straight into `directory`. */
  readonly as: string;
}

/**
 * `-`, `CONTAINER:PATH`, or a local path. A local path with a colon starts with `/` or `.`.
 */
export function parseOperand(text: string): CopyOperand {
  if (text === "-") return { kind: "stdio" };
  const colon = text.indexOf(":");
  if (colon < 0 || text.startsWith("/") || text.startsWith(".")) return { kind: "local", path: text };
  const container = text.slice(0, colon);
  const path = text.slice(colon + 1);
  if (container === "" || path === "") {
    throw new UsageError(`${JSON.stringify(text)} names no file in a container`, "write CONTAINER:/PATH");
  }
  return { kind: "container", container, path: path.startsWith("/") ? path : `/${path}` };
}

/**
 * Where the copy goes:
 *
 * | source | destination is a directory | is something else | is absent |
 * |---|---|---|---|
 * | file | into it | replaces it | becomes it, unless written with a final `/` |
 * | directory | into it | refused | becomes it |
 * | directory written as `dir/.` | its contents into it | refused | becomes it |
 *
 * @param source What it is, and as it was written.
 * @param destination What it is (links followed), and its path as it was written.
 */
export function planCopy(
  source: { readonly kind: PathKind; readonly path: string },
  destination: { readonly kind: PathKind; readonly path: string },
): CopyPlan {
  const { dir, base } = splitPath(destination.path);
  if (source.kind === "absent") throw new LaminaError("NOT_FOUND", `Cannot copy ${source.path}: it does not exist`);
  if (destination.kind === "directory") {
    const contents = source.kind === "directory" && /(^|\/)\.$/.test(source.path);
    const name = splitPath(source.path).base;
    // The root and `..` have no name of their own: their contents are what can be copied.
    return { directory: destination.path, as: contents || name === "" || name === ".." ? "." : name };
  }
  if (source.kind === "directory" && destination.kind !== "absent") {
    throw new LaminaError(
      "CONFLICT",
      `Cannot copy the directory ${source.path} to ${destination.path}: that is no directory`,
    );
  }
  if (source.kind !== "directory" && destination.path.endsWith("/")) {
    throw new LaminaError(
      destination.kind === "absent" ? "NOT_FOUND" : "CONFLICT",
      `Cannot copy ${source.path} to ${destination.path}: that is no directory. Make it first, or leave the final / out`,
    );
  }
  return { directory: dir, as: base };
}

/** Directory and name of a path; the name of the root is empty, a final `/` or `/.` does not count. */
export function splitPath(path: string): { dir: string; base: string } {
  const plain = path.replace(/(\/+\.?)+$/, "");
  if (plain === "" && path.startsWith("/")) return { dir: "/", base: "" };
  const slash = plain.lastIndexOf("/");
  if (slash < 0) return { dir: ".", base: plain === "." ? "" : plain };
  return { dir: plain.slice(0, slash) || "/", base: plain.slice(slash + 1) };
}
