/** Tries fuse-overlayfs out by a real mount. */
import { join } from "@std/path/posix";
import { isLaminaError, messageOf } from "../../../runtime/core/errors.ts";
import { mountAt } from "../../../runtime/core/mount.ts";
import { mountsBelow } from "../../../runtime/core/mountinfo.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { CommandMounter } from "../../../runtime/host/command_mounter.ts";
import { fuseServersEnded } from "../../../runtime/host/fuse_servers.ts";
import { knownFileSystems } from "../../../runtime/host/host_facts.ts";
import { readMountTable } from "../../../runtime/host/mount_table.ts";
import { findProgram } from "../../../runtime/host/programs.ts";
import type { DriverNeed } from "../driver_factory.ts";
import { FUSE_OVERLAY_PROGRAM, fuseOverlayMount } from "./fuse_overlay_mounts.ts";

/** What a host lacks. */
export interface FuseRefusal {
  readonly reason: string;
  readonly needs: readonly DriverNeed[];
}

const TIMEOUT_MS = 20_000;

/**
 * Probes in a fresh directory below `directory` (absolute, existing), which is gone afterwards. `undefined`: it works.
 *
 * @throws only what says nothing about it: deadline, cancellation, a disk that cannot be written to.
 */
export async function probeFuseOverlay(directory: string, operation: Operation): Promise<FuseRefusal | undefined> {
  if (!knownFileSystems().has("fuse")) {
    return { reason: "this kernel has no FUSE", needs: [{ module: "fuse", kernelOption: "CONFIG_FUSE_FS" }] };
  }
  const missing = [[FUSE_OVERLAY_PROGRAM, "fuse-overlayfs"], ["mount.fuse", "fuse3"]]
    .flatMap(([program, name]) => findProgram(program!) === undefined ? [name!] : []);
  if (missing.length > 0) {
    return {
      reason: `${missing.join(" and ")} is not installed (Debian: apt-get install ${missing.join(" ")})`,
      needs: missing.map((name) => ({ package: name })),
    };
  }
  for await (const { name } of Deno.readDir(directory)) {
    if (name.startsWith("probe-fuse-")) await clear(join(directory, name), operation);
  }
  const home = await Deno.makeTempDir({ dir: directory, prefix: "probe-fuse-" });
  try {
    const reason = await tryMount(home, operation);
    return reason === undefined ? undefined : { reason, needs: [] };
  } finally {
    await clear(home, operation);
  }
}

/** What goes wrong, if anything. */
async function tryMount(home: string, operation: Operation): Promise<string | undefined> {
  const [lower, upper, work, target] = ["lower", "upper", "work", "merged"].map((name) => join(home, name));
  for (const path of [lower, upper, work, target]) await Deno.mkdir(path!);
  await Deno.writeTextFile(join(lower!, "deleted"), "");
  await Deno.writeTextFile(join(lower!, "changed"), "old");
  let mount;
  try {
    mount = fuseOverlayMount({ source: home, lowers: [lower!], writable: { upper: upper!, work: work! } });
    const options = { signal: operation.signal, timeout_ms: TIMEOUT_MS };
    await new CommandMounter().mount([mountAt(mount, target!)], options);
  } catch (error) {
    if (!isLaminaError(error) || error.code === "CANCELLED") throw error;
    return `fuse-overlayfs cannot mount here (${error.message})`;
  }
  try {
    await Deno.remove(join(target!, "deleted"));
    await Deno.writeTextFile(join(target!, "changed"), "new");
    const names = (await Array.fromAsync(Deno.readDir(target!))).map(({ name }) => name);
    const wrong = names.join() !== "changed" || await Deno.readTextFile(join(lower!, "changed")) !== "old";
    return wrong ? "fuse-overlayfs does not keep the changes apart from the layer below" : undefined;
  } catch (error) {
    return `fuse-overlayfs fails here (${messageOf(error)})`;
  }
}

async function clear(home: string, operation: Operation): Promise<void> {
  // The probe may have been cancelled; cleaning up is not.
  const signal = operation.signal.aborted ? AbortSignal.timeout(TIMEOUT_MS) : operation.signal;
  const targets = mountsBelow(readMountTable(), home).map(({ target }) => target).reverse();
  if (targets.length > 0) await new CommandMounter().unmount(targets, { signal, lazy: true });
  await fuseServersEnded(FUSE_OVERLAY_PROGRAM, home, { signal, timeout_ms: TIMEOUT_MS });
  await Deno.remove(home, { recursive: true });
}
