/** The thin devices behind the devicemapper driver, for the cases of the contract that look there or meddle with it. */
import { join } from "@std/path/posix";
import { fileSystemOn } from "../../../drivers/storage/devicemapper/file_systems.ts";
import { newestLabel } from "../../../drivers/storage/devicemapper/pool_layout.ts";
import { readLabel } from "../../../drivers/storage/devicemapper/pool_place.ts";
import { THIN, ThinPool } from "../../../drivers/storage/devicemapper/thin_pool.ts";
import { mapperNode } from "../../../runtime/host/device_mapper.ts";
import type { Backing } from "../../contract/support/backing.ts";
import type { DriverFixture } from "../../contract/support/driver_fixture.ts";
import { directMounter } from "./direct_mounter.ts";

const ORPHAN = 9999;

/** See the head of the file. */
export const poolBacking: Backing = {
  noun: "device",
  directories: false,
  async list(f) {
    const thins = await poolOf(f.directory).list(f.operation.signal);
    return thins.filter((thin) => thin < THIN.firstOwn).map(String);
  },
  makeOrphan(f) {
    const pool = poolOf(f.directory);
    pool.createThin(ORPHAN);
    return Promise.resolve(pool.nameOf(ORPHAN));
  },
  async makeStranger(f) {
    const path = join(f.directory, "Photos");
    await Deno.mkdir(path);
    return path;
  },
  block(f, id) {
    const pool = poolOf(f.directory);
    pool.createThin(id);
    return Promise.resolve(() => Promise.resolve(pool.delete(id)));
  },
  lose(f, id) {
    const pool = poolOf(f.directory);
    pool.deactivate(id);
    pool.delete(id);
    return Promise.resolve();
  },
  async meddle(f, id, body) {
    const pool = poolOf(f.directory);
    pool.deactivate(id);
    const probed = pool.activate(id, 1 << 20, { readOnly: true });
    const { fs, size_bytes } = fileSystemOn(mapperNode(probed))!;
    pool.deactivate(id);
    const source = mapperNode(pool.activate(id, size_bytes, { readOnly: false }));
    const target = await Deno.makeTempDir({ dir: f.scratch.path });
    const options = fs === "xfs" ? ["nouuid"] : [];
    await directMounter.mount([{ type: fs, source, target, options }], f.operation);
    try {
      return await body(target);
    } finally {
      await directMounter.unmount([target], f.operation);
      pool.deactivate(id);
    }
  },
};

/** The pool in the loop file of a driver's directory, without a driver. */
export function poolOf(directory: string): ThinPool {
  const label = newestLabel(readLabel(join(directory, "pool.img")));
  if (typeof label === "string") throw new Error(`the pool's label is ${label}`);
  const prefix = `lamina-${label.pool.slice(0, 8)}`;
  return new ThinPool(`${prefix}-pool`, prefix);
}

/** The pool of a fixture's driver. */
export function poolOfFixture(f: DriverFixture): ThinPool {
  return poolOf(f.directory);
}
