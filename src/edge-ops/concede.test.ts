import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  applyAll,
  chunksOf,
  definitionsOf,
  frameOf,
  loadChunks,
  type Reading,
  RecordingSink,
  specOf,
  tumbling,
} from "../../test/support/dataflow.ts";
import { Catalog } from "../core/catalog.ts";
import type { Tags } from "../core/frame.ts";
import { createDataflow } from "./dataflow.ts";

const DEVICES = 3;
const METRICS = 2;
const spec = {
  ...specOf(
    [{ ...tumbling, window: { kind: "tumbling", sizeMs: 3_000 }, allowedLatenessMs: 4_000 }],
    {
      disorderMs: 1_000,
      idleMs: 5_000,
    },
  ),
  markerMs: 5_000,
};

const frames = fc
  .array(
    fc.array(
      fc.record({
        series: fc.nat(DEVICES * METRICS - 1),
        behind: fc.integer({ min: 0, max: 12_000 }),
      }),
      { maxLength: 12 },
    ),
    { minLength: 3, maxLength: 24 },
  )
  .map((all) =>
    all.map((rows, frame) =>
      rows.map(({ series, behind }): Reading => {
        return { series, time: 1_000_000 + frame * 1_700 - behind, value: frame };
      }),
    ),
  );

/** A key whose only reading before the savepoint was too late: it has no windows yet. */
const lateAtFirst: Reading[][] = [
  [],
  [],
  [
    { series: 4, time: 1_003_400, value: 2 },
    { series: 5, time: 995_999, value: 2 },
  ],
  [],
  [],
  [],
  [{ series: 5, time: 1_010_200, value: 6 }],
  [],
  [{ series: 4, time: 1_013_600, value: 8 }],
  [{ series: 5, time: 1_010_999, value: 9 }],
  [],
  [],
  [],
];

function nameOf(key: Tags): string {
  return JSON.stringify(key);
}

test("behind what hardware before sent: nothing of it is emitted again, markers count what is, the ledger adds up", () => {
  let markers = 0;
  let held = 0;
  fc.assert(
    fc.property(frames, fc.nat(24), fc.nat(24), (all, a, b) => {
      const saved = 1 + (Math.min(a, b) % (all.length - 1));
      const ended = Math.max(saved, Math.max(a, b) % all.length);
      const old = new RecordingSink();
      const catalog = new Catalog();
      const dataflow = createDataflow(spec, catalog);
      const definitions = definitionsOf(DEVICES, METRICS);
      let at = applyAll(dataflow, [frameOf(0, [], { definitions })], old);
      const framesOf = (from: number, to: number) =>
        all.slice(from, to).map((of, n) => frameOf(1_000_000 + (from + n) * 1_700, of));
      at = applyAll(dataflow, framesOf(0, saved), old, at);
      const chunks = chunksOf(dataflow);
      const state = dataflow.spec;
      const savedAt = at;
      applyAll(dataflow, framesOf(saved, ended), old, at);

      const floors = new Map<string, number>();
      for (const { key, end } of old.summaries) {
        floors.set(nameOf(key), Math.max(end, floors.get(nameOf(key)) ?? end));
      }
      const fresh = createDataflow(state, catalog);
      assert.ok(loadChunks(fresh, chunks));
      fresh.concede(({ pipeline, key }) => {
        assert.equal(pipeline, "w");
        return floors.get(nameOf(key));
      });
      // What is stored of it is what goes on.
      const stored = new Map([...chunks, ...chunksOf(fresh)]);
      const again = createDataflow(fresh.spec, catalog);
      assert.ok(loadChunks(again, stored));
      assert.ok(again.ledger.view().balanced);
      const sink = new RecordingSink();
      applyAll(again, framesOf(ended, all.length), sink, savedAt);
      assert.ok(again.ledger.view().balanced);

      // Keys that are new since have no state to give up (agent/outputs.ts holds theirs back).
      const known = new Set(
        all
          .slice(0, saved)
          .flat()
          .map(({ series }) => series),
      );
      const isKnown = (key: Tags): boolean => {
        const tags = Object.fromEntries(key);
        const device = Number(/\d+$/.exec(String(tags["device"]))?.[0]);
        const metric = Number(/\d+$/.exec(String(tags["metric"]))?.[0]);
        return known.has(device * METRICS + metric);
      };
      for (const { key, start } of sink.summaries) {
        const floor = floors.get(nameOf(key));
        if (floor !== undefined && isKnown(key)) assert.ok(start >= floor);
      }
      for (const { key, from, through, readings } of sink.markers) {
        const floor = floors.get(nameOf(key));
        if (floor === undefined || !isKnown(key)) continue;
        assert.ok(from !== undefined && from >= floor, "the sink lets it pass");
        const latest = new Map<number, number>();
        for (const { key: of, start, end, count } of sink.summaries) {
          if (nameOf(of) === nameOf(key) && end > from && end <= through) latest.set(start, count);
        }
        assert.equal(
          readings,
          latest.values().reduce((sum, count) => sum + count, 0),
        );
        markers += 1;
      }
      held += floors.size;
    }),
    { numRuns: 500, examples: [[lateAtFirst, 9, 2]] },
  );
  assert.ok(markers > 20 && held > 100, `${markers} markers compared, ${held} floors`);
});
