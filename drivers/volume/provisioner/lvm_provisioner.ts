/**
 * `lamina.dev/lvm`: thin volumes in a thin pool of LVM. What Lamina has made carries the tag `lamina`; one that is not
 * finished has `lamina.making` as well. Volumes without the tag are never touched.
 */
import * as z from "zod";
import { isLaminaError, LaminaError } from "../../../runtime/core/errors.ts";
import { KeyedLock } from "../../../runtime/core/keyed_lock.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { fileSystemStatus } from "../../../runtime/host/disk.ts";
import { faultPoint } from "../../../runtime/host/faults.ts";
import { fileSystemOn, makeFileSystem } from "../../storage/devicemapper/file_systems.ts";
import type { Provisioned, Provisioner, ProvisionRequest, VolumeUsage } from "../port.ts";
import { fillDevice, growthObstacle, mountOfImage } from "../sized/image_mount.ts";
import { parseParameters } from "./local_parameters.ts";
import { listVolumes, type LogicalVolume, lvm } from "./lvm_commands.ts";

type Source = Readonly<Record<string, unknown>>;

const TAG = "lamina";
const MAKING = "lamina.making";
/** It may take more than the pool has left. */
const OVER = "lamina.overprovision";
const lvmName = z.string().regex(/^[A-Za-z0-9_+.][-A-Za-z0-9_+.]{0,126}$/, "must be a name that LVM allows");
const fsType = z.enum(["ext4", "xfs"], 'must be "ext4" or "xfs"');

/** `parameters` of a StorageClass. */
const Parameters = z.strictObject({
  vg: lvmName,
  thinpool: lvmName,
  fsType: fsType.optional(),
  "csi.storage.k8s.io/fstype": fsType.optional(),
  overprovision: z.enum(["true", "false"], 'must be "true" or "false"').default("false"),
});

/** See the head of the file. */
export class LvmProvisioner implements Provisioner {
  readonly name = "lamina.dev/lvm";
  readonly #locks = new KeyedLock();

  async provision(request: ProvisionRequest, operation: Operation): Promise<Provisioned> {
    const parameters = parseParameters(this.name, Parameters, request.parameters);
    const { vg, thinpool, overprovision } = parameters;
    using _lock = await this.#locks.acquire(vg, operation.signal);
    const volumes = await listVolumes(vg, operation);
    const pool = poolOf(volumes, vg, thinpool);
    const origin = originOf(volumes, vg, thinpool, request);
    const block = request.volume_mode === "Block";
    let found = ownVolume(volumes, vg, request.name);
    if (found === undefined) {
      const size_bytes = Math.max(request.size_bytes, origin?.size_bytes ?? 0);
      const over = overprovision === "true";
      if (!over) refuseTooMuch(volumes, pool, size_bytes, vg, request.name);
      await this.#make(vg, thinpool, request.name, { size_bytes, origin, over }, operation);
      found = ownVolume(await listVolumes(vg, operation), vg, request.name)!;
    }
    if (found.tags.includes(MAKING)) {
      const fs = parameters.fsType ?? parameters["csi.storage.k8s.io/fstype"] ?? "ext4";
      // Nobody has had it yet.
      if (origin === undefined && !block) await makeFileSystem(fs, found.path, operation);
      faultPoint("provision.tree_made");
      await this.#change("lvchange", ["--deltag", MAKING, `${vg}/${found.name}`], operation);
      faultPoint("provision.recorded");
    }
    const { size_bytes } = await this.#grow(vg, found, request.size_bytes, operation);
    const fs = block ? undefined : fileSystemOn(found.path)?.fs;
    return {
      source: { local: fs === undefined ? { path: found.path } : { path: found.path, fsType: fs } },
      size_bytes,
    };
  }

  async remove(source: Source, operation: Operation): Promise<void> {
    const { vg, name } = placeOf(source);
    await this.#remove(vg, name, operation);
  }

  async discard(name: string, given: Readonly<Record<string, string>>, operation: Operation): Promise<void> {
    try {
      await this.#remove(parseParameters(this.name, Parameters, given).vg, name, operation);
    } catch (error) {
      // With these parameters nothing was ever made.
      if (!isLaminaError(error, "INVALID_ARGUMENT", "NOT_FOUND")) throw error;
    }
  }

  async expand(source: Source, size_bytes: number, operation: Operation) {
    const { vg, name } = placeOf(source);
    using _lock = await this.#locks.acquire(vg, operation.signal);
    const volumes = await listVolumes(vg, operation);
    const found = ownVolume(volumes, vg, name);
    if (found === undefined) throw new LaminaError("NOT_FOUND", `Cannot grow ${vg}/${name}: there is no such volume`);
    const grown = await this.#grow(vg, found, size_bytes, operation);
    const pending = !await fillDevice(found.path, operation);
    const obstacle = pending ? growthObstacle(found.path) : undefined;
    return { ...grown, pending, ...(obstacle !== undefined && { obstacle }) };
  }

