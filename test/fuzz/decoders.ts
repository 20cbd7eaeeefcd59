/**
 * Fuzzes the intake with damaged payloads of every format. Two intakes get the same messages: one
 * remembers its topics and scans, the other has no room for topics and always parses. Nothing may
 * throw, both must take every message, give the same rows and refuse for the same reason, and what
 * they hold stays within its limits.
 */

import assert from "node:assert/strict";
import { encode } from "cbor-x";
import type { Random } from "../../src/core/doors.ts";
import type { Frame } from "../../src/core/frame.ts";
import { millis } from "../../src/core/units.ts";
import { type Bench, give, NOW, openBench, source } from "../support/intake.ts";
import { below, seededRandom } from "../support/seeded-random.ts";

const limits = { seriesMax: 4_000, devicesMax: 64, symbolsMax: 2_000, slotsMax: 3_000 };
const casesPerFrame = 16;
const topics = ["any/a", "any/b", "json/a", "cbor/a", "number/a", "metric/temp"];

const records = [
  { ts: 1_700_000_000_123, seq: 12, temp: 21.57, hum: -0.5, state: "run", ok: true },
  { time: "2024-05-01T12:00:00.5Z", a: { b: { c: 1e-7, d: null }, e: "ü" }, list: [{ v: 1 }] },
  { timestamp: 1_700_000_000.25, "switch:0": { apower: 11.5, on: false }, skip: [1, "x"] },
];
const samples: readonly Uint8Array[] = [
  ...records.map((record) => Buffer.from(JSON.stringify(record))),
  ...records.map((record) => Buffer.from(JSON.stringify([record, record], undefined, 1))),
  ...records.map((record) => encode(record)),
  encode(records),
  Buffer.from("d9d9f7a26274731a65000000616101", "hex"),
  Buffer.from("a3627473c11a65000000616af93c00616bfb7ff8000000000001", "hex"),
  ...["21.5", "-1.25e-3", "1234567890123456789", "on", " offline ", "true", "°C"].map((text) =>
    Buffer.from(text),
  ),
];

export type FuzzSummary = {
  readonly cases: number;
  readonly decoded: number;
  readonly scanned: number;
  readonly deadLettered: number;
};

export const target: {
  readonly name: string;
  readonly run: (options: { readonly cases: number; readonly seed: number }) => FuzzSummary;
} = { name: "decoders", run };

function run({ cases, seed }: { readonly cases: number; readonly seed: number }): FuzzSummary {
  const random = seededRandom(seed);
  const scanning = openFuzzBench(1_024);
  const parsing = openFuzzBench(1);
  give(parsing, "any/the-one-that-is-remembered", "1");
  give(scanning, "any/the-one-that-is-remembered", "1");

  for (let done = 0; done < cases; done += casesPerFrame) {
    const payloads: string[] = [];
    for (let i = 0; i < casesPerFrame; i++) {
      const topic = topics[below(random, topics.length)]!;
      const payload = damaged(samples[below(random, samples.length)]!, random);
      payloads.push(`${topic} ${Buffer.from(payload).toString("hex")}`);
      assert.ok(give(scanning, topic, payload) && give(parsing, topic, payload), "taken");
    }
    const scanned = contentOf(scanning);
    const parsed = contentOf(parsing);
    assert.deepEqual(scanned, parsed, `seed ${seed}, case ${done}:\n${payloads.join("\n")}`);
  }
  const { decoded, scanned, deadLettered, slots } = scanning.intake.counters;
  assert.ok(slots <= limits.slotsMax && scanning.catalog.seriesCount <= limits.seriesMax);
  assert.ok(scanning.catalog.symbolCount <= limits.symbolsMax);
  return { cases, decoded, scanned, deadLettered };
}

function openFuzzBench(topicsMax: number): Bench {
  const common = { ignore: ["skip"], timezone: "utc" } as const;
  return openBench(
    [
      source({ ...common, name: "any", topics: ["any/{device}"] }),
      source({ ...common, name: "json", topics: ["json/{device}"], format: "json" }),
      source({ ...common, name: "cbor", topics: ["cbor/{device}"], format: "cbor" }),
      source({ ...common, name: "number", topics: ["number/{device}"], format: "number" }),
      source({ ...common, name: "metric", topics: ["metric/{metric}"], timeRequired: true }),
    ],
    { ...limits, topicsMax },
  );
}

/** Everything in the open frame but the order of the rows of one message. */
function contentOf({ intake }: Bench): unknown {
  const frame = intake.seal(millis(NOW), true);
  const content = {
    definitions: frame.definitions,
    counts: frame.counts,
    letters: frame.deadLetters.map(({ reason, offset, payload }) => ({ reason, offset, payload })),
    rows: rowsOf(frame),
  };
  intake.recycle();
  return content;
}

function rowsOf({ batch }: Frame): readonly string[] {
  const rows: string[] = [];
  for (let row = 0; row < batch.rows; row++) {
    const value = Object.is(batch.value[row], -0) ? "-0" : String(batch.value[row]);
    const { series, time, kind, sequence } = batch;
    rows.push([series[row], time[row], value, kind[row], sequence[row]].join(" "));
  }
  return rows.sort();
}

/** A few bytes changed, inserted, removed, doubled, or the whole cut or joined with another. */
function damaged(sample: Uint8Array, random: Random): Uint8Array {
  let bytes = Uint8Array.from(sample);
  for (let changes = below(random, 4); changes > 0; changes--) {
    const at = below(random, bytes.length + 1);
    const length = below(random, 6);
    const head = bytes.subarray(0, at);
    const tail = bytes.subarray(at);
    switch (below(random, 6)) {
      case 0:
        bytes = Buffer.concat([head, Uint8Array.of(below(random, 256)), tail]);
        break;
      case 1:
        bytes = Buffer.concat([head, Uint8Array.of(below(random, 256)), tail.subarray(1)]);
        break;
      case 2:
        bytes = Buffer.concat([head, tail.subarray(length)]);
        break;
      case 3:
        bytes = Buffer.concat([head, tail.subarray(0, length), tail]);
        break;
      case 4:
        bytes = Buffer.concat([head, samples[below(random, samples.length)]!, tail]);
        break;
      default:
        bytes = Uint8Array.from(head);
    }
    // Each copy doubles at most; more would only repeat itself.
    bytes = Uint8Array.from(bytes.subarray(0, 1_000));
  }
  return bytes;
}
