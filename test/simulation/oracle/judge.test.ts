/** The oracle is judged too: sound evidence has no violation, and each way to break it has its own. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Counts, Evidence, Reading, Upstream } from "./evidence.ts";
import { judge } from "./judge.ts";

const second = 1_000;

/** Reading n of a device, measured and sent at n seconds, acknowledged a moment later. */
function reading(number: number, changes: Partial<Reading> = {}): Reading {
  return {
    device: "d0",
    number,
    time: number * second,
    value: 2 ** number,
    isRecognisable: true,
    acknowledgedAt: number * second + 10,
    transmissions: [number * second],
    ...changes,
  };
}

/** The window that has these readings, as it stands upstream; `n` numbers it in its lane. */
function window(
  n: number,
  members: readonly Reading[],
  changes: Readonly<Record<string, unknown>> = {},
): Upstream {
  const times = members.map(({ time = 0 }) => time);
  const values = members.map(({ value }) => value);
  const start = Math.floor((times[0] ?? 0) / second) * second;
  const record = {
    id: `gw1/seconds/device=d0/${start}/${second}/0`,
    pipeline: "seconds",
    key: { device: "d0" },
    start,
    revision: 0,
    count: members.length,
    sum: values.reduce((sum, value) => sum + value, 0),
    min: Math.min(...values),
    max: Math.max(...values),
    first: values[0],
    firstTime: times[0],
    last: values.at(-1),
    lastTime: times.at(-1),
    arrivalTimed: 0,
    ...changes,
  };
  return {
    place: "kafka",
    lane: "summaries",
    partition: 0,
    eventId: `o:summaries:${n}`,
    text: JSON.stringify(record),
    record,
  };
}

const readings = [0, 1, 2, 3].map((number) => reading(number));
const upstream = readings.map((one, n) => window(n, [one]));
/** The same readings as one session and no arrivals. */
const session = window(4, readings, { id: "gw1/bursts/device=d0/0/4000/0", pipeline: "bursts" });

const pipeline: Counts = {
  accepted: 8,
  filtered: 4,
  refused: 0,
  late: 0,
  open: 0,
  closed: 4,
};

const sound: Evidence = {
  readings,
  broken: { sent: 0, acknowledged: 0 },
  places: ["kafka"],
  protocolFaults: [],
  windows: [{ name: "seconds", sizeMs: second, slideMs: second }],
  sessions: "bursts",
  arrivals: "arrivals",
  latenessMs: 60 * second,
  idleMs: 10 * second,
  futureDevices: [],
  clockWasRight: true,
  upstream: [...upstream, session],
  replayed: [...upstream, session],
  ledger: {
    sources: [
      {
        received: 4,
        decoded: 4,
        deadLettered: 0,
        shed: 0,
        readings: 8,
        accepted: 8,
        duplicate: 0,
        quarantined: 0,
        rejected: 0,
      },
    ],
    pipelines: new Map([
      ["seconds", pipeline],
      ["bursts", pipeline],
      ["arrivals", { ...pipeline, filtered: 8, closed: 0 }],
    ]),
  },
  samples: [{ atMs: 0, bounded: { bytes: [1, 2] } }],
  failures: [],
  leftOver: 0,
  incidents: [],
  medium: { lost: 0, named: 0 },
  changedBuffers: [],
};

function promisesBroken(changes: Partial<Evidence>): readonly string[] {
  return [...new Set(judge({ ...sound, ...changes }).map(({ promise }) => promise))].toSorted();
}

/** With these records in the place of those that have the same number. */
function instead(...records: readonly Upstream[]): readonly Upstream[] {
  const of = new Map(records.map((record) => [record.eventId, record]));
  return sound.upstream.map((record) => of.get(record.eventId) ?? record);
}

const first = readings[0]!;
const second0 = readings[1]!;

test("sound evidence breaks no promise", () => {
  assert.deepEqual(judge(sound), []);
});

const broken: Readonly<Record<string, readonly [promise: string, changes: Partial<Evidence>]>> = {
  "nothing upstream": ["P1", { upstream: [], replayed: undefined }],
  "a reading that is missing": ["P1", { readings: [...readings, reading(4)], replayed: undefined }],
  "a missing one, whatever is resent": [
    "P1",
    {
      readings: [...readings, reading(4, { transmissions: [4_000, 900_000] }), reading(800)],
      latenessMs: second,
    },
  ],
  "an arrival that is missing": [
    "P1",
    { readings: [...readings, reading(4, { time: undefined })] },
  ],
  "a PUBACK for nothing": ["P1", { protocolFaults: ["a PUBACK"] }],
  "a replay that differs": ["P2", { replayed: [...upstream] }],
  "another text in another place": ["P2", { places: ["kafka", "files"] }],
  "a buffer that was changed": ["P2", { changedBuffers: ["it was"] }],
  "a message too many": [
    "P3",
    { ledger: { ...sound.ledger!, sources: [{ ...sound.ledger!.sources[0]!, received: 5 }] } },
  ],
  "a dead letter too few": ["P3", { broken: { sent: 1, acknowledged: 1 } }],
  "a record that is there twice": ["P4", { upstream: [...sound.upstream, upstream[0]!] }],
  "a gap": ["P4", { upstream: [...upstream, { ...session, eventId: "o:summaries:9" }] }],
  "a revision that says nothing new": [
    "P4",
    {
      upstream: [
        ...sound.upstream,
        window(5, [first], { id: "gw1/seconds/device=d0/0/1000/1", revision: 1 }),
      ],
    },
  ],
  "records that are left": ["P4", { leftOver: 1 }],
  "an incident": ["P4", { incidents: ["one"] }],
  "a wrong minimum": ["P5", { upstream: instead(window(0, [first], { min: 9 })) }],
  "a bound that is exceeded": ["P6", { samples: [{ atMs: 1, bounded: { bytes: [3, 2] } }] }],
  "an agent that gives up": ["P7", { failures: ["it does"] }],
  "damage on a sound medium": ["P7", { medium: { lost: 0, named: 1 } }],
  "a device from the future": ["P8", { futureDevices: ["d0"] }],
  "a reading that is counted twice": [
    "P9",
    { upstream: instead(window(1, [second0], { count: 2, sum: 4 })) },
  ],
  "a late reading that corrects nothing": [
    "P10",
    {
      readings: [...readings, reading(4, { time: 1_500, transmissions: [3_500] })],
      replayed: undefined,
    },
  ],
};

for (const [what, [promise, changes]] of Object.entries(broken)) {
  test(`${what} breaks ${promise}`, () => {
    assert.ok(promisesBroken(changes).includes(promise), promisesBroken(changes).join(", "));
  });
}

test("a reading beyond the allowed lateness may be missing", () => {
  const late = reading(4, { time: 500, transmissions: [3_500] });
  const ledger = {
    sources: [
      { ...sound.ledger!.sources[0]!, received: 5, decoded: 5, readings: 10, accepted: 10 },
    ],
    pipelines: new Map(
      [...sound.ledger!.pipelines].map(([name, counts]) => [
        name,
        { ...counts, accepted: 10, filtered: counts["filtered"]! + 1, late: 1 },
      ]),
    ),
  };
  const changes = { readings: [...readings, late], latenessMs: second, ledger };
  assert.deepEqual(promisesBroken(changes), []);
});