  async usage(source: Source, operation: Operation): Promise<VolumeUsage> {
    const { vg, name } = placeOf(source);
    const found = ownVolume(await listVolumes(vg, operation), vg, name);
    if (found === undefined) throw new LaminaError("NOT_FOUND", `There is no volume ${vg}/${name}`);
    const mount = mountOfImage(found.path);
    const used_bytes = mount === undefined ? found.used_bytes : fileSystemStatus(mount.target).used_bytes;
    return { used_bytes, capacity_bytes: found.size_bytes, available_bytes: found.size_bytes - used_bytes };
  }

  /** Of a mounted volume, too: its file system is frozen for the moment. */
  async snapshot(source: Source, name: string, operation: Operation): Promise<{ handle: string; size_bytes: number }> {
    const { vg, name: of } = placeOf(source);
    using _lock = await this.#locks.acquire(vg, operation.signal);
    const volumes = await listVolumes(vg, operation);
    const origin = ownVolume(volumes, vg, of);
    if (origin === undefined) throw new LaminaError("NOT_FOUND", `Cannot take a snapshot: there is no ${vg}/${of}`);
    if (ownVolume(volumes, vg, name) === undefined) {
      const over = origin.tags.includes(OVER);
      // What the volume overwrites from now on is kept for the snapshot.
      if (!over) refuseTooMuch(volumes, poolOf(volumes, vg, origin.pool), origin.size_bytes, vg, name);
      const tags = [TAG, ...(over ? [OVER] : [])].flatMap((tag) => ["--addtag", tag]);
      const args = ["-s", "-y", "-pr", "-kn", "-an", "-n", name, ...tags, `${vg}/${of}`];
      await this.#change("lvcreate", args, operation);
      faultPoint("provision.tree_made");
    }
    return { handle: `${vg}/${name}`, size_bytes: origin.size_bytes };
  }

  async removeSnapshot(handle: string, operation: Operation): Promise<void> {
    const [vg, name] = handle.split("/");
    await this.#remove(vg!, name!, operation);
  }

  async list(given: Readonly<Record<string, string>>, operation: Operation): Promise<readonly string[]> {
    try {
      const { vg } = parseParameters(this.name, Parameters, given);
      const volumes = await listVolumes(vg, operation);
      return volumes.filter(({ tags }) => tags.includes(TAG)).map(({ name }) => `${vg}/${name}`);
    } catch (error) {
      // With these parameters nothing was ever made, or it is not reachable now, which its volumes tell.
      if (isLaminaError(error, "INVALID_ARGUMENT", "NOT_FOUND", "UNSUPPORTED")) return [];
      throw error;
    }
  }

  async capacity(given: Readonly<Record<string, string>>, operation: Operation) {
    const { vg, thinpool, overprovision } = parseParameters(this.name, Parameters, given);
    const volumes = await listVolumes(vg, operation);
    const pool = poolOf(volumes, vg, thinpool);
    const available_bytes = overprovision === "true" ? pool.size_bytes - pool.used_bytes : freeOf(volumes, pool);
    return { total_bytes: pool.size_bytes, available_bytes };
  }

  async #make(
    vg: string,
    thinpool: string,
    name: string,
    { size_bytes, origin, over }: {
      readonly size_bytes: number;
      readonly origin?: LogicalVolume;
      readonly over: boolean;
    },
    operation: Operation,
  ): Promise<void> {
    faultPoint("provision.begun");
    const tags = [TAG, MAKING, ...(over ? [OVER] : [])].flatMap((tag) => ["--addtag", tag]);
    const args = origin === undefined
      // Signatures of what the blocks held before are wiped without a question.
      ? ["-y", "-Wy", "-V", `${Math.ceil(size_bytes / 512) * 512}b`, "-T", `${vg}/${thinpool}`, "-n", name, ...tags]
      : ["-s", "-y", "-prw", "-kn", "-ay", "-n", name, ...tags, `${vg}/${origin.name}`];
    await this.#change("lvcreate", args, operation);
    faultPoint("provision.renamed");
  }

  async #grow(vg: string, found: LogicalVolume, size_bytes: number, operation: Operation) {
    if (found.size_bytes >= size_bytes) return { size_bytes: found.size_bytes };
    const volumes = await listVolumes(vg, operation);
    const pool = volumes.find(({ name }) => name === found.pool);
    if (pool !== undefined && !found.tags.includes(OVER)) {
      refuseTooMuch(volumes, pool, size_bytes - found.size_bytes, vg, found.name);
    }
    const size = `${Math.ceil(size_bytes / 512) * 512}b`;
    await this.#change("lvextend", ["-y", "-L", size, `${vg}/${found.name}`], operation);
    faultPoint("provision.grown");
    const grown = ownVolume(await listVolumes(vg, operation), vg, found.name);
    return { size_bytes: grown?.size_bytes ?? size_bytes };
  }

  async #remove(vg: string, name: string, operation: Operation): Promise<void> {
    using _lock = await this.#locks.acquire(vg, operation.signal);
    if (ownVolume(await listVolumes(vg, operation), vg, name) === undefined) return;
    faultPoint("provision.given_up");
    await this.#change("lvremove", ["-f", "-y", `${vg}/${name}`], operation);
    faultPoint("provision.deleted");
  }

  async #change(program: string, args: readonly string[], operation: Operation): Promise<void> {
    await lvm(program, args, `Cannot change ${args.at(-1)}`, operation);
  }
}

