import assert from "node:assert/strict";
import { test } from "node:test";
import { verificationText } from "./store-text.ts";

test("one of each is told as one", () => {
  const text = verificationText({
    findings: [],
    log: { segments: 1, bytes: 4_096 },
    state: { definitions: 1, values: 1, bytes: 4_096 },
    tables: { tables: 1, bytes: 4_096, blocks: 1, rows: 1 },
  });
  assert.equal(
    text,
    `log          1 segment, 4096 bytes
state store  1 value, 4096 bytes, 1 definition
tables       1 table, 4096 bytes, 1 block, 1 row

nothing is wrong`,
  );
});
