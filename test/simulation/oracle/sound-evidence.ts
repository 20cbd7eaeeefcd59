/** Evidence of a small world in which nothing is broken: four readings of a device, in windows of a second. */

import type {
  Counts,
  Evidence,
  Reading,
  Stored,
  StoredCounts,
  Transaction,
  Upstream,
} from "./evidence.ts";
import { sketchedAs } from "./sketch-bytes.ts";

export const second = 1_000;

/** Reading n of a device, measured and sent at n seconds, acknowledged a moment later. */
export function reading(number: number, changes: Partial<Reading> = {}): Reading {
  return {
    device: "d0",
    number,
    time: number * second,
    value: 2 ** number,
    wobble: 20 + number / 10,
    isRecognisable: true,
    acknowledgedAt: number * second + 10,
    transmissions: [number * second],
    ...changes,
  };
}

/** The window that has these readings, as it stands upstream; `n` numbers it in its lane. */
export function window(
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
    ...sketchedAs(values),
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

export const readings: readonly Reading[] = [0, 1, 2, 3].map((number) => reading(number));
export const upstream: readonly Upstream[] = readings.map((one, n) => window(n, [one]));
/** The same readings as one session and no arrivals. */
export const session: Upstream = window(4, readings, {
  id: "gw1/bursts/device=d0/0/4000/0",
  pipeline: "bursts",
});

const pipeline: Counts = {
  accepted: 8,
  filtered: 4,
  refused: 0,
  late: 0,
  open: 0,
  closed: 4,
};

export const storedCounts: StoredCounts = {
  accepted: 8,
  inMemory: 3,
  inTables: 5,
  rolledUp: 0,
  expired: 0,
  erased: 0,
  lost: 0,
};

export const stored: Stored = {
  when: "at the end",
  counts: storedCounts,
  readings: readings.flatMap(({ device, time = 0, value, wobble }) => [
    { device, metric: "v", time, value },
    { device, metric: "t", time, value: wobble },
  ]),
  faults: [],
};

export function transaction(changes: Partial<Transaction> = {}): Transaction {
  return { life: 1, lane: "summaries", beganAt: 0, endedAt: 20_000, ...changes };
}

export const sound: Evidence = {
  readings,
  broken: { sent: 0, acknowledged: 0 },
  places: ["kafka"],
  protocolFaults: [],
  windows: [{ name: "seconds", sizeMs: second, slideMs: second }],
  sessions: "bursts",
  arrivals: "arrivals",
  outbox: { merges: false, drops: false },
  outboxTiers: [],
  latenessMs: 60 * second,
  idleMs: 10 * second,
  futureDevices: [],
  clockWasRight: true,
  upstream: [...upstream, session],
  raw: { asks: [], records: [], around: undefined },
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
  samples: [{ atMs: 0, stored: storedCounts, bounded: { bytes: [1, 2] } }],
  stored: [stored],
  failures: [],
  leftOver: 0,
  incidents: [],
  unproven: undefined,
  medium: { lost: 0, named: 0 },
  changedBuffers: [],
  links: [],
  transactions: [
    transaction({ lane: "backfill", beganAt: 1 }),
    transaction({ lane: "backfill", beganAt: 20_000 }),
    transaction({ lane: "backfill", beganAt: 19_000, life: 2 }),
    transaction({ lane: "alerts", beganAt: 30_000, endedAt: 30_001 }),
  ],
};
