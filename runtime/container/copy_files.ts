/** Files into and out of a container's root. Paths are resolved inside the root by the kernel, never as text. */
import { basename } from "@std/path/posix";
import { byteStringFromText, displayName } from "../core/bytes.ts";
import { LaminaError } from "../core/errors.ts";
import type { PathStat } from "../core/specs/container.ts";
import { hostError } from "../host/errno_errors.ts";
import { type FileType, readlinkAt, statxFd } from "../host/fs_calls.ts";
import { openInRoot } from "../host/rootfs_path.ts";

/** What a path of a root is. A final link is followed only where the path ends in `/` or `/.`. */
export function statInRoot(root: string, path: string): PathStat {
  using opened = openInRoot(root, path, { noFollow: true });
  const wantsDirectory = /\/\.?$/.test(path);
  if (wantsDirectory && opened.type !== "directory") {
    throw new LaminaError("CONFLICT", `Cannot open ${JSON.stringify(path)} in the container: it is no directory`);
  }
  try {
    const status = statxFd(opened.fd);
    return {
      name: basename(opened.realPath === root ? "/" : opened.realPath) || "/",
      ...kindOf(status.type),
      size_bytes: status.size_bytes,
      mode: status.mode,
      modified_at: new Date(status.mtime_s * 1000 + Math.floor(status.mtime_ns / 1e6)).toISOString(),
      ...(status.type === "symlink" ? { link_target: displayName(readlinkAt(opened.fd, byteStringFromText(""))) } : {}),
    };
  } catch (error) {
    throw hostError(error, `Cannot look at ${JSON.stringify(path)} in the container`);
  }
}

/**
 * A path without links on the way, absolute inside the root, so that what is copied is what was asked for: a final link
 * stays one unless the path ends in `/` or `/.`.
 *
 * @throws `NOT_FOUND`, `CONFLICT` (not a directory where one is needed).
 */
export function canonicalInRoot(root: string, path: string): string {
  using opened = openInRoot(root, path, { noFollow: true });
  if (/\/\.?$/.test(path) && opened.type !== "directory") {
    throw new LaminaError("CONFLICT", `Cannot open ${JSON.stringify(path)} in the container: it is no directory`);
  }
  // The kernel shows the path of the descriptor on the host; the view is mounted exactly at `root`.
  if (opened.realPath === root) return "/";
  if (opened.realPath.startsWith(`${root}/`)) return opened.realPath.slice(root.length);
  throw new LaminaError(
    "CONFLICT",
    `Cannot open ${JSON.stringify(path)} in the container: it was moved meanwhile. Try again`,
  );
}

function kindOf(type: FileType): Pick<PathStat, "kind" | "special"> {
  if (type === "file" || type === "directory" || type === "symlink") return { kind: type };
  if (type === "unknown") return { kind: "other" };
  return { kind: "other", special: type === "char" ? "character" : type };
}
