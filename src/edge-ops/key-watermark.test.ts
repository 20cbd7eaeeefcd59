import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Catalog } from "../core/catalog.ts";
import { millis } from "../core/units.ts";
import { KeyWatermarks } from "./key-watermark.ts";
import { UNKNOWN } from "./series-keys.ts";
import { definitionsOf } from "../../test/support/dataflow.ts";

const DEVICES = 4;
const METRICS = 3;
const BUCKET_MS = 10;

const arbStep = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("row" as const),
      series: fc.nat(DEVICES * METRICS - 1),
      ahead: fc.nat(25),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("idle" as const), device: fc.nat(DEVICES - 1) }),
  },
);

/** Series to key: metrics 0 and 1 are keys across devices, metric 2 is not taken. */
const keyOf = (series: number): number => (series % METRICS === 2 ? -1 : series % METRICS);

test("a key is where its slowest active device is, and says so when it can close further", () => {
  fc.assert(
    fc.property(fc.array(arbStep, { maxLength: 60 }), (steps) => {
      const group = create();
      const watermarks = new Map<number, number>();
      const idle = new Set<number>();
      const members = new Map<number, Set<number>>([
        [0, new Set()],
        [1, new Set()],
      ]);
      const reach = (key: number): number =>
        Math.min(
          ...[...members.get(key)!]
            .filter((device) => !idle.has(device))
            .map((device) => Math.floor(watermarks.get(device)! / BUCKET_MS)),
        );
      for (const step of steps) {
        const before = [reach(0), reach(1)];
        let moved: number[] = [];
        if (step.kind === "idle") {
          idle.add(step.device);
          group.leave(step.device);
          moved = [...group.moved.subarray(0, group.movedCount)];
        } else {
          const device = Math.floor(step.series / METRICS);
          const key = keyOf(step.series);
          if (key >= 0 && !members.get(key)!.has(device)) {
            group.join(device, key);
            if (watermarks.has(device)) members.get(key)!.add(device);
            before[key] = reach(key);
          }
          const watermark = (watermarks.get(device) ?? -20) + step.ahead;
          watermarks.set(device, watermark);
          idle.delete(device);
          if (key >= 0) members.get(key)!.add(device);
          if (group.mustMove(device, watermark)) {
            group.move(device, watermark);
            moved = [...group.moved.subarray(0, group.movedCount)];
          }
        }
        for (const key of [0, 1]) {
          if (members.get(key)!.size === 0) continue;
          assert.equal(group.bucketOf(key), reach(key));
          if (reach(key) > before[key]!) assert.ok(moved.includes(key), "a key that rose is named");
        }
        assert.deepEqual(
          moved,
          [...moved].sort((a, b) => a - b),
        );
      }
      // What is rebuilt from watermarks and keys says the same.
      const catalog = new Catalog();
      for (const definition of definitionsOf(DEVICES, METRICS)) catalog.define(definition);
      const rebuilt = create();
      const isMember = (series: number): boolean =>
        members.get(keyOf(series))?.has(Math.floor(series / METRICS)) ?? false;
      const keys = {
        keyCount: 2,
        keyOf,
        peek: (series: number): number => (isMember(series) ? keyOf(series) : UNKNOWN),
        tagsOf: () => [],
      };
      rebuilt.restore(catalog, keys, {
        isSeen: (device) => watermarks.has(device),
        isIdle: (device) => idle.has(device),
        watermarkOf: (device) => millis(watermarks.get(device)!),
      });
      for (const key of [0, 1]) {
        if (members.get(key)!.size > 0) assert.equal(rebuilt.bucketOf(key), reach(key));
      }
    }),
    { numRuns: 300 },
  );
});

function create(): KeyWatermarks {
  const capacity = { seriesMax: DEVICES * METRICS, devicesMax: DEVICES, keysMax: 2 };
  return new KeyWatermarks(capacity, BUCKET_MS);
}
