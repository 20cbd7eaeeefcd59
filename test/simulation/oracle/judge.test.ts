/** The oracle is judged too: sound evidence has no violation, and each way to break it has its own. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { AskUse, LinkUse, Evidence, Reading, Upstream } from "./evidence.ts";
import { judge } from "./judge.ts";
import {
  reading,
  readings,
  second,
  session,
  sound,
  stored,
  storedCounts,
  transaction,
  upstream,
  window,
} from "./sound-evidence.ts";

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

/** 1,000 bytes in 6 s, 100 of which came. */
function linkUse(changes: Partial<LinkUse>): LinkUse {
  const piece = { bytes: 300, lane: "summaries", isRecords: true };
  return {
    name: "lte",
    bandwidth: 90,
    quotaBytes: 900,
    slackBytes: 100,
    closedUntilMs: 0,
    sent: [
      { ...piece, atMs: 0, isRecords: false },
      { ...piece, atMs: 6_000 },
      { ...piece, atMs: 6_000 },
    ],
    receivedBytes: 100,
    ...changes,
  };
}

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
  "a link with more than its bandwidth": ["P6", { links: [linkUse({ bandwidth: 89 })] }],
  "a link with more than its quota": ["P6", { links: [linkUse({ quotaBytes: 899 })] }],
  "summaries over a link that is closed": ["P6", { links: [linkUse({ closedUntilMs: 7_000 })] }],
  "backfill while what is fresh is under way": [
    "fresh first",
    { transactions: [transaction(), transaction({ lane: "backfill", beganAt: 19_000 })] },
  ],
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
  "a break that the agent itself finds": ["P4", { unproven: "one" }],
  "a wrong minimum": ["P5", { upstream: instead(window(0, [first], { min: 9 })) }],
  "a bound that is exceeded": [
    "P6",
    { samples: [{ atMs: 1, stored: storedCounts, bounded: { bytes: [3, 2] } }] },
  ],
  "an agent that gives up": ["P7", { failures: ["it does"] }],
  "damage on a sound medium": ["P7", { medium: { lost: 0, named: 1 } }],
  "a device from the future": ["P8", { futureDevices: ["d0"], stored: [] }],
  "a stored reading of a device from the future": [
    "P8",
    { futureDevices: ["d0"], upstream: [], replayed: undefined },
  ],
  "a stored reading that is missing": [
    "P1",
    {
      stored: [
        {
          ...stored,
          counts: { ...storedCounts, accepted: 7, inTables: 4 },
          readings: stored.readings.slice(1),
        },
      ],
    },
  ],
  "more readings gone than expired": [
    "P1",
    {
      stored: [
        {
          ...stored,
          counts: { ...storedCounts, inTables: 4, expired: 1 },
          readings: stored.readings.slice(2),
        },
      ],
    },
  ],
  "a stored reading that is lost": [
    "P1",
    { stored: [{ ...stored, counts: { ...storedCounts, inTables: 4, lost: 1 } }] },
  ],
  "a table without its file": ["P1", { stored: [{ ...stored, faults: ["table 3 has no file"] }] }],
  "a stored reading that is answered twice": [
    "P9",
    { stored: [{ ...stored, readings: [...stored.readings, stored.readings[0]!] }] },
  ],
  "a stored reading that nobody sent": [
    "P9",
    {
      stored: [{ ...stored, readings: [...stored.readings, { ...stored.readings[0]!, value: 3 }] }],
    },
  ],
  "readings that are answered and not counted": [
    "P3",
    { stored: [{ ...stored, counts: { ...storedCounts, accepted: 7, inTables: 4 } }] },
  ],
  "readings between memory and tables for a moment": [
    "P3",
    { samples: [{ atMs: 1, stored: { ...storedCounts, inMemory: 0 }, bounded: {} }] },
  ],
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

