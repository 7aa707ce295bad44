/** Short names for what has none: of options, of paths. */
import { createHash } from "node:crypto";

/** 32 hexadecimal digits that stand for a text. */
export function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}
