/** What `docker cp` is told about a path of a container. Pure. */
import type { PathStat } from "../../core/model/container.ts";

// Bits of Go's os.FileMode; the permissions are the lowest nine.
const GO_MODE = {
  directory: 2 ** 31,
  symlink: 2 ** 27,
  device: 2 ** 26,
  fifo: 2 ** 25,
  socket: 2 ** 24,
  setuid: 2 ** 23,
  setgid: 2 ** 22,
  character: 2 ** 21,
  sticky: 2 ** 20,
} as const;

const SPECIAL: Readonly<Record<NonNullable<PathStat["special"]>, number>> = {
  fifo: GO_MODE.fifo,
  socket: GO_MODE.socket,
  block: GO_MODE.device,
  character: GO_MODE.device + GO_MODE.character,
};

/** Permissions and kind as Go's os.FileMode. */
export function goFileMode({ kind, mode, special }: PathStat): number {
  let bits = mode & 0o777;
  if (mode & 0o4000) bits += GO_MODE.setuid;
  if (mode & 0o2000) bits += GO_MODE.setgid;
  if (mode & 0o1000) bits += GO_MODE.sticky;
  if (kind === "directory") bits += GO_MODE.directory;
  else if (kind === "symlink") bits += GO_MODE.symlink;
  else if (kind === "other") bits += SPECIAL[special ?? "character"];
  return bits;
}

/**
 * The header `X-Docker-Container-Path-Stat`.
 *
 * @param name As the client wrote it, which differs from the file's where a link was followed.
 * @param linkTarget Where a link leads in the end, absolute inside the root.
 */
export function pathStatHeader(stat: PathStat, name: string, linkTarget: string): Record<string, string> {
  const text = JSON.stringify({
    name,
    size: stat.size_bytes,
    mode: goFileMode(stat),
    mtime: stat.modified_at,
    linkTarget,
  });
  return { "x-docker-container-path-stat": new TextEncoder().encode(text).toBase64() };
}

/** Go's path.Base: `.` for a path that ends in `/.`, `/` for the root. */
export function baseOf(path: string): string {
  const plain = path.replace(/\/+$/, "");
  return plain === "" ? "/" : plain.slice(plain.lastIndexOf("/") + 1);
}
