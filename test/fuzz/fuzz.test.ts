import { it } from "node:test";
import { targets } from "./main.ts";

const cases = 10_000;

for (const { name, run } of targets) {
  it(`${cases} damaged inputs leave ${name} standing`, async (t) => {
    const seed = Number(process.env["WEIR_TEST_SEED"] ?? Date.now() % 1_000_000);
    t.diagnostic(`again: node test/fuzz/main.ts ${name} --cases ${cases} --seed ${seed}`);
    await run({ cases, seed });
  });
}
