/** Random trees and random changes of them, the same for the same seed. */
import type { ByteString } from "../../../runtime/core/bytes.ts";
import { closeFd, openAt, readDirectory, statxAt, statxAtIfPresent } from "../../../runtime/host/fs_calls.ts";
import {
  chmodFd,
  chownAt,
  linkAt,
  mkdirAt,
  mknodAt,
  pwriteFd,
  renameAt,
  S_IF,
  setTimesAt,
  symlinkAt,
  truncateFd,
} from "../../../runtime/host/fs_change_calls.ts";
import { isErrno } from "../../../runtime/host/libc.ts";
import { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } from "../../../runtime/host/openat2.ts";
import { setXattrAt } from "../../../runtime/host/xattr_calls.ts";
import { removeTree } from "../../../drivers/storage/layer/remove_tree.ts";
import { walkTree } from "../../../drivers/storage/layer/walk_tree.ts";
import { bytes, CAPABILITY, inDirectory } from "./trees.ts";

/** A source of randomness that a seed repeats. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 up to, but not including, `end`. */
  below(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor(((t ^ (t >>> 14)) >>> 0) / 4294967296 * end);
  }

  /** One of a list. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }
}

const NAMES = [
  ..."abcdefgh",
  "a.b",
  "a-b",
  "with space",
  "new\nline",
  "\xff\xfe",
  "\xc3\xa9",
  "wh.no",
  ".hidden",
  "%41=",
  "L".repeat(120),
  "\xf0".repeat(255),
].map(bytes);
const MODES = [0o644, 0o755, 0o600, 0o4755, 0o2750, 0o1777, 0o000, 0o7777];
const IDS = [0, 0, 1, 1000, 65534, 3_000_000_000];
const XATTRS = ["user.a", "user.b=c", "user.%3D", "trusted.t", "security.capability"].map(bytes);
const SIZES = [0, 1, 511, 512, 513, 4096, 70_000, 300_000];

/** Makes `steps` random changes to the tree at `directory`, which may be an overlay mount. */
export function changeRandomly(directory: string, random: Random, steps: number): void {
  for (let step = 0; step < steps; step++) {
    const directories = listDirectories(directory);
    const place = random.pick(directories);
    inPlace(directory, place, (dirFd) => {
      try {
        oneChange(directory, place, dirFd, random);
      } catch (error) {
        // What cannot be (a directory into itself, a rename that overlayfs leaves to its caller) is no change.
        if (
          !isErrno(
            error,
            "EEXIST",
            "ENOENT",
            "EXDEV",
            "EINVAL",
            "ENOTDIR",
            "EISDIR",
            "ENOTEMPTY",
            "EPERM",
            "EOPNOTSUPP",
          )
        ) {
          throw error;
        }
      }
    });
  }
}

/** Gives every inode below `directory` a time of its own, of whole seconds or with nanoseconds. */
export function setRandomTimes(directory: string, random: Random): void {
  inDirectory(directory, (fd) => {
    for (const node of walkTree(fd)) {
      if (node.phase === "enter" && node.fd >= 0) continue;
      const time = {
        s: 1_000_000_000 + random.below(500_000_000),
        ns: random.once(3) ? 0 : random.below(1_000_000_000),
      };
      if (node.depth === 0) setTimesAt(node.fd, bytes("."), time);
      else setTimesAt(node.parentFd, node.name, time);
    }
  });
}

