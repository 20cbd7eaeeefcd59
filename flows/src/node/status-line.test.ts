import assert from "node:assert/strict";
import { test } from "node:test";
import { flowLimits } from "../../../src/core/flow-limits.ts";
import type { Status } from "../red.ts";
import { StatusLine } from "./status-line.ts";

test("of many statuses the newest is shown, once a second, and made when it is shown", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const shown: Status[] = [];
  const line = new StatusLine({ status: (status) => void shown.push(status) });
  let made = 0;
  for (let at = 0; at < 100; at++) {
    line.show(() => {
      made += 1;
      return { text: String(at) };
    });
  }
  assert.deepEqual([shown, made], [[{ text: "0" }], 1]);
  t.mock.timers.tick(flowLimits.statusMs);
  assert.deepEqual([shown.at(-1), made], [{ text: "99" }, 2]);
});

test("after its end it shows nothing and leaves no timer", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const shown: Status[] = [];
  const line = new StatusLine({ status: (status) => void shown.push(status) });
  line.show({ text: "a" });
  line.close();
  line.show({ text: "b" });
  t.mock.timers.tick(2 * flowLimits.statusMs);
  assert.deepEqual(shown, [{ text: "a" }, {}]);
});
