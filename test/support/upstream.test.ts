import assert from "node:assert/strict";
import { test } from "node:test";
import { latestRevisions } from "./upstream.ts";

test("of what went upstream the newest revision of each window is left, and no marker", () => {
  const summary = { kind: "summary", start: 0 };
  const first = { ...summary, id: "gw1/temp/device=p1/0/1000/0", revision: 0 };
  const corrected = { ...summary, id: "gw1/temp/device=p1/0/1000/1", revision: 1 };
  const other = { ...summary, id: "gw1/temp/device=p2/0/1000/0", revision: 0 };
  const marker = { kind: "complete", id: "gw1/temp/device=p1/complete/3600000/12", readings: 12 };
  assert.deepEqual(latestRevisions([first, other, marker, corrected]), [corrected, other]);
});
