import assert from "node:assert/strict";
import { test } from "node:test";
import { pausesIn } from "./pauses.ts";

test("a pause has its end as the day of Node-RED has it, or as how long it still lasts, or none", (t) => {
  // A Node with one language alone writes all others as that one.
  t.mock.method(Date.prototype, "toLocaleString", () => "11/30/2026, 2:05:59 PM");
  const now = new Date(2026, 10, 30, 9, 5).getTime();
  const paused = (name: string, pause: object | undefined): object => ({ name, paused: pause });
  const view = {
    uplinks: [
      paused("kafka", {
        since: now,
        until: new Date(2026, 10, 30, 14, 5, 59).getTime(),
        leftMs: 1,
      }),
      paused("plant", { until: new Date(2026, 11, 1, 6, 0).getTime() }),
      paused("cloud", { leftMs: 600_000 }),
      paused("file", {}),
      paused("runs", undefined),
    ],
  };
  assert.deepEqual(pausesIn(view, now), [
    { uplink: "kafka", until: "14:05" },
    { uplink: "plant", until: "2026-12-01 06:00" },
    { uplink: "cloud", until: "09:15" },
    { uplink: "file", until: undefined },
  ]);
  for (const other of [undefined, null, [], { uplinks: 7 }, { uplinks: [null, 7] }]) {
    assert.deepEqual(pausesIn(other, now), []);
  }
});
