/**
 * What a lane of the MQTT bridge keeps in the state store, as version 1 wrote it. It never changes; a
 * format that writes another is a new version with a vector of its own, and still reads this one.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  type AtLeastOnceState,
  decodeAtLeastOnceState,
  encodeAtLeastOnceState,
} from "../../src/sync/at-least-once-state.ts";

const state: AtLeastOnceState = {
  outbox: "3f0c51d2a67b40f88a5e9d1c2b3a4f50",
  next: 812,
  incidents: { count: 1, last: { first: 500, next: 501, what: "summaries 500 is left out" } },
};
const golden = readFileSync(new URL("bridge-lane-v1.json", import.meta.url), "utf8").trim();

test("a lane of the bridge is kept as version 1 kept it, and read back", () => {
  assert.equal(Buffer.from(encodeAtLeastOnceState(state)).toString(), golden);
  assert.deepEqual(decodeAtLeastOnceState(Buffer.from(golden), "golden"), state);
});

test("one that had no incident has none", () => {
  const calm = { ...state, incidents: { count: 0, last: undefined } };
  assert.deepEqual(decodeAtLeastOnceState(encodeAtLeastOnceState(calm), "calm"), calm);
});

test("what is damaged or of a later version is a fault that names its place", () => {
  for (const text of ["{}", '{"v":2}', golden.replace("812", "-1"), golden.slice(0, 20)]) {
    assert.throws(
      () => decodeAtLeastOnceState(Buffer.from(text), "uplink/x/alerts"),
      /uplink\/x\/alerts/,
    );
  }
});
