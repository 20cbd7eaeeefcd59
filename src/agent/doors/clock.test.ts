import assert from "node:assert/strict";
import { it } from "node:test";
import { systemClock } from "./clock.ts";
import { systemRandom } from "./random.ts";

it("what is cancelled does not run; what is due soon runs before what is due later", async () => {
  const clock = systemClock();
  const ran: string[] = [];
  const cancel = clock.after(0, () => ran.push("cancelled"));
  cancel();
  await new Promise<void>((resolve) => {
    clock.after(500, () => {
      ran.push("later");
      resolve();
    });
    clock.soon(() => ran.push("soon"));
  });
  assert.deepEqual(ran, ["soon", "later"]);
});

it("monotonic time does not go back", () => {
  const clock = systemClock();
  const first = clock.monotonic();
  assert.ok(clock.monotonic() >= first);
});

it("random numbers are 32-bit and differ", () => {
  const random = systemRandom();
  const drawn = Array.from({ length: 1_000 }, () => random.uint32());
  assert.ok(drawn.every((n) => Number.isInteger(n) && n >= 0 && n < 2 ** 32));
  assert.ok(new Set(drawn).size > 990);
});
