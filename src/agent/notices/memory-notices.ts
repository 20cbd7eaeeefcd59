/** What a person should know of a ceiling on memory: see notices.ts. */

import { roughBytesText } from "../config/quantity.ts";
import type { MemoryStatus } from "../memory/memory-watch.ts";
import type { Status } from "../status.ts";
import type { Notice } from "./notice.ts";

export function memoryNotices({ ceiling }: Status["memory"]): readonly Notice[] {
  if (ceiling?.level !== "short") return [];
  const { anonymousBytes = 0, roomBytes } = ceiling;
  const message = `memory is short: ${roughBytesText(anonymousBytes)} are taken of the ${roughBytesText(roomBytes)} that ${ceilingText(ceiling)} leaves: new series, devices and texts are refused, and queries, until it eases; give it more memory, or fewer pipelines, connections or readings in limits.duplicateRing`;
  return [{ code: "memory_short", message }];
}

/** As part of a sentence: the ceiling, and who says so. */
export function ceilingText({ ceilingBytes, from }: MemoryStatus): string {
  return `a ceiling of ${roughBytesText(ceilingBytes)} (${from})`;
}
