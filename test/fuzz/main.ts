/**
 * `node test/fuzz/main.ts [target...] [--cases N] [--seed S]`: damaged input against everything
 * that parses bytes from outside. Prints one line per target; a failure prints the command that
 * repeats it. A new target is one file that exports `target`, and one line here.
 */

import { parseArgs } from "node:util";
import { target as decoders } from "./decoders.ts";
import { target as mqtt } from "./mqtt.ts";

export type FuzzTarget = {
  readonly name: string;
  /** Throws at the first wrong answer; the result is printed. */
  readonly run: (options: {
    readonly cases: number;
    readonly seed: number;
  }) => object | Promise<object>;
};

export const targets: readonly FuzzTarget[] = [mqtt, decoders];

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { cases: { type: "string", default: "10000" }, seed: { type: "string" } },
  });
  const cases = Number(values.cases);
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const unknown = positionals.filter((name) => !targets.some((target) => target.name === name));
  if (unknown.length > 0 || !Number.isSafeInteger(cases) || !Number.isSafeInteger(seed)) {
    const names = targets.map(({ name }) => name).join("|");
    console.error(`usage: node test/fuzz/main.ts [${names}] [--cases N] [--seed S]`);
    process.exit(2);
  }
  for (const target of targets) {
    if (positionals.length > 0 && !positionals.includes(target.name)) continue;
    const startedAt = performance.now();
    try {
      const summary = await target.run({ cases, seed });
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      console.log(`${target.name} seed ${seed}, ${seconds} s: ${JSON.stringify(summary)}`);
    } catch (error) {
      console.error(error);
      console.error(`again: node test/fuzz/main.ts ${target.name} --cases ${cases} --seed ${seed}`);
      process.exit(1);
    }
  }
}
