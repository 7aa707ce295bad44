/** A little disk space kept back, because even deleting needs some: rows are removed by writing. */

/** Bytes kept back: enough for the commits of many removals, little enough not to be missed. */
export const RESERVE_BYTES = 1 << 20;

/** A file of {@linkcode RESERVE_BYTES} that is given up when a deletion finds the disk full. */
export class SpaceReserve {
  /** @param path Absolute path of the file. */
  constructor(readonly path: string) {}

  /** Gives the space up. False: there was none left to give. */
  release(): boolean {
    try {
      Deno.removeSync(this.path);
      return true;
    } catch (error) {
      // Whatever the reason (absent, read-only disk), there is nothing to gain here: the caller reports its own failure.
      if (error instanceof Error) return false;
      throw error;
    }
  }

  /** Keeps the space back again where it is not. Without room for it nothing happens: the next deletion tries again. */
  restore(): void {
    try {
      if (Deno.statSync(this.path).size === RESERVE_BYTES) return;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    try {
      Deno.writeFileSync(this.path, incompressible(), { mode: 0o600 });
    } catch {
      // Full or read-only: half a reserve is none.
      this.release();
    }
  }
}

/** File systems that compress would keep nothing back for zeros. */
function incompressible(): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(RESERVE_BYTES);
  for (let i = 0; i < bytes.length; i += 65536) crypto.getRandomValues(bytes.subarray(i, i + 65536));
  return bytes;
}
