import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  cursors,
  type Place,
  RecordedTopics,
} from "../../../../test/support/kafka/recorded-topics.ts";
import { SimulatedClock } from "../../../../test/support/simulated-clock.ts";
import type { Complete, Gap, Summary } from "../../../core/record.ts";
import { limits } from "../../../core/limits.ts";
import { millis } from "../../../core/units.ts";
import { encodeComplete, encodeGap, encodeSummary } from "../../../store/outbox/record-codec.ts";
import { type Verdict, verifyUpstream, type VerifyOptions } from "./verify-upstream.ts";

const agent = "gw1";
const topic = "summaries";
const first = "a".repeat(32);
const second = "b".repeat(32);
const begin = 1_764_000_000_000;
const windowMs = 10_000;

const options: VerifyOptions = {
  topics: [topic],
  cursorTopic: cursors,
  agent: undefined,
  mayBeginLater: false,
  clock: new SimulatedClock(begin),
};

const verify = (topics: RecordedTopics, more: Partial<VerifyOptions> = {}): Promise<Verdict> =>
  verifyUpstream(topics, { ...options, ...more });

function summary(
  over: Partial<Summary> & { readonly device: number; readonly window: number },
): Uint8Array {
  const { device, window, ...rest } = over;
  const start = begin + window * windowMs;
  return encodeSummary(agent, {
    kind: "summary",
    pipeline: "temp",
    key: [["device", `p${device}`]],
    start: millis(start),
    end: millis(start + windowMs),
    revision: 0,
    count: 10,
    fields: { sum: device + window },
    arrivalTimed: 0,
    ...rest,
  });
}

const gap: Gap = {
  kind: "gap",
  pipeline: "temp",
  lane: "summaries",
  last: 3,
  start: millis(begin),
  end: millis(begin + windowMs),
  records: 4,
  readings: 40,
};

/** Transactions of windows of a few devices, some of them corrections, some aborted first. */
type Step = {
  readonly devices: readonly number[];
  readonly corrects: boolean;
  readonly aborts: boolean;
};

const steps = fc.array(
  fc.record({
    devices: fc.uniqueArray(fc.nat(5), { minLength: 1, maxLength: 6 }),
    corrects: fc.boolean(),
    aborts: fc.boolean(),
  }),
  { minLength: 2, maxLength: 12 },
);
const partitions = fc.integer({ min: 1, max: 4 });

function historyOf(all: readonly Step[], count: number): RecordedTopics {
  const topics = new RecordedTopics(agent, { [topic]: count });
  const stream = { topic, lane: "summaries", outbox: first } as const;
  const revisions = new Map<string, number>();
  for (const [window, { devices, corrects, aborts }] of all.entries()) {
    const records = devices.flatMap((device) => {
      const own = [summary({ device, window })];
      const before = `${device} ${window - 1}`;
      const revision = revisions.get(before);
      revisions.set(`${device} ${window}`, 0);
      if (!corrects || revision === undefined) return own;
      revisions.set(before, revision + 1);
      return [...own, summary({ device, window: window - 1, revision: revision + 1, count: 11 })];
    });
    if (aborts) topics.send(stream, records, { outcome: "abort" });
    topics.send(stream, records);
  }
  return topics;
}

test("whatever was sent, in whatever transactions and partitions, is proven", async () => {
  await fc.assert(
    fc.asyncProperty(steps, partitions, async (all, count) => {
      const topics = historyOf(all, count);
      const verdict = await verify(topics);
      assert.ok(verdict.kind === "proven", JSON.stringify(verdict));
      const [lane] = verdict.agents[0]!.lanes;
      const records = topics.places(topic, first).length;
      assert.deepEqual(
        { first: lane?.first, next: lane?.next, records: lane?.records, to: lane?.digestTo },
        { first: 0, next: records, records, to: records },
      );
      assert.equal(lane?.cursors, all.length);
      const [pipeline] = verdict.agents[0]!.pipelines;
      const windows = all.reduce((sum, { devices }) => sum + devices.length, 0);
      assert.equal(pipeline?.windows, windows);
      assert.equal(pipeline?.readings, 10 * windows + (pipeline?.corrections ?? 0));
    }),
  );
});

