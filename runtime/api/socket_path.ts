/** Makes sure that a socket can be put at a path, and that nobody else can put one there. */
import { dirname } from "@std/path/posix";
import { LaminaError, messageOf } from "../core/errors.ts";
import { fileError } from "./file_error.ts";

/** Bytes that the kernel's `sockaddr_un` has for a path, less the final NUL. */
const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Prepares `path` for a listener: its directory exists, is 0700 if made here and belongs to nobody else; a socket that
 * a killed daemon left is removed.
 *
 * @returns warnings for the log.
 * @throws `INVALID_ARGUMENT` (not absolute, too long), `ALREADY_EXISTS` (something that is no socket is there; it stays
 * untouched), `CONFLICT` (a live daemon listens), `PERMISSION_DENIED` (directory open to others, or not ours).
 */
export async function prepareSocketPath(path: string): Promise<string[]> {
  if (!path.startsWith("/") || path.includes("\0")) {
    throw new LaminaError("INVALID_ARGUMENT", `Invalid socket path ${JSON.stringify(path)}: it must be absolute`);
  }
  const size_bytes = new TextEncoder().encode(path).length;
  if (size_bytes > MAX_SOCKET_PATH_BYTES) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Invalid socket path ${path}: it has ${size_bytes} bytes, the kernel takes ${MAX_SOCKET_PATH_BYTES}. Choose a shorter one with --socket`,
      { details: { size_bytes, limit_bytes: MAX_SOCKET_PATH_BYTES } },
    );
  }
  const warnings = await ownDirectory(dirname(path), path);
  await clearStale(path);
  return warnings;
}

/** Whether something accepts connections there: `live`, `stale` (a socket nobody listens on), `absent` or `other`. */
export async function probeSocket(path: string): Promise<"live" | "stale" | "absent" | "other"> {
  let info: Deno.FileInfo;
  try {
    info = await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return "absent";
    throw fileError(error, `Cannot look at ${path}`);
  }
  if (info.isSymlink) info = await Deno.stat(path).catch(() => info);
  if (!info.isSocket) return "other";
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return "live";
  } catch (error) {
    if (error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound) return "stale";
    // A full backlog (EAGAIN) is a daemon under load, not an absent one.
    if (messageOf(error).includes("os error 11")) return "live";
    throw fileError(error, `Cannot connect to ${path}`);
  }
}

async function ownDirectory(directory: string, path: string): Promise<string[]> {
  let info: Deno.FileInfo;
  try {
    await Deno.mkdir(dirname(directory), { recursive: true, mode: 0o755 });
    await Deno.mkdir(directory, { mode: 0o700 }).catch((error) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
    info = await Deno.stat(directory);
  } catch (error) {
    throw fileError(error, `Cannot make the directory of the socket ${path}`);
  }
  if (!info.isDirectory) {
    throw new LaminaError("ALREADY_EXISTS", `Cannot put a socket at ${path}: ${directory} is no directory`);
  }
  const uid = Deno.uid();
  if (info.uid !== uid && info.uid !== 0) {
    throw new LaminaError(
      "PERMISSION_DENIED",
      `Cannot put a socket at ${path}: ${directory} belongs to user ${info.uid}, who could replace it. Use a directory of user ${uid}`,
    );
  }
  const mode = (info.mode ?? 0) & 0o7777;
  const sticky = (mode & 0o1000) !== 0;
  if ((mode & 0o022) !== 0 && !sticky) {
    throw new LaminaError(
      "PERMISSION_DENIED",
      `Cannot put a socket at ${path}: others can write to ${directory} (mode ${mode.toString(8)}) and replace it. ` +
        `Run chmod go-w ${directory} or choose another directory`,
      { details: { mode: mode.toString(8) } },
    );
  }
  if ((mode & 0o022) === 0) return [];
  return [`others can write to ${directory} (mode ${mode.toString(8)}): a directory of mode 0700 is safer`];
}

/** Milliseconds in which a socket that nobody has any more stops taking connections. */
const LAST_BREATH_MS = 2000;

/**
 * What is at `path`. A daemon that was killed while it started a program leaves its socket to that program for a moment:
 * before somebody is taken for a live daemon, it is asked a few times.
 */
async function settledSocket(path: string): Promise<Awaited<ReturnType<typeof probeSocket>>> {
  for (const deadline_ms = performance.now() + LAST_BREATH_MS;;) {
    const found = await probeSocket(path);
    if (found !== "live" || performance.now() > deadline_ms || await answers(path)) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Whether somebody not only takes connections, but reads them. */
async function answers(path: string): Promise<boolean> {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  try {
    await (await fetch("http://lamina/healthz", { client, signal: AbortSignal.timeout(500) })).body?.cancel();
    return true;
  } catch {
    return false;
  } finally {
    client.close();
  }
}

async function clearStale(path: string): Promise<void> {
  const found = await settledSocket(path);
  if (found === "live") {
    throw new LaminaError(
      "CONFLICT",
      `Cannot listen on ${path}: a daemon listens there already. Stop it, or choose another path with --socket`,
      { details: { path } },
    );
  }
  if (found === "other") {
    throw new LaminaError(
      "ALREADY_EXISTS",
      `Cannot listen on ${path}: something that is no socket is there. It was left alone; move it or choose another path with --socket`,
      { details: { path } },
    );
  }
  if (found === "stale") {
    await Deno.remove(path).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw fileError(error, `Cannot remove the stale socket ${path}`);
    });
  }
}
