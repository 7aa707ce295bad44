/** The base of a pool: an empty file system that every snapshot without a parent starts as. */
import { join } from "@std/path/posix";
import { LaminaError } from "../../../runtime/core/errors.ts";
import type { Operation } from "../../../runtime/core/operation.ts";
import { mapperNode } from "../../../runtime/host/device_mapper.ts";
import { faultPoint } from "../../../runtime/host/faults.ts";
import type { Mounter } from "../../../runtime/host/mounter.ts";
import { makeFileSystem, mountOptions } from "./file_systems.ts";
import type { DevicemapperSettings } from "./options.ts";
import type { OpenPool } from "./pool_owner.ts";
import { THIN } from "./thin_pool.ts";

/** How and where the base is made. */
export interface BasePlace {
  readonly settings: DevicemapperSettings;
  readonly mounter: Mounter;
  /** Where it is mounted for a moment; made and removed. */
  readonly path: string;
}

/**
 * Makes the base of the wanted kind and size, if the pool has another one or none.
 *
 * @param holdsData Whether committed snapshots were made on the base that is there.
 * @throws `CONFLICT` for another kind of file system while there are snapshots.
 */
export async function ensureBase(
  open: OpenPool,
  place: BasePlace,
  holdsData: boolean,
  operation: Operation,
): Promise<void> {
  const { path } = place;
  const { fs, base_bytes } = place.settings;
  const { base } = open.label;
  if (base !== undefined && base.fs === fs && base.size_bytes === base_bytes) return;
  if (base !== undefined && base.fs !== fs && holdsData) {
    throw new LaminaError(
      "CONFLICT",
      `Cannot use devicemapper.fs=${fs}: the snapshots in the pool on ${open.shown} have ${base.fs}. Use that`,
    );
  }
  // The other one of the two: what is there is of an earlier size, or half made.
  const thin = base?.thin === THIN.base[0] ? THIN.base[1] : THIN.base[0];
  open.pool.deactivate(thin);
  open.pool.delete(thin);
  open.pool.createThin(thin);
  faultPoint("devicemapper.base_made");
  const device = mapperNode(open.pool.activate(thin, base_bytes, { readOnly: false }));
  await makeFileSystem(fs, device, operation);
  await Deno.mkdir(path, { mode: 0o700 });
  const mount = { type: fs, source: device, target: path, options: mountOptions(fs, "rw", false) };
  await place.mounter.mount([mount], operation);
  try {
    if (fs === "ext4") await Deno.remove(join(path, "lost+found"));
    await Deno.chmod(path, 0o755);
  } finally {
    await place.mounter.unmount([path], operation);
  }
  await Deno.remove(path);
  open.pool.flush(thin);
  open.pool.deactivate(thin);
  open.save({ ...open.label, base: { thin, fs, size_bytes: base_bytes } });
  faultPoint("devicemapper.base_noted");
  if (base !== undefined) open.pool.delete(base.thin);
}