function oneChange(root: string, place: ByteString, dirFd: number, random: Random): void {
  const names = readDirectory(dirFd).sort();
  const old = names.length === 0 ? undefined : random.pick(names);
  switch (random.below(14)) {
    case 0:
    case 1:
    case 2:
      return mkdirAt(dirFd, random.pick(NAMES), 0o755);
    case 3:
    case 4:
    case 5:
      return writeRandomly(dirFd, random.pick(NAMES), random);
    case 6:
      return symlinkAt(
        random.pick([bytes("a"), bytes("../b"), bytes("/etc/passwd"), bytes("x".repeat(150))]),
        dirFd,
        random.pick(NAMES),
      );
    case 7:
      if (random.once(2)) return mknodAt(dirFd, random.pick(NAMES), S_IF.FIFO, 0o640);
      // Numbers that no driver answers to, should anything ever open them.
      return mknodAt(dirFd, random.pick(NAMES), random.pick([S_IF.CHR, S_IF.BLK]), 0o660, 3000, random.below(70_000));
    case 8:
      if (old !== undefined) linkAt(dirFd, old, dirFd, random.pick(NAMES));
      return;
    case 9:
      if (old !== undefined) remove(root, place, old);
      return;
    case 10:
      if (old !== undefined) renameAt(dirFd, old, dirFd, random.pick(NAMES));
      return;
    case 11:
      if (old !== undefined) setAttributes(dirFd, old, random);
      return;
    case 12:
      // A directory made anew hides what was below the old one.
      if (old !== undefined) {
        remove(root, place, old);
        mkdirAt(dirFd, old, 0o755);
      }
      return;
    case 13:
      if (old !== undefined && statxAt(dirFd, old).type === "file") writeRandomly(dirFd, old, random);
      return;
  }
}

function writeRandomly(dirFd: number, name: ByteString, random: Random): void {
  // Never into a device, and a FIFO would wait for its reader.
  const there = statxAtIfPresent(dirFd, name);
  if (there !== undefined && there.type !== "file") return;
  const fd = openAt(dirFd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o644);
  try {
    const content = new Uint8Array(random.pick(SIZES)).fill(1 + random.below(255));
    if (random.once(8)) truncateFd(fd, random.below(2_000_000));
    pwriteFd(fd, content, random.once(6) ? random.below(1_000_000) : 0);
  } finally {
    closeFd(fd);
  }
}

function setAttributes(dirFd: number, name: ByteString, random: Random): void {
  const { type } = statxAt(dirFd, name);
  chownAt(dirFd, name, random.pick(IDS), random.pick(IDS));
  if (type === "file" || type === "directory") {
    const fd = openAt(dirFd, name, O_RDONLY | O_NOFOLLOW);
    chmodFd(fd, random.pick(MODES));
    closeFd(fd);
    const attribute = random.pick(XATTRS);
    if (attribute === "security.capability" && type === "directory") return;
    const value = new Uint8Array([random.below(256), 10, 0, random.below(256)]);
    setXattrAt(dirFd, name, attribute, attribute === "security.capability" ? CAPABILITY : value);
  } else if (random.once(2)) setXattrAt(dirFd, name, bytes("trusted.t"), new Uint8Array([1, 2]));
}

function remove(root: string, place: ByteString, name: ByteString): void {
  // By a path of text: the odd names are reached through their directory's descriptor.
  inPlace(root, place, (fd) => removeTree(`/proc/self/fd/${fd}/${decoded(name)}`));
}

function decoded(name: ByteString): string {
  const text = new TextDecoder().decode(Uint8Array.from(name, (c) => c.charCodeAt(0)));
  if (text.includes("\ufffd")) throw Object.assign(new Error("a name that is no text is not removed"), { skip: true });
  return text;
}

function inPlace(root: string, place: ByteString, work: (fd: number) => void): void {
  inDirectory(root, (rootFd) => {
    const fd = place === "" ? openAt(rootFd, bytes("."), O_RDONLY) : openAt(rootFd, place, O_RDONLY | O_NOFOLLOW);
    try {
      work(fd);
    } catch (error) {
      if (!(error instanceof Error && "skip" in error)) throw error;
    } finally {
      closeFd(fd);
    }
  });
}

function listDirectories(directory: string): ByteString[] {
  return inDirectory(
    directory,
    (fd) =>
      [...walkTree(fd)].filter((node) => node.phase === "enter" && node.fd >= 0 && node.path.length < 2000)
        .map((node) => node.path),
  );
}
