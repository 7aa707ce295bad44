/**
 * Files that stand where a device is bound in a container's root, and nothing else: empty, without permissions, and with
 * a time that nobody else gives to anything. That mark is all that there is to know of them, so it needs no record and
 * survives every crash; who lists or archives what a container has written leaves them out.
 */
import { dirname } from "@std/path/posix";
import { isLaminaError } from "../core/errors.ts";
import { type FileStatus, statxFd } from "./fs_calls.ts";
import { setTimesAt } from "./fs_change_calls.ts";
import { type OpenedPath, openInRoot } from "./rootfs_path.ts";
import type { ByteString } from "../core/bytes.ts";

/** 10 August 2010, and a fraction that no archive of whole seconds has. */
const MARK = { s: 1_281_453_417, ns: 616_161_616 } as const;
const itself = "" as ByteString;

/** Whether an inode is one: the file itself, or a directory that was made for it and has had nothing else since. */
export function isPlaceholder({ type, mode, size_bytes, mtime_s, mtime_ns }: FileStatus): boolean {
  if (mtime_s !== MARK.s || mtime_ns !== MARK.ns) return false;
  return type === "directory" || (type === "file" && mode === 0 && size_bytes === 0);
}

/**
 * Opens what a device is to be bound upon, as {@linkcode openInRoot} does with `create: "file"`. What is missing is made
 * and marked, and the directory that holds it keeps its time.
 */
export function openPlaceholder(root: string, path: string): OpenedPath {
  using above = isThere(root, path) ? undefined : nearestDirectory(root, dirname(path));
  const before = above === undefined ? undefined : statxFd(above.fd);
  const opened = openInRoot(root, path, { create: "file", mode: 0 });
  try {
    // The innermost first: making a file changes the time of its directory.
    for (const made of opened.made.toReversed()) {
      using one = openInRoot(root, made, { noFollow: true });
      setTimesAt(one.fd, itself, MARK);
    }
    if (opened.made.length === 0 && isHalfMade(statxFd(opened.fd))) setTimesAt(opened.fd, itself, MARK);
    if (before !== undefined && opened.made.length > 0) {
      setTimesAt(above!.fd, itself, { s: before.mtime_s, ns: before.mtime_ns });
    }
    return opened;
  } catch (error) {
    opened[Symbol.dispose]();
    throw error;
  }
}

/** A crash came before its mark. */
function isHalfMade({ type, mode, size_bytes, mtime_s }: FileStatus): boolean {
  return type === "file" && mode === 0 && size_bytes === 0 && mtime_s !== MARK.s;
}

function isThere(root: string, path: string): boolean {
  try {
    openInRoot(root, path)[Symbol.dispose]();
    return true;
  } catch (error) {
    if (isLaminaError(error)) return false;
    throw error;
  }
}

function nearestDirectory(root: string, path: string): OpenedPath | undefined {
  try {
    return openInRoot(root, path);
  } catch (error) {
    if (!isLaminaError(error, "NOT_FOUND")) throw error;
    return path === "/" ? undefined : nearestDirectory(root, dirname(path));
  }
}
