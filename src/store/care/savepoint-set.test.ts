import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../../core/limits.ts";
import {
  chunkKey,
  decodeHead,
  encodeChunk,
  encodeHead,
  FileDigest,
  headKey,
  SetIndex,
  type SetHead,
  slotOf,
} from "./savepoint-set.ts";

type Written = { readonly key: Uint8Array; readonly value: Uint8Array };

const agent = "gw/1";

/** The records of set number `number`, as they are written. */
function setOf(number: number, pieces: readonly string[], more: Partial<SetHead> = {}): Written[] {
  const set = number.toString(16).padStart(32, "0");
  const digest = new FileDigest();
  const encoded = pieces.map((piece) => new TextEncoder().encode(piece));
  for (const piece of encoded) digest.add(piece);
  const head: SetHead = {
    set,
    number,
    agent,
    life: 0,
    made: 1_000 * number,
    position: number,
    weir: "0.1.0",
    chunks: pieces.length,
    bytes: encoded.reduce((sum, { length }) => sum + length, 0),
    digest: digest.end(),
    topics: { summaries: "weir.summaries", alerts: "weir.alerts", raw: "r", cursor: "c" },
    since: { "weir.summaries": [4, 0] },
    ...more,
  };
  const slot = slotOf(number);
  return [
    ...encoded.map((piece, chunk) => ({
      key: chunkKey(agent, slot, chunk),
      value: encodeChunk(set, piece),
    })),
    { key: headKey(agent, slot), value: encodeHead(head) },
  ];
}

function indexOf(records: readonly Written[]): SetIndex<number> {
  const index = new SetIndex<number>(agent);
  for (const [place, { key, value }] of records.entries()) index.take(key, value, place);
  return index;
}

/** As a compacted topic may have it: the last record of each key, in order. */
function compacted(records: readonly Written[]): Written[] {
  const names = records.map(({ key }) => Buffer.from(key).toString());
  return records.filter((_, at) => names.lastIndexOf(names[at]!) === at);
}

test("a head reads back as it was written", () => {
  const [head] = setOf(3, []);
  const read = decodeHead(head!.value, "here");
  assert.deepEqual(encodeHead(read), head!.value);
  assert.deepEqual(read.since, { "weir.summaries": [4, 0] });
});

test("the newest whole set comes first, with the places of its chunks in order", () => {
  const records = [...setOf(1, ["a", "b"]), ...setOf(2, ["c", "d", "e"])];
  const { sets, refused } = indexOf(records).result();
  assert.deepEqual(
    sets.map(({ head, places }) => [head.number, places]),
    [
      [2, [3, 4, 5]],
      [1, [0, 1]],
    ],
  );
  assert.deepEqual(refused, []);
});

test("whatever of the sets was written, and compacted or not, the last whole one is found", () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.string({ minLength: 1, maxLength: 3 }), { maxLength: 4 }), {
        minLength: 1,
        maxLength: 5,
      }),
      fc.nat(),
      fc.boolean(),
      (all, cut, isCompacted) => {
        const sets = all.map((pieces, number) => setOf(number, pieces));
        const records = sets.flat();
        const written = records.slice(0, cut % (records.length + 1));
        let left = written.length;
        let whole = 0;
        for (const { length } of sets) {
          if (left < length) break;
          left -= length;
          whole += 1;
        }
        const [newest] = indexOf(isCompacted ? compacted(written) : written).result().sets;
        assert.equal(newest?.head.number, whole === 0 ? undefined : whole - 1);
      },
    ),
  );
});

test("a slot that is being written anew, or has lost a chunk, says so", () => {
  const before = setOf(1, ["a", "b"]);
  const [first] = setOf(3, ["x", "y"]);
  assert.match(indexOf([...before, first!]).result().refused[0]!.why, /was being written anew/);
  assert.match(indexOf(before.slice(1)).result().refused[0]!.why, /chunk 0 of 2 is missing/);
  assert.match(indexOf(before.slice(0, 1)).result().refused[0]!.why, /never finished/);
  const large = indexOf(setOf(1, ["a"], { bytes: 2 ** 40 })).result();
  assert.match(large.refused[0]?.why ?? "", /its head says 1099511627776 bytes, more than/);
  const short = indexOf(setOf(1, ["a"], { bytes: 2 })).result();
  assert.match(short.refused[0]!.why, /1 bytes, not 2/);
});

test("a set that says it is larger than any that weir sends is none, whatever its chunks are", () => {
  const [refused] = indexOf(setOf(1, ["a"], { bytes: limits.savepointFileBytesMax + 1 })).result()
    .refused;
  assert.match(refused?.why ?? "", /more than the \d+ that are ever sent/);
});

test("sets of the life after come before those of the life before, and of others there are none", () => {
  const records = [...setOf(5, ["new"], { life: 1 }), ...setOf(8, ["old"])];
  assert.deepEqual(
    indexOf(records)
      .result()
      .sets.map(({ head }) => head.number),
    [5, 8],
  );
  const other = new SetIndex<number>("gw");
  for (const { key, value } of records) other.take(key, value, 0);
  assert.deepEqual(other.result(), { sets: [], refused: [] });
});
