/** Real chance, from the operating system, fetched in portions. */

import { randomFillSync } from "node:crypto";
import type { Random } from "../../core/doors.ts";

const PORTION = 256;

export function systemRandom(): Random {
  const portion = new Uint32Array(PORTION);
  let used = PORTION;
  return {
    uint32: () => {
      if (used === PORTION) {
        randomFillSync(portion);
        used = 0;
      }
      return portion[used++]!;
    },
  };
}
