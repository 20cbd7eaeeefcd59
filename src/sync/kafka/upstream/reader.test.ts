import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import type { Gap, Summary } from "../../../core/record.ts";
import { millis } from "../../../core/units.ts";
import { decodeRecord, encodeGap, encodeSummary } from "../../../store/outbox/record-codec.ts";
import { UpstreamReader } from "./reader.ts";

const windowMs = 10_000;

function summary(of: Partial<Summary>): Uint8Array {
  const start = of.start ?? millis(0);
  return encodeSummary("gw1", {
    kind: "summary",
    pipeline: "temp",
    key: [["device", "p1"]],
    start,
    end: millis(start + windowMs),
    revision: 0,
    count: 10,
    fields: {},
    arrivalTimed: 0,
    ...of,
  });
}

const gap: Gap = {
  kind: "gap",
  pipeline: "temp",
  lane: "summaries",
  last: 3,
  start: millis(0),
  end: millis(windowMs),
  records: 4,
  readings: 40,
};

const one = fc.record({
  window: fc.nat(3),
  revision: fc.nat(3),
  count: fc.constantFrom(0, 5, 7),
  isMerged: fc.boolean(),
});
const records = fc.array(fc.oneof(one, fc.constant(undefined)), { maxLength: 30 });

const bytesOf = (
  of: (typeof one extends fc.Arbitrary<infer T> ? T : never) | undefined,
): Uint8Array => {
  if (of === undefined) return encodeGap("gw1", gap);
  const { window, revision, count, isMerged } = of;
  const start = millis(window * 6 * windowMs);
  const end = millis(start + 6 * windowMs);
  return summary(isMerged ? { start, end, count, merged: 6 } : { start, revision, count });
};

test("a record is what the reader of docs/delivery.md says it is", () => {
  const page = readFileSync(new URL("../../../../docs/delivery.md", import.meta.url), "utf8");
  const [, script = ""] = /```js\n(const windows = [\s\S]*?)```/.exec(page) ?? [];
  assert.notEqual(script, "");
  fc.assert(
    fc.property(records, (all) => {
      const take: unknown = runInNewContext(`${script}; take`);
      assert.ok(typeof take === "function");
      const reader = new UpstreamReader({ windowsMax: 1_000 });
      for (const of of all) {
        const bytes = bytesOf(of);
        const expected: unknown = Reflect.apply(take, undefined, [
          JSON.parse(Buffer.from(bytes).toString("utf8")),
        ]);
        assert.equal(reader.take(decodeRecord(bytes, "a record")), expected);
      }
    }),
  );
});

test("each record is told by what came before it", () => {
  const reader = new UpstreamReader({ windowsMax: 1_000 });
  const take = (of: Partial<Summary>): string => reader.take(decodeRecord(summary(of), "a record"));
  assert.equal(take({}), "new");
  assert.equal(take({}), "known");
  assert.equal(take({ revision: 2, count: 11 }), "corrected");
  assert.equal(take({ revision: 1, count: 12 }), "known");
  assert.equal(take({ revision: 3, count: 0 }), "withdrawn");
  assert.equal(take({ start: millis(windowMs), end: millis(7 * windowMs), merged: 6 }), "coarser");
  assert.equal(take({ start: millis(7 * windowMs) }), "new");
});

test("of more windows than are remembered the oldest pass for new again", () => {
  const reader = new UpstreamReader({ windowsMax: 2 });
  const take = (window: number): string =>
    reader.take(decodeRecord(summary({ start: millis(window * windowMs) }), "a record"));
  assert.deepEqual([0, 1, 1, 2, 1, 0].map(take), ["new", "new", "known", "new", "known", "new"]);
});