/** A history with one record spoiled. */
async function spoiled(
  spoil: (topics: RecordedTopics, place: Place & { readonly number: number }) => void,
  check: (verdict: Extract<Verdict, { kind: "broken" }>, number: number) => void,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(steps, partitions, fc.nat(), async (all, count, at) => {
      const topics = historyOf(all, count);
      const places = topics.places(topic, first);
      const place = places[at % places.length]!;
      spoil(topics, place);
      const verdict = await verify(topics);
      assert.ok(verdict.kind === "broken", "it is found");
      assert.equal(verdict.agent, agent);
      assert.equal(verdict.first.outbox, first);
      assert.equal(verdict.first.lane, "summaries");
      check(verdict, place.number);
    }),
  );
}

test("a record that is missing is named by its number", async () => {
  await spoiled(
    (topics, place) => topics.remove(place),
    (verdict, number) => {
      // Where a correction comes without what it corrects nothing else is wrong.
      assert.equal(verdict.first.what, "missing");
      assert.equal(verdict.first.number, number);
    },
  );
});

test("a record that is there twice is named by its number and the place of the second", async () => {
  await spoiled(
    (topics, place) => topics.repeat(place),
    (verdict, number) => {
      assert.match(verdict.first.what, /^(repeated|overtaken)$/);
      assert.equal(verdict.first.number, number);
      assert.equal(verdict.first.topic, topic);
    },
  );
});

test("a value that was changed is found by the digest of the next cursor", async () => {
  await spoiled(
    (topics, place) =>
      topics.alter(place, (text) => text.replace('"arrivalTimed":0', '"arrivalTimed":1')),
    (verdict, number) => {
      assert.equal(verdict.first.what, "changed");
      assert.ok(verdict.first.number >= number);
      assert.match(verdict.first.found, /is not what was sent/);
    },
  );
});

test("a value that is no record is named by its place", async () => {
  await spoiled(
    (topics, place) => topics.alter(place, (text) => text.slice(1)),
    (verdict, number) => {
      assert.equal(verdict.first.what, "unreadable");
      assert.equal(verdict.first.number, number);
      assert.notEqual(verdict.first.at, undefined);
    },
  );
});

test("what retention removed in front is told, and is no break", async () => {
  await fc.assert(
    fc.asyncProperty(steps, partitions, fc.nat(), async (all, count, share) => {
      const topics = historyOf(all, count);
      const before = topics.places(topic, first).length;
      const partition = share % count;
      topics.truncate({ topic, partition }, share % (topics.end({ topic, partition }) + 1));
      const verdict = await verify(topics);
      assert.ok(verdict.kind === "proven", JSON.stringify(verdict));
      const [lane] = verdict.agents[0]!.lanes;
      const { records = 0, removed = 0 } = lane ?? {};
      assert.equal(records + removed, before);
    }),
  );
});

test("a transaction that hangs is waited for, and then is none of the records", async () => {
  const topics = historyOf([{ devices: [1, 2], corrects: false, aborts: false }], 2);
  const stream = { topic, lane: "summaries", outbox: first } as const;
  topics.send(stream, [summary({ device: 1, window: 7 })], { outcome: "open" });
  const clock = new SimulatedClock(begin);
  const verifying = verify(topics, { clock });
  await clock.pass(limits.verifyPatienceMs + 1_000);
  assert.equal((await verifying).kind, "proven");
});

test("a restored copy parts from what was sent, and that is not counted", async () => {
  const topics = new RecordedTopics(agent, { [topic]: 3 });
  const stream = { topic, lane: "summaries", outbox: first } as const;
  const windows = [0, 1, 2, 3].map((window) => summary({ device: 1, window }));
  topics.send(stream, windows);
  // The copy had sent two; the third and fourth it makes anew, and they are others.
  const again = [2, 3, 4].map((window) => summary({ device: 1, window, count: 20 }));
  topics.send({ ...stream, outbox: second }, again, { forkedFrom: `${first}:2` });
  const verdict = await verify(topics);
  assert.ok(verdict.kind === "proven", JSON.stringify(verdict));
  const [found] = verdict.agents;
  assert.deepEqual(
    found?.lanes
      .map(({ outbox, next, digestTo }) => ({ outbox, next, digestTo }))
      .toSorted((a, b) => a.next - b.next),
    [
      { outbox: second, next: 3, digestTo: 3 },
      { outbox: first, next: 4, digestTo: 4 },
    ],
  );
  assert.deepEqual(found?.forks, [
    { lane: "summaries", outbox: second, from: { outbox: first, number: 2 } },
  ]);
  assert.equal(found?.pipelines[0]?.readings, 2 * 10 + 3 * 20);
});

