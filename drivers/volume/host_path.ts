/**
 * `hostPath`: a file or directory of this machine. What is there is the machine's: nothing is ever deleted.
 *
 * It is bound as it is found at set-up. A file that is later replaced by a rename keeps showing its old content to a
 * running pod, as with every bind of a file; its next set-up shows the new one. Refreshing the bind here would change
 * nothing for a container, which has a bind of its own: who wants to see replacements binds the directory.
 */
import { basename, dirname } from "@std/path/posix";
import type { ErrorCode } from "../../runtime/core/errors.ts";
import { abortable } from "../../runtime/core/keyed_lock.ts";
import type { Mount } from "../../runtime/core/mount.ts";
import type { Operation } from "../../runtime/core/operation.ts";
import { parseSpec } from "../../runtime/core/specs/parse_spec.ts";
import { HostPathSource } from "../../runtime/core/specs/kube/volume_sources.ts";
import { makeDirectoryDurably, syncDirectory } from "../../runtime/host/durable.ts";
import { hostError } from "../../runtime/host/errno_errors.ts";
import { awaiting } from "./awaited_path.ts";
import { hostBind } from "./host_bind.ts";
import { cannotSetUp, describeVolume, ownVolumeId } from "./plugin_context.ts";
import type { SetUpRequest, VolumePlugin, VolumeSpec, Workload } from "./port.ts";

/** What each type of a hostPath wants to find, in a message's words. */
const KINDS = {
  Directory: { is: (info: Deno.FileInfo) => info.isDirectory, words: "a directory" },
  DirectoryOrCreate: { is: (info: Deno.FileInfo) => info.isDirectory, words: "a directory" },
  File: { is: (info: Deno.FileInfo) => info.isFile, words: "a regular file" },
  FileOrCreate: { is: (info: Deno.FileInfo) => info.isFile, words: "a regular file" },
  Socket: { is: (info: Deno.FileInfo) => info.isSocket === true, words: "a unix socket" },
  CharDevice: { is: (info: Deno.FileInfo) => info.isCharDevice === true, words: "a character device" },
  BlockDevice: { is: (info: Deno.FileInfo) => info.isBlockDevice === true, words: "a block device" },
  "": { is: () => true, words: "anything" },
} as const;

/** See the head of the file. */
export class HostPathPlugin implements VolumePlugin {
  readonly name = "kubernetes.io/host-path";
  readonly capabilities = {
    mountOptions: false,
    block: false,
    // The files are the machine's: nobody changes their owner for a pod.
    fsGroup: false,
    accessModes: ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"],
  } as const;

  supports(spec: VolumeSpec): boolean {
    return "hostPath" in spec.source;
  }

  volumeId(spec: VolumeSpec, workload: Workload): string {
    return ownVolumeId(spec, workload);
  }

  async setUp(request: SetUpRequest, operation: Operation): Promise<readonly Mount[]> {
    const { spec, workload } = request;
    const { path, type } = parseSpec(HostPathSource, spec.source.hostPath, describeVolume(spec, workload));
    // On a server that does not answer a look may hang: then it hangs alone.
    const found = await abortable(lookAt(path), operation.signal);
    const refuse = (code: ErrorCode, why: string) => cannotSetUp(code, spec, workload, why, awaiting(path, found));
    if (found === undefined) {
      switch (type) {
        // Without a type Kubernetes leaves it to the container runtime, and these make a directory.
        case "":
        case "DirectoryOrCreate":
          await makeDirectoryDurably(path, 0o755);
          break;
        case "FileOrCreate":
          await makeFile(path, refuse);
          break;
        default:
          throw refuse("NOT_FOUND", `${path} does not exist on this host; its type ${type} wants ${KINDS[type].words}`);
      }
    } else if (!KINDS[type].is(found)) {
      throw refuse("CONFLICT", `${path} is ${wordsFor(found)}; its type ${type} wants ${KINDS[type].words}`);
    }
    const source = await abortable(Deno.realPath(path), operation.signal);
    return [hostBind(source, spec, workload)];
  }

  /** The manager takes the bind away; nothing else was made here. */
  tearDown(): Promise<void> {
    return Promise.resolve();
  }
}

async function lookAt(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw hostError(error, `Cannot look at ${path}`, { path });
  }
}

async function makeFile(path: string, refuse: (code: ErrorCode, why: string) => Error): Promise<void> {
  try {
    // Not through a link that leads nowhere: `createNew` does not follow it.
    using file = await Deno.open(path, { write: true, createNew: true, mode: 0o644 });
    await Deno.chmod(path, 0o644);
    await file.sync();
    await syncDirectory(dirname(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw refuse(
        "NOT_FOUND",
        `${path} cannot be made: its directory does not exist. FileOrCreate makes the file only; give the directory ` +
          "a volume of type DirectoryOrCreate",
      );
    }
    throw hostError(error, `Cannot make the file ${basename(path)} for a hostPath volume`, { path });
  }
}

function wordsFor(info: Deno.FileInfo): string {
  const kind = Object.values(KINDS).find(({ is }) => is(info));
  return kind === undefined || kind === KINDS[""] ? "something else" : kind.words;
}
