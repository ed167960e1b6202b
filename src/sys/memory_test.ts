import assert from "node:assert/strict";
import { returnFreeMemory } from "./memory.ts";

const BLOCKS = 2_000;
const BLOCK_BYTES = 16 * 1024;

Deno.test(
  "memory that was freed goes back to the kernel, whatever lies behind it",
  { sanitizeOps: true, sanitizeResources: true },
  async () => {
    const library = Deno.dlopen("libc.so.6", {
      calloc: { parameters: ["usize", "usize"], result: "pointer" },
      free: { parameters: ["pointer"], result: "void" },
      memset: { parameters: ["pointer", "i32", "usize"], result: "pointer" },
    });
    const { calloc, free, memset } = library.symbols;
    const blocks = Array.from({ length: BLOCKS }, () => {
      const block = calloc(1n, BigInt(BLOCK_BYTES));
      memset(block, 1, BigInt(BLOCK_BYTES));
      return block;
    });
    const behind = calloc(1n, BigInt(BLOCK_BYTES));
    for (const block of blocks) free(block);
    const before = Deno.memoryUsage().rss;
    await returnFreeMemory();
    const returned = before - Deno.memoryUsage().rss;
    free(behind);
    library.close();
    assert(returned > BLOCKS * BLOCK_BYTES / 2, `${returned} bytes were returned`);
  },
);
