import assert from "node:assert/strict";
import { test } from "node:test";
import { counted, countedInGroups } from "./counted.ts";

test("one of it is one, and everything else many", () => {
  assert.deepEqual(
    [0, 1, 2, 12_345].map((count) => counted(count, "gap record")),
    ["0 gap records", "1 gap record", "2 gap records", "12345 gap records"],
  );
  assert.deepEqual(
    [0, 1, 12_345].map((count) => countedInGroups(count, "record")),
    ["0 records", "1 record", "12,345 records"],
  );
});
