/**
 * Where a local volume lies, and what it is. Nothing of that is in the database: the disk tells.
 *
 * ```
 * ROOT/volumes/NAME/_data           its data: a directory, a subvolume, or where the image or device is mounted
 * ROOT/volumes/NAME/image           a file with a file system inside, for a volume of limited size
 * ROOT/volumes/NAME/next            what is being made and takes the place of one of these
 * ROOT/volumes/NAME/snapshots/NAME  frozen copies of `_data` or `image`
 * ```
 */
import { join } from "@std/path/posix";
import { byteStringFromText } from "../../../../runtime/core/bytes.ts";
import type { RootLayout } from "../../../../runtime/core/root_layout.ts";
import { isSubvolumeTop } from "../../../../runtime/host/btrfs_calls.ts";
import { fileSystemStatus } from "../../../../runtime/host/disk.ts";
import { hostError } from "../../../../runtime/host/errno_errors.ts";
import { closeFd, openDirectoryAt } from "../../../../runtime/host/fs_calls.ts";
import { isErrno } from "../../../../runtime/host/libc.ts";
import { AT_FDCWD } from "../../../../runtime/host/openat2.ts";

/** Paths of one volume. */
export class LocalPlace {
  readonly directory: string;

  constructor(layout: RootLayout, name: string) {
    this.directory = join(layout.volumes, name);
  }
  get data(): string {
    return join(this.directory, "_data");
  }
  get image(): string {
    return join(this.directory, "image");
  }
  get next(): string {
    return join(this.directory, "next");
  }
  get snapshots(): string {
    return join(this.directory, "snapshots");
  }
  snapshot(name: string): string {
    return join(this.snapshots, name);
  }
  /** Whether its data is in an image. */
  get isImage(): boolean {
    return kindOf(this.image) === "file";
  }
}

/** What is at a path; a link counts as something else. */
export function kindOf(path: string): "absent" | "file" | "directory" | "other" {
  try {
    const { isFile, isDirectory } = Deno.lstatSync(path);
    return isFile ? "file" : isDirectory ? "directory" : "other";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return "absent";
    throw hostError(error, `Cannot look at ${path}`, { path });
  }
}

/** Whether there is the top of a btrfs subvolume at a path. */
export function isSubvolume(path: string): boolean {
  let fd: number;
  try {
    fd = openDirectoryAt(AT_FDCWD, byteStringFromText(path));
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return false;
    throw hostError(error, `Cannot look at ${path}`, { path });
  }
  try {
    // The number of a subvolume's top means nothing elsewhere.
    return isSubvolumeTop(fd) && fileSystemStatus(path).type === "btrfs";
  } finally {
    closeFd(fd);
  }
}
