/** A short name for a text: names of directories, and revisions of specs. */
import { createHash } from "node:crypto";

/** 40 hexadecimal digits of SHA-256. */
export function hashText(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 40);
}