test("gaps, merged summaries and withdrawals are added up", async () => {
  const topics = new RecordedTopics(agent, { [topic]: 3 });
  const stream = { topic, lane: "summaries", outbox: first } as const;
  const merged = summary({
    device: 1,
    window: 6,
    end: millis(begin + 12 * windowMs),
    merged: 6,
    count: 60,
  });
  topics.send(stream, [encodeGap(agent, gap), merged, summary({ device: 1, window: 12 })]);
  topics.send(stream, [summary({ device: 1, window: 12, revision: 1, count: 0, fields: {} })]);
  const verdict = await verify(topics);
  assert.ok(verdict.kind === "proven", JSON.stringify(verdict));
  assert.deepEqual(verdict.agents[0]?.pipelines, [
    {
      pipeline: "temp",
      keys: 1,
      windows: 1,
      readings: 60,
      merged: 1,
      corrections: 1,
      alerts: 0,
      gaps: 1,
      missingRecords: 4,
      missingReadings: 40,
      markers: 0,
      markedReadings: 0,
    },
  ]);
});

test("an older revision after a newer one is named", async () => {
  const topics = new RecordedTopics(agent, { [topic]: 3 });
  const stream = { topic, lane: "summaries", outbox: first } as const;
  topics.send(stream, [summary({ device: 1, window: 1, revision: 1, count: 11 })]);
  topics.send(stream, [summary({ device: 1, window: 1 })]);
  const verdict = await verify(topics);
  assert.ok(verdict.kind === "broken");
  assert.equal(verdict.first.what, "overtaken");
  assert.equal(verdict.first.number, 1);
});

test("a lane whose records are nowhere is missing, unless retention removed them all", async () => {
  const topics = historyOf([{ devices: [1, 2, 3], corrects: false, aborts: false }], 1);
  for (const place of topics.places(topic, first)) topics.remove(place);
  const verdict = await verify(topics);
  assert.ok(verdict.kind === "broken");
  assert.equal(verdict.first.what, "missing");
  topics.truncate({ topic, partition: 0 }, topics.end({ topic, partition: 0 }));
  const trimmed = await verify(topics);
  assert.ok(trimmed.kind === "proven");
  assert.equal(trimmed.agents[0]?.lanes[0]?.removed, 3);
});

test("records that no cursor counts are beyond it", async () => {
  const topics = historyOf([{ devices: [1], corrects: false, aborts: false }], 1);
  const stream = { topic, lane: "summaries", outbox: first } as const;
  topics.send(stream, [summary({ device: 1, window: 5 })]);
  topics.forgetCursor();
  const verdict = await verify(topics);
  assert.ok(verdict.kind === "broken", JSON.stringify(verdict));
  assert.equal(verdict.first.what, "beyond");
  assert.equal(verdict.first.number, 1);
});

test("an agent without a cursor is told so", async () => {
  const topics = new RecordedTopics(agent, { [topic]: 1 });
  await assert.rejects(verify(topics), { code: "INPUT_INVALID", message: /no agent has a cursor/ });
  await assert.rejects(verify(topics, { agent: "gw2" }), { message: /^gw2 has no cursor/ });
});

// ---- completeness markers ----

const marker = (device: number, windows: number, over: Partial<Complete> = {}): Uint8Array =>
  encodeComplete(agent, {
    kind: "complete",
    pipeline: "temp",
    key: [["device", `p${device}`]],
    through: millis(begin + windows * windowMs),
    readings: 10 * windows,
    ...over,
  });

const stream = { topic, lane: "summaries", outbox: first } as const;

/** Two devices with a window each in every step, and a marker of both after every third. */
function markedHistory(
  count: number,
  change: (records: readonly Uint8Array[], window: number) => readonly Uint8Array[] = (same) =>
    same,
): RecordedTopics {
  const topics = new RecordedTopics(agent, { [topic]: count });
  for (let window = 0; window < 9; window++) {
    const records = [1, 2].map((device) => summary({ device, window }));
    if (window % 3 === 2) records.push(...[1, 2].map((device) => marker(device, window + 1)));
    topics.send(stream, change(records, window));
  }
  return topics;
}

test("markers are compared with what came before them", async () => {
  const verdict = await verify(markedHistory(3));
  assert.ok(verdict.kind === "proven", JSON.stringify(verdict));
  const [pipeline] = verdict.agents[0]!.pipelines;
  assert.equal(pipeline?.markers, 6);
  assert.equal(pipeline?.markedReadings, 180);
});

