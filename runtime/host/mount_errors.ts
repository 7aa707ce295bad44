/** What went wrong with a mount, for people: from an errno, or from what mount(8) and umount(8) print. */
import type { ErrorDetails } from "../core/errors.ts";
import { LaminaError } from "../core/errors.ts";
import type { Mount } from "../core/mount.ts";
import { codeOfErrno, meaningOfErrno } from "./errno_errors.ts";
import { mountSteps } from "./mount_options.ts";
import { mountIdentity, mountIdentityIfThere } from "./mount_table.ts";
import { parseOverlayOptions } from "./overlay_options.ts";
import { isErrno } from "./libc.ts";

/** Messages of util-linux (LC_ALL=C) and the errno behind each, most telling first. */
const messages: ReadonlyArray<[RegExp, string]> = [
  [/unknown filesystem type|file ?system type .* not (?:configured|supported)/i, "ENODEV"],
  [/target is busy|mount point (?:is )?busy|already mounted/i, "EBUSY"],
  [/does not exist|no such file/i, "ENOENT"],
  [/not a directory/i, "ENOTDIR"],
  [/permission denied|must be superuser|only root|operation not permitted/i, "EPERM"],
  [/no space left/i, "ENOSPC"],
  [/read-only file system|write-protected/i, "EROFS"],
  [/not a (?:valid )?block device/i, "ENOTBLK"],
  [/cannot allocate memory/i, "ENOMEM"],
  [/can't read superblock|input\/output error|structure needs cleaning|corrupted/i, "EIO"],
  [/stale file handle/i, "ESTALE"],
  [/not connected/i, "ENOTCONN"],
  [/too many levels of symbolic links/i, "ELOOP"],
  [/not mounted|no mount point specified|not found/i, "not mounted"],
  [/wrong fs type|bad option|invalid argument|bad usage/i, "EINVAL"],
];

/** The errno behind a message of mount(8) or umount(8), `not mounted`, or undefined. */
export function errnoOfMessage(text: string): string | undefined {
  return messages.find(([pattern]) => pattern.test(text))?.[1];
}

/** How a mount failed. */
export interface MountFailure {
  readonly errno?: string;
  /** What the program or the kernel said. */
  readonly text?: string;
  readonly cause?: unknown;
}

/** The error for a mount that failed. Looks at source and target to say which one is missing. Names no option values. */
export function mountError(mount: Mount, failure: MountFailure): LaminaError {
  const attempted = `Cannot mount ${mount.type || "none"} ${JSON.stringify(mount.source)} on ${mount.target}`;
  const errno = failure.errno ?? errnoOfMessage(failure.text ?? "");
  const details: ErrorDetails = { source: mount.source, target: mount.target, ...(errno && { errno }) };
  const said = failure.text === undefined || failure.text === "" ? "" : ` (${failure.text.trim().slice(0, 500)})`;
  const error = (code: LaminaError["code"], found: string) =>
    new LaminaError(code, `${attempted}: ${found}${said}`, { cause: failure.cause, details });
  const missing = missingPath(mount);
  if (missing !== undefined && errno !== "EPERM") return error("NOT_FOUND", `${missing} does not exist`);
  if (errno === "ENOTDIR" || (errno === "EINVAL" && isOfTwoKinds(mount))) {
    return error("CONFLICT", "source and target must both be directories, or both be files");
  }
  switch (errno) {
    case "EINVAL":
      return error(
        "INVALID_ARGUMENT",
        "the kernel refuses the options, or the source is no such file system. Its log (dmesg) may say more",
      );
    case "ENODEV":
      return error("UNSUPPORTED", `the kernel does not know the file system type "${mount.type}"`);
    case "ENOTBLK":
      return error("INVALID_ARGUMENT", "the source is no block device");
    case "EBUSY":
      return error("CONFLICT", "source or target is in use by another mount");
    case "EIO":
      return error("DATA_LOSS", "the file system on the source cannot be read");
    case "ELOOP":
      return error("INVALID_ARGUMENT", "a path is a loop of symbolic links, or overlays are stacked too deep");
    case undefined:
    case "not mounted":
      return error("INTERNAL", "mount failed");
    default:
      return error(codeOfErrno(errno), meaningOfErrno(errno));
  }
}

/** The error for an unmount that failed. `users` are sentences on what keeps the target busy. */
export function unmountError(target: string, failure: MountFailure, users: readonly string[] = []): LaminaError {
  const errno = failure.errno ?? errnoOfMessage(failure.text ?? "");
  const details: ErrorDetails = { target, ...(errno && { errno }), ...(users.length > 0 && { users: [...users] }) };
  const attempted = `Cannot unmount ${target}`;
  if (errno === "EBUSY") {
    const by = users.length === 0 ? "" : ` by ${users.join(", ")}`;
    return new LaminaError("CONFLICT", `${attempted}: it is in use${by}. Stop what uses it, or unmount lazily`, {
      cause: failure.cause,
      details,
    });
  }
  const found = errno === undefined ? (failure.text ?? "umount failed").trim().slice(0, 500) : meaningOfErrno(errno);
  return new LaminaError(errno === undefined ? "INTERNAL" : codeOfErrno(errno), `${attempted}: ${found}`, {
    cause: failure.cause,
    details,
  });
}

function missingPath(mount: Mount): string | undefined {
  if (!exists(mount.target)) return `the target ${mount.target}`;
  const steps = mountSteps(mount);
  if (steps.kind === "bind" && !exists(mount.source)) return `the source ${mount.source}`;
  if (mount.type !== "overlay" || steps.kind !== "filesystem") return undefined;
  const { lower, upper, work } = parseOverlayOptions(steps.data);
  const gone = [...lower, upper ?? "", work ?? ""].find((path) => path.startsWith("/") && !exists(path));
  return gone === undefined ? undefined : `the directory ${gone}`;
}

function isOfTwoKinds(mount: Mount): boolean {
  if (mountSteps(mount).kind !== "bind") return false;
  return mountIdentityIfThere(mount.source)?.isDirectory !== mountIdentityIfThere(mount.target)?.isDirectory;
}

function exists(path: string): boolean {
  try {
    mountIdentity(path);
    return true;
  } catch (error) {
    return !isErrno(error, "ENOENT");
  }
}
