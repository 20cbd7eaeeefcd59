import assert from "node:assert/strict";
import { test } from "node:test";
import { cutMotes, endReadingOf, labelsOf, loadMotes, motePrograms, type Mote } from "./real.ts";

const loaded = await loadMotes();
const motes: readonly Mote[] | undefined = "kind" in loaded ? undefined : loaded;
const isRequired = process.env["WEIR_TEST_REQUIRE_ALL"] === "1";
const skip = motes === undefined && !isRequired ? "the recorded motes are not installed" : false;

test("the recording has four motes with gapless readings", { skip }, () => {
  assert.deepEqual(
    motes?.map(({ device, readings }) => [device, readings.length]),
    [
      ["mote-1", 4_417],
      ["mote-2", 4_417],
      ["mote-3", 5_039],
      ["mote-4", 5_041],
    ],
  );
  for (const { readings } of motes ?? []) {
    for (const [row, { reading }] of readings.entries()) assert.equal(reading, row + 1);
  }
  assert.equal(endReadingOf(motes ?? []), 5_042);
});

test("the labels are the two known episodes, in the time of the replay", { skip }, () => {
  const time = { epochMs: 1_764_000_000_000, fromReading: 2_200 };
  const cut = cutMotes(motes ?? [], { fromReading: 2_200, endReading: 2_560 });
  const start = (reading: number): number => time.epochMs + (reading - 2_200) * 5_000;
  assert.deepEqual(labelsOf(cut, time), [
    { device: "mote-1", start: start(2_344), end: start(2_461), readings: 117 },
    { device: "mote-4", start: start(2_362), end: start(2_394), readings: 32 },
  ]);
});

test("an episode cut by the range is labelled as far as it is replayed", { skip }, () => {
  const cut = cutMotes(motes ?? [], { fromReading: 2_350, endReading: 2_365 });
  const time = { epochMs: 0, fromReading: 2_350 };
  assert.deepEqual(labelsOf(cut, time), [
    { device: "mote-1", start: 0, end: 75_000, readings: 15 },
    { device: "mote-4", start: 60_000, end: 75_000, readings: 3 },
  ]);
});

test("a mote sends its readings as flat JSON, five seconds apart", { skip }, () => {
  const cut = cutMotes(motes ?? [], { fromReading: 1, endReading: 4 });
  const [first] = motePrograms(cut, { epochMs: 1_764_000_000_000, fromReading: 1 });
  const sent = [...{ [Symbol.iterator]: () => first?.events ?? [].values() }].map((event) =>
    event.kind === "message"
      ? `${event.at} ${event.message.topic} ${event.message.payload.toString()}`
      : "",
  );
  assert.equal(sent.length, 3);
  assert.equal(
    sent[0],
    '0 mote/indoor/mote-1/state {"ts":1764000000000,"seq":1,"humidity":45.93,"temperature":27.97}',
  );
  assert.match(sent[1] ?? "", /^5000 /);
});
