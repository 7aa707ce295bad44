/** Settings of the C library's allocator, for a process that shall stay small. */

/** glibc's `M_ARENA_MAX`. */
const M_ARENA_MAX = -8;

/**
 * Lets all threads share two memory arenas. By default every thread may get its own, and what a burst of work leaves
 * free in one is of no use to the others: 30 MB after three imports of a Debian image. Called before there are many
 * threads. Other C libraries than glibc have no such setting and need none.
 */
export function shareAllocatorArenas(): void {
  let library;
  try {
    library = Deno.dlopen("libc.so.6", { mallopt: { parameters: ["i32", "i32"], result: "i32" } });
  } catch {
    // No glibc, or no mallopt in it.
    return;
  }
  library.symbols.mallopt(M_ARENA_MAX, 2);
}