test("what expired may be missing, as many as the agent says", () => {
  const expired = {
    ...stored,
    counts: { ...storedCounts, inTables: 3, expired: 2 },
    readings: stored.readings.slice(2),
  };
  assert.deepEqual(promisesBroken({ stored: [expired] }), []);
});

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
  const storedToo = {
    ...stored,
    counts: { ...storedCounts, accepted: 10, inMemory: 5 },
    readings: [
      ...stored.readings,
      { device: "d0", metric: "v", time: 500, value: late.value },
      { device: "d0", metric: "t", time: 500, value: late.wobble },
    ],
  };
  const changes = {
    readings: [...readings, late],
    latenessMs: second,
    ledger,
    stored: [storedToo],
  };
  assert.deepEqual(promisesBroken(changes), []);
});

// ---- raw readings ----

const ask: AskUse = {
  id: "a",
  device: "d0",
  from: 0,
  to: 10 * second,
  mayBeCancelled: false,
  firstTriedAt: 5 * second,
};

function rawRecord(n: number, record: Readonly<Record<string, unknown>>): Upstream {
  const whole = { request: "a", ...record };
  return {
    place: "kafka",
    lane: "raw",
    partition: 0,
    eventId: `o:raw:${n}`,
    text: JSON.stringify(whole),
    record: whole,
  };
}

/** The answer: metric v in two parts, t in one. */
function answer({
  v = readings,
  parts = 3,
  outcome = "complete",
}: {
  readonly v?: readonly Reading[];
  readonly parts?: number;
  readonly outcome?: string;
} = {}): readonly Upstream[] {
  const part = (n: number, series: string, of: readonly Reading[]): Upstream =>
    rawRecord(n, {
      kind: "raw",
      part: n,
      series: `${series}{device=d0,line=a}`,
      times: of.map(({ time }) => time),
      values: of.map(({ value, wobble }) => (series === "v" ? value : wobble)),
    });
  return [
    part(0, "v", v.slice(0, 2)),
    part(1, "v", v.slice(2)),
    part(2, "t", readings),
    rawRecord(3, { kind: "manifest", outcome, parts, readings: v.length + readings.length }),
  ];
}

function brokenByRaw(records: readonly Upstream[], asked: Partial<AskUse> = {}): readonly string[] {
  const raw = { asks: [{ ...ask, ...asked }], records, around: undefined };
  return judge({ ...sound, raw }).map(({ promise, what }) => `${promise}: ${what}`);
}

test("raw readings that came as they were asked for break nothing, and each lack of them is found", () => {
  const [one, two, three, manifest] = answer();
  assert.ok(one !== undefined && two !== undefined && three !== undefined);
  assert.ok(manifest !== undefined);
  assert.deepEqual(brokenByRaw(answer()), []);
  assert.deepEqual(brokenByRaw(answer({ outcome: "cancelled" }), { mayBeCancelled: true }), []);
  // What was acknowledged when somebody had asked already may be missing.
  assert.deepEqual(brokenByRaw(answer({ v: readings.slice(0, 3) }), { firstTriedAt: 2_000 }), []);
  const found = (records: readonly Upstream[], what: RegExp, asked?: Partial<AskUse>): void => {
    const broken = brokenByRaw(records, asked);
    assert.ok(
      broken.some((each) => what.test(each)),
      JSON.stringify(broken),
    );
  };
  found([one, two, three], /P7: a: 0 manifests/);
  found([], /P7: a: 0 manifests/);
  found([one, one, two, three, manifest], /P4: a: part 0 where 1 is due/);
  found([one, three, manifest], /P4: raw: number 2 where 1 is due/);
  found([one, two, manifest, three], /P4: a: there is something behind its manifest/);
  found(answer({ parts: 4 }), /P3: a: 3 parts and 8 readings, its manifest says 4 parts and 8/);
  found(answer({ v: readings.slice(0, 3) }), /P1: a: d0 v@3000=8 was acknowledged at 3010 ms/);
  found(answer({ v: [...readings, reading(3)] }), /P9: a: d0 v@3000=8 is there 2 times/);
  found(answer({ v: [...readings, reading(7)] }), /P9: a: d0 v@7000=128 was never sent/);
  found(answer(), /P9: a: d0 v@3000=8 was not asked for/, { to: 3_000 });
  found(answer({ outcome: "refused" }), /P7: a: it is refused/);
  found(answer({ outcome: "cancelled" }), /P7: a: it is cancelled/);
  found([...answer(), rawRecord(4, { request: "b" })], /P4: b is answered, and nobody asked/);
});
