/**
 * The grammar of branches, as AUFS has it: `DIR[=ro|rw][:DIR[=ro|rw]]…`. Without a word the first branch of a union is
 * `rw` and every other one `ro`. A `:`, `=` or `\` in a directory's name is written with a `\` before it. Pure.
 */
import { LaminaError } from "../../../runtime/core/errors.ts";

/** A directory of a union. */
export interface Branch {
  /** As written, or absolute and canonical where the union has been looked at. */
  readonly directory: string;
  readonly access: "ro" | "rw";
}

/** Branches that one mount of AUFS takes. */
export const MAX_BRANCHES = 127;

/**
 * The branches of a union, topmost first.
 *
 * @param texts Each one branch or several with `:` between them.
 * @throws `INVALID_ARGUMENT` naming what is wrong with which text.
 */
export function parseBranches(texts: readonly string[]): Branch[] {
  const parts = texts.flatMap((text) => splitUnescaped(text, ":").map((part) => ({ part, text })));
  if (parts.length === 0) throw invalid("", "a union needs at least one branch");
  if (parts.length > MAX_BRANCHES) throw invalid(texts[0]!, `a union takes ${MAX_BRANCHES} branches at most`);
  return parts.map(({ part, text }, i) => {
    const [directory = "", ...rest] = splitUnescaped(part, "=");
    const access = rest[0] ?? (i === 0 ? "rw" : "ro");
    if (directory === "") throw invalid(text, "a directory is missing");
    if (rest.length > 1 || (access !== "ro" && access !== "rw")) {
      throw invalid(text, `"=${rest.join("=")}" is neither =ro nor =rw (write a = of a name as \\=)`);
    }
    return { directory: unescape(directory), access };
  });
}

/** The same in one text. */
export function formatBranches(branches: readonly Branch[]): string {
  return branches.map(({ directory, access }) => `${directory.replaceAll(/[\\:=]/g, "\\$&")}=${access}`).join(":");
}

function splitUnescaped(text: string, separator: string): string[] {
  const parts = [""];
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "\\" && i + 1 < text.length) parts[parts.length - 1] += text[i]! + text[++i]!;
    else if (text[i] === separator) parts.push("");
    else parts[parts.length - 1] += text[i]!;
  }
  return parts;
}

function unescape(text: string): string {
  return text.replaceAll(/\\(.)/gs, "$1");
}

function invalid(text: string, why: string): LaminaError {
  return new LaminaError(
    "INVALID_ARGUMENT",
    `Invalid branch ${JSON.stringify(text.slice(0, 200))}: ${why}. Branches are DIR=ro|rw, with : between them`,
  );
}
