/** File systems to make sized trees on, and how much goes into one. */
import { assertMatch } from "@std/assert";
import { join } from "@std/path/posix";
import { createLayerEngine } from "../../../drivers/storage/layer/layer_engine.ts";
import type { LayerEngine } from "../../../drivers/storage/layer/engine.ts";
import { SizedPlace } from "../../../drivers/volume/sized/sized_place.ts";
import { LibcMounter } from "../../../runtime/host/libc_mounter.ts";
import { commandOutput, runCommand } from "../../../runtime/host/command.ts";
import { scratchDirectory, unmountBelow } from "../../support/scratch.ts";

export const MIB = 2 ** 20;
export const mounter = new LibcMounter();

/** A directory on a fresh file system; `scratch`: on the tests' own. */
export interface Place extends AsyncDisposable {
  readonly path: string;
  readonly engine: LayerEngine;
  open(): Promise<SizedPlace>;
  /** A fresh directory beside the place, to mount at. */
  target(name: string): string;
}

/** Makes one of 1 GiB. */
export async function placeOn(type: "btrfs" | "xfs" | "scratch", size = "1G"): Promise<Place> {
  const scratch = await scratchDirectory();
  const mounted = join(scratch.path, "fs"), image = join(scratch.path, "disk");
  await Deno.mkdir(mounted);
  if (type !== "scratch") {
    await commandOutput("truncate", ["-s", size, image]);
    await commandOutput(`mkfs.${type}`, [type === "xfs" ? "-q" : "--quiet", image]);
    await commandOutput("mount", ["-o", "loop", image, mounted]);
  }
  const path = join(mounted, "place");
  await Deno.mkdir(path);
  const engine = createLayerEngine({});
  return {
    path,
    engine,
    open: () => SizedPlace.open(path, engine, []),
    target(name) {
      const target = join(scratch.path, name);
      Deno.mkdirSync(target);
      return target;
    },
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      await unmountBelow(mounted).catch(() => {});
      await unmountBelow(scratch.path);
      for (let tries = 0; tries < 100; tries++) {
        const { stdout } = await runCommand("losetup", ["-j", image]);
        if (stdout.trim() === "") break;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await scratch[Symbol.asyncDispose]();
    },
  };
}

/** Writes until nothing more goes in, at most `most_bytes`. @returns how much went in. */
export function fill(path: string, most_bytes: number): number {
  const piece = new Uint8Array(256 * 1024);
  crypto.getRandomValues(piece.subarray(0, 65536));
  let written = 0;
  try {
    using file = Deno.openSync(path, { write: true, createNew: true });
    while (written < most_bytes) {
      written += file.writeSync(piece);
      // At the latest when blocks are given to what was written it shows that there are none.
      if (written % (8 * MIB) === 0) file.syncSync();
    }
    file.syncSync();
  } catch (error) {
    assertMatch(String(error), /quota|no space|os error (122|28)/i);
  }
  return written;
}