const spoilings: readonly (readonly [
  what: string,
  change: (records: readonly Uint8Array[], window: number) => readonly Uint8Array[],
  kind: string,
  expected: RegExp,
])[] = [
  [
    "a window that was never sent",
    (records, window) => (window === 4 ? records.slice(1) : records),
    "counted",
    /^60 readings in all windows of gw1\/temp\/device=p1 that end by/,
  ],
  [
    "a window with other readings",
    (records, window) =>
      window === 4 ? [summary({ device: 1, window, count: 11 }), ...records.slice(1)] : records,
    "counted",
    /^60 readings/,
  ],
  [
    "a marker before its window",
    (records, window) => (window === 2 ? records.toReversed() : records),
    "counted",
    /^30 readings in all windows of gw1\/temp\/device=p2/,
  ],
  [
    "a correction of what was marked",
    (records, window) =>
      window === 5
        ? [summary({ device: 1, window: 1, revision: 1, count: 11 }), ...records]
        : records,
    "overtaken",
    /^no window of gw1\/temp\/device=p1\/1764000010000 that ends by 1764000030000/,
  ],
  [
    "a marker twice",
    (records, window) => (window === 3 ? [...records, marker(1, 3)] : records),
    "repeated",
    /^a marker of gw1\/temp\/device=p1\/complete that goes beyond 1764000030000/,
  ],
];

for (const [what, change, kind, expected] of spoilings) {
  test(`${what} is named`, async () => {
    for (const count of [1, 3]) {
      const verdict = await verify(markedHistory(count, change));
      assert.ok(verdict.kind === "broken", what);
      // A marker that comes before its windows falls short, or is followed by one of them.
      const kinds = what === "a marker before its window" ? ["counted", "overtaken"] : [kind];
      assert.ok(kinds.includes(verdict.first.what), verdict.first.what);
      if (verdict.first.what === kind && count === 1)
        assert.match(verdict.first.expected, expected);
    }
  });
}

test("keys fall short of their markers by what gaps say, and by no more", async () => {
  const without = (readings: number): RecordedTopics =>
    markedHistory(3, (records, window) => {
      if (window === 1) return records.slice(1);
      return window === 8
        ? [...records, encodeGap(agent, { ...gap, records: 1, readings })]
        : records;
    });
  assert.equal((await verify(without(10))).kind, "proven");
  const verdict = await verify(without(9));
  assert.ok(verdict.kind === "broken");
  assert.equal(verdict.first.what, "counted");
});

test("a marker within a merged summary waits for the next one", async () => {
  const merged = { end: millis(begin + 6 * windowMs), merged: 6, count: 60 };
  const change = (records: readonly Uint8Array[], window: number): readonly Uint8Array[] => {
    if (window > 5) return records;
    const markers = records.slice(2);
    return window === 0 ? [1, 2].map((device) => summary({ device, window, ...merged })) : markers;
  };
  const sent = (readings: number): RecordedTopics =>
    markedHistory(2, (records, window) =>
      window === 8
        ? [...records.slice(0, 2), marker(1, 9, { readings }), marker(2, 9)]
        : change(records, window).length > 0
          ? change(records, window)
          : [summary({ device: 3, window })],
    );
  assert.equal((await verify(sent(90))).kind, "proven");
  assert.equal((await verify(sent(80))).kind, "broken");
});

test("where the front is gone, sums are compared from the first marker on", async () => {
  for (const window of [undefined, 7]) {
    const topics = markedHistory(1, (records, of) => (of === window ? records.slice(1) : records));
    topics.truncate({ topic, partition: 0 }, 7);
    const verdict = await verify(topics);
    assert.equal(verdict.kind, window === undefined ? "proven" : "broken");
    if (verdict.kind === "proven") assert.equal(verdict.agents[0]?.pipelines[0]?.markers, 4);
  }
});

test("a count that began later is compared from there on", async () => {
  const from = millis(begin + 2 * windowMs);
  const change = (records: readonly Uint8Array[], window: number): readonly Uint8Array[] =>
    window % 3 === 2
      ? [
          ...records.slice(0, 2),
          ...[1, 2].map((device) =>
            marker(device, window + 1, { from, readings: 10 * (window - 1) }),
          ),
        ]
      : records;
  assert.equal((await verify(markedHistory(2, change))).kind, "proven");
});
