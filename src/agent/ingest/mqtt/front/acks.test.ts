import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { Acks } from "./acks.ts";

const slotsMax = 8;

type Entry = readonly [slot: number, packetId: number];

function released(acks: Acks): ReadonlyMap<number, readonly number[]> {
  const ids = new Map<number, readonly number[]>();
  acks.release((slot, pubacks, count) => {
    assert.equal(ids.has(slot), false, "each slot is visited once");
    assert.equal(pubacks.length, count * 4);
    const bytes = Buffer.from(pubacks);
    ids.set(
      slot,
      Array.from({ length: count }, (_, i) => {
        assert.equal(bytes.readUInt16BE(4 * i), 0x4002);
        return bytes.readUInt16BE(4 * i + 2);
      }),
    );
  });
  return ids;
}

const generations = fc.array(
  fc.array(
    fc.tuple(fc.integer({ min: 0, max: slotsMax - 1 }), fc.integer({ min: 1, max: 65_535 })),
    { maxLength: 3_000 },
  ),
  { maxLength: 5 },
);

it("each generation gives each slot its packet ids in order, once", () => {
  fc.assert(
    fc.property(generations, (all) => {
      const acks = new Acks({ slotsMax, countMax: 10_000 });
      let before: readonly Entry[] = [];
      for (const entries of [...all, []]) {
        for (const [slot, packetId] of entries) acks.add(slot, packetId);
        const expected = Map.groupBy(before, ([slot]) => slot);
        assert.deepEqual(
          released(acks),
          new Map([...expected].map(([slot, ids]) => [slot, ids.map(([, id]) => id)])),
        );
        acks.seal();
        before = entries;
      }
    }),
    { numRuns: 30 },
  );
});

it("what was not sealed is not released", () => {
  const acks = new Acks({ slotsMax, countMax: 10 });
  acks.add(1, 7);
  assert.equal(released(acks).size, 0);
  acks.seal();
  acks.add(1, 8);
  assert.deepEqual(released(acks).get(1), [7]);
  assert.equal(released(acks).size, 0);
});

it("dropped acknowledgements are counted by slot and never released", () => {
  const acks = new Acks({ slotsMax, countMax: 10 });
  acks.add(1, 7);
  acks.seal();
  acks.add(2, 8);
  const dropped: number[] = [];
  acks.drop((slot, count) => dropped.push(slot, count));
  assert.deepEqual(dropped, [1, 1, 2, 1]);
  acks.seal();
  assert.equal(released(acks).size, 0);
});

it("a full generation says so", () => {
  const acks = new Acks({ slotsMax, countMax: 2 });
  acks.add(1, 7);
  assert.equal(acks.hasRoom, true);
  acks.add(1, 8);
  assert.equal(acks.hasRoom, false);
});
