import { libc } from "./libc.ts";

/**
 * Gives memory that was freed back to the kernel (`malloc_trim(3)`). The C library does so by itself
 * at the end of its heap only: behind whatever small thing lies there, all that a burst of work has
 * needed for a moment stays resident for good. It runs off the thread, for it may take some
 * milliseconds.
 */
export async function returnFreeMemory(): Promise<void> {
  await libc.mallocTrimOffThread(0n);
}
