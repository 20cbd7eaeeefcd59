import assert from "node:assert/strict";
import { test } from "node:test";
import { scenarioText } from "./scenario-text.ts";

test("one of each is told as one", () => {
  const network = { connections: 1, cut: 1, bytesUp: 1, bytesDown: 1 };
  const text = scenarioText(
    { seed: 7 },
    {
      counts: { steps: 1, kills: 1, stops: 1, hangs: 1, cuts: 1, fills: 1, commands: 1, idle: 1 },
      link: network,
      devices: network,
      truth: {
        totals: { messages: 1, readings: 1, duplicates: 1, qos1: 1, acked: 1, dropped: 1 },
        acknowledged: 1,
        pending: 1,
      },
      ledger: undefined,
      seconds: 2,
      drainSeconds: 2,
    },
    {
      first: undefined,
      proven: undefined,
      compared: [
        { pipeline: "p", windows: 1, readings: 1, missing: 1, others: 1, first: undefined },
      ],
    },
  );
  assert.doesNotMatch(text, /\b1 [a-z]+s\b/);
  assert.match(text, /^sent +1 message \(1 a second time\); 1 of 1 acknowledged, 1 never sent$/m);
});