/** @throws `CONFLICT` when a volume of that name is not ours. */
function ownVolume(volumes: readonly LogicalVolume[], vg: string, name: string): LogicalVolume | undefined {
  const found = volumes.find((one) => one.name === name);
  if (found === undefined || found.tags.includes(TAG)) return found;
  throw new LaminaError(
    "CONFLICT",
    `Cannot use ${vg}/${name}: it has no tag "${TAG}", so Lamina has not made it. Rename it, or leave it to its owner`,
  );
}

function poolOf(volumes: readonly LogicalVolume[], vg: string, thinpool: string): LogicalVolume {
  const found = volumes.find(({ name }) => name === thinpool);
  if (found?.is_pool) return found;
  const pools = volumes.filter(({ is_pool }) => is_pool).map(({ name }) => name).join(", ") || "none";
  throw new LaminaError(
    "NOT_FOUND",
    `Cannot make volumes in ${vg}/${thinpool}: ${found === undefined ? "it does not exist" : "it is no thin pool"}. ` +
      `Thin pools of ${vg}: ${pools}. lvcreate -T makes one`,
  );
}

function originOf(
  volumes: readonly LogicalVolume[],
  vg: string,
  thinpool: string,
  { from, size_bytes }: ProvisionRequest,
): LogicalVolume | undefined {
  if (from === undefined) return undefined;
  const [group, name] = from.snapshotHandle?.split("/") ?? Object.values(placeOf(from.source!));
  const found = group === vg ? volumes.find((one) => one.name === name) : undefined;
  if (found === undefined || found.pool !== thinpool) {
    throw new LaminaError(
      "INVALID_ARGUMENT",
      `Cannot copy ${group}/${name}: it is not in the thin pool ${vg}/${thinpool}`,
    );
  }
  if (size_bytes < found.size_bytes) {
    throw new LaminaError("INVALID_ARGUMENT", `Cannot copy ${found.size_bytes} bytes into ${size_bytes}. Ask for more`);
  }
  return found;
}

/** What of a pool is promised to no volume: each could be filled, but for those of which more is promised than there is. */
function freeOf(volumes: readonly LogicalVolume[], pool: LogicalVolume): number {
  const promised = volumes.filter((one) => one.pool === pool.name)
    .reduce((sum, one) => sum + (one.tags.includes(OVER) ? one.used_bytes : one.size_bytes), 0);
  return Math.max(0, pool.size_bytes - promised);
}

function refuseTooMuch(
  volumes: readonly LogicalVolume[],
  pool: LogicalVolume,
  wanted_bytes: number,
  vg: string,
  name: string,
): void {
  const available_bytes = freeOf(volumes, pool);
  if (wanted_bytes <= available_bytes) return;
  throw new LaminaError(
    "RESOURCE_EXHAUSTED",
    `Cannot give ${wanted_bytes} bytes to ${name}: of the ${pool.size_bytes} bytes of ${vg}/${pool.name} ${available_bytes} ` +
      `are promised to no other volume. Extend the pool, ask for less, or set the parameter overprovision to "true"`,
    { details: { wanted_bytes, available_bytes } },
  );
}

function placeOf(source: Source): { vg: string; name: string } {
  const path = (source.local as { path?: unknown } | undefined)?.path;
  const [, vg, name] = typeof path === "string" ? /^\/dev\/([^/]+)\/([^/]+)$/.exec(path) ?? [] : [];
  if (vg !== undefined && name !== undefined) return { vg, name };
  throw new LaminaError("INVALID_ARGUMENT", "This PersistentVolume was not made by lamina.dev/lvm: its path is other");
}
