/** Settings of the C library's allocator, for a process that shall stay small. */

/** Parameters of glibc's `mallopt`. */
const M_TRIM_THRESHOLD = -1, M_MMAP_THRESHOLD = -3, M_ARENA_MAX = -8;
/** Pieces of archives are twice as large. */
const LARGE_BYTES = 128 << 10;

/**
 * Makes the allocator give memory back to the kernel. Called before there are many threads. Other C libraries than glibc
 * have no such settings and need none.
 *
 * All threads share two arenas: by default each may get its own, and what a burst of work leaves free in one is of no use
 * to the others (30 MB after three imports of a Debian image). What is large has a mapping of its own, and goes with it:
 * by default that ends with the first large piece that is freed, and the arenas grow full of holes (another 40 MB).
 */
export function keepAllocatorSmall(): void {
  let library;
  try {
    library = Deno.dlopen("libc.so.6", { mallopt: { parameters: ["i32", "i32"], result: "i32" } });
  } catch {
    // No glibc, or no mallopt in it.
    return;
  }
  const { mallopt } = library.symbols;
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
  mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
}
