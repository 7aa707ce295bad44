/**
 * File names are bytes, not text. Where Lamina walks trees and archives, a name is a **byte string**: a JavaScript
 * string whose every character is one byte (0 to 255). It compares, sorts and hashes as the bytes do, and loses
 * nothing when a name is no valid UTF-8.
 */

declare const byteString: unique symbol;
/** A string of which each character stands for one byte. */
export type ByteString = string & { readonly [byteString]: true };

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The byte string of a piece of memory. */
export function byteStringOf(bytes: Uint8Array): ByteString {
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return text as ByteString;
}

/** The byte string of a text, in UTF-8. */
export function byteStringFromText(text: string): ByteString {
  // deno-lint-ignore no-control-regex
  return /^[\x00-\x7f]*$/.test(text) ? text as ByteString : byteStringOf(encoder.encode(text));
}

/** The bytes of a byte string. */
export function bytesOf(name: ByteString): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(name.length);
  for (let i = 0; i < name.length; i++) bytes[i] = name.charCodeAt(i);
  return bytes;
}

/** For people and JSON: UTF-8 where it is that, otherwise each stray byte as `\xNN`. */
export function displayName(name: ByteString): string {
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(name)) return name;
  try {
    return strictDecoder.decode(bytesOf(name));
  } catch {
    // deno-lint-ignore no-control-regex
    return name.replace(/[^\x00-\x7f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
  }
}
