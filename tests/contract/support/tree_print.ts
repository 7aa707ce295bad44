/** What a file tree is, as text: two trees are equal when their prints are. */
import { createHash } from "node:crypto";
import { type ByteString, byteStringFromText, displayName } from "../../../runtime/core/bytes.ts";
import {
  closeFd,
  openDirectoryAt,
  openToReadAt,
  readDirectory,
  readFd,
  readlinkAt,
  statxAt,
  statxFd,
} from "../../../runtime/host/fs_calls.ts";
import { AT_FDCWD } from "../../../runtime/host/openat2.ts";
import { readXattrs, readXattrsAt, type Xattrs } from "../../../runtime/host/xattr_calls.ts";

/** What counts besides type, owner, mode, content, link targets, device numbers, attributes and hard links. */
export interface PrintOptions {
  /** Modification times, to the nanosecond; directories not. Default false. */
  readonly times?: boolean;
}

/** One line per inode, by path. The top directory is `/`. */
export function printTree(root: string, options: PrintOptions = {}): Map<string, string> {
  const lines = new Map<string, string>();
  const linked = new Map<string, string>();
  const fd = openDirectoryAt(AT_FDCWD, byteStringFromText(root));
  try {
    lines.set("/", attributes(fd));
    visit(fd, "", lines, linked, options);
  } finally {
    closeFd(fd);
  }
  return lines;
}

function attributes(fd: number): string {
  const { mode, uid, gid } = statxFd(fd);
  return `directory ${mode.toString(8)} ${uid}:${gid}${xattrText(readXattrs(fd))}`;
}

function visit(
  directory: number,
  above: string,
  lines: Map<string, string>,
  linked: Map<string, string>,
  options: PrintOptions,
): void {
  for (const name of readDirectory(directory).sort()) {
    const path = `${above}/${displayName(name)}`;
    const status = statxAt(directory, name);
    if (status.type === "directory") {
      const fd = openDirectoryAt(directory, name);
      try {
        lines.set(path, attributes(fd));
        visit(fd, path, lines, linked, options);
      } finally {
        closeFd(fd);
      }
      continue;
    }
    const parts = [status.type, status.mode.toString(8), `${status.uid}:${status.gid}`];
    if (status.type === "file") parts.push(String(status.size_bytes), contentHash(directory, name));
    if (status.type === "symlink") parts.push(`-> ${displayName(readlinkAt(directory, name))}`);
    if (status.type === "char" || status.type === "block") parts.push(`${status.rdevMajor}:${status.rdevMinor}`);
    if (options.times && status.type !== "symlink") parts.push(`${status.mtime_s}.${status.mtime_ns}`);
    if (status.nlink > 1) {
      const inode = `${status.devMajor}:${status.devMinor}:${status.ino}`;
      const first = linked.get(inode);
      if (first === undefined) linked.set(inode, path);
      else parts.push(`same as ${first}`);
    }
    lines.set(path, parts.join(" ") + xattrText(readXattrsAt(directory, name)));
  }
}

function contentHash(directory: number, name: ByteString): string {
  const fd = openToReadAt(directory, name);
  try {
    const hash = createHash("sha256");
    const buffer = new Uint8Array(65536);
    for (let count = readFd(fd, buffer); count > 0; count = readFd(fd, buffer)) hash.update(buffer.subarray(0, count));
    return hash.digest("hex").slice(0, 16);
  } finally {
    closeFd(fd);
  }
}

function xattrText(xattrs: Xattrs): string {
  // Labels of security modules are the host's, not the tree's.
  const shown = xattrs.filter(([name]) => name !== "security.selinux");
  return shown.map(([name, value]) => ` ${displayName(name)}=${value.toHex()}`).join("");
}
