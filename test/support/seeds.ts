/**
 * Tests over many seeds. WEIR_TEST_SEEDS is about how many of them (a test may take a share of it),
 * WEIR_TEST_SEED the first: one of both replays a seed alone. There are more in the long form.
 *
 * ```ts
 * await eachSeed(t, Math.ceil(seedCount / 4), async (seed) => { ... });
 * ```
 */

import { relative } from "node:path";
import type { TestContext } from "node:test";
import { countOf } from "./long-form.ts";

export const seedCount: number = countOf("WEIR_TEST_SEEDS", { short: 20, long: 40 });

const firstSeed = Number(process.env["WEIR_TEST_SEED"] ?? 1);
/** So many seeds are sure to meet what only some of them do. */
const seedsThatReachAll = 20;

/** Whether a test may expect of its seeds together what no single one promises. */
export const reachesAll: boolean = seedCount >= seedsThatReachAll;

/** One run after the other; the first that fails is the last, and the command that replays it is told. */
export async function eachSeed(
  t: TestContext,
  count: number,
  run: (seed: number) => Promise<void>,
): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    try {
      await run(seed);
    } catch (error) {
      const file = relative(process.cwd(), t.filePath ?? "test/simulation");
      t.diagnostic(`replay with WEIR_TEST_SEEDS=1 WEIR_TEST_SEED=${seed} npm test -- ${file}`);
      throw error;
    }
  }
}
