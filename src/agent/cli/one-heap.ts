/**
 * Under a small ceiling weir starts itself anew, in the same process: the C library reads only then how
 * many heaps it may have, and which pieces of memory it maps by themselves, to give them back when they
 * are freed. With one heap for each thread, and buffers left in it as holes, an agent takes 20 MB more.
 */

import { limits } from "../../core/limits.ts";
import type { MemoryCeiling } from "../memory/memory-plan.ts";
import { weirProgram } from "./own-program.ts";

/** glibc's own names. Whoever sets the first, to whatever, has decided. */
const HEAPS = "MALLOC_ARENA_MAX";
const PIECES = "MALLOC_MMAP_THRESHOLD_";

/** Does not return where it starts anew. Nothing may be open yet. */
export function takeOneHeap(ceiling: MemoryCeiling | undefined): void {
  const isSmall = ceiling !== undefined && ceiling.bytes <= limits.memoryOneHeapBytesMax;
  if (!isSmall || process.platform !== "linux" || process.env[HEAPS] !== undefined) return;
  const { file, args } = weirProgram();
  const words = process.argv.slice(2);
  const heap = { [HEAPS]: "1", [PIECES]: String(limits.memoryMappedPieceBytes) };
  process.execve?.(file, [file, ...args, ...words], { ...process.env, ...heap });
}
