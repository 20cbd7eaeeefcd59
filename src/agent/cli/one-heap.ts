/**
 * Under a small ceiling weir starts itself anew, in the same process: the C library reads only then how
 * many heaps it may have. With one for each thread an agent takes 12 MB more.
 */

import { limits } from "../../core/limits.ts";
import type { MemoryCeiling } from "../memory/memory-plan.ts";
import { weirProgram } from "./own-program.ts";

/** glibc's own name for it. Whoever sets it, to whatever, has decided. */
const HEAPS = "MALLOC_ARENA_MAX";

/** Does not return where it starts anew. Nothing may be open yet. */
export function takeOneHeap(ceiling: MemoryCeiling | undefined): void {
  const isSmall = ceiling !== undefined && ceiling.bytes <= limits.memoryOneHeapBytesMax;
  if (!isSmall || process.platform !== "linux" || process.env[HEAPS] !== undefined) return;
  const { file, args } = weirProgram();
  const words = process.argv.slice(2);
  process.execve?.(file, [file, ...args, ...words], { ...process.env, [HEAPS]: "1" });
}
