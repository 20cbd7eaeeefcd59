/**
 * A full outbox, made as the agent makes one: summaries of 10 s windows, encoded and committed to the
 * real state store, a window of 10,000 series at a time. Readings have two decimals, so that sums,
 * means and variances have the digits they have in life.
 */

import { join } from "node:path";
import type { Summary } from "../src/core/record.ts";
import { millis, position } from "../src/core/units.ts";
import { openKvLmdb } from "../src/store/state/kv-lmdb.ts";
import { OutboxWriter } from "../src/store/outbox/outbox.ts";
import { encodeSummary } from "../src/store/outbox/record-codec.ts";
import { openStateStore } from "../src/store/state/state-store.ts";
import { fractions } from "../test/support/seeded-random.ts";

export const storeBytesMax: number = 1024 ** 3;

const seriesCount = 10_000;
const readingsPerWindow = 10;
const windowMs = 10_000;
const startMs = 1_764_000_000_000;

export function storePath(directory: string): string {
  return join(directory, "state.mdb");
}

/** Fills a new state store in `directory`, which exists. */
export async function fillOutbox(
  directory: string,
  { agent, count }: { readonly agent: string; readonly count: number },
): Promise<void> {
  const kv = openKvLmdb({ path: storePath(directory), bytesMax: storeBytesMax });
  const { store } = await openStateStore(kv);
  const fraction = fractions(1);
  for (let first = 0; first < count; first += seriesCount) {
    const outbox = new OutboxWriter();
    for (let n = first; n < Math.min(count, first + seriesCount); n++) {
      outbox.add("summaries", encodeSummary(agent, summaryOf(n, fraction)));
    }
    await store.commit({
      through: position(first + 1),
      ledger: new Uint8Array(256),
      definitions: [],
      deadLetters: [],
      outbox,
    });
  }
  await kv.close();
}

function summaryOf(n: number, fraction: () => number): Summary {
  const series = n % seriesCount;
  const start = startMs + Math.floor(n / seriesCount) * windowMs;
  return {
    kind: "summary",
    pipeline: "ten-seconds",
    key: [
      ["device", `d${String(series).padStart(5, "0")}`],
      ["line", `line${series % 8}`],
      ["metric", "temperature"],
    ],
    start: millis(start),
    end: millis(start + windowMs),
    revision: 0,
    count: readingsPerWindow,
    fields: fieldsOf(Array.from({ length: readingsPerWindow }, () => readingOf(series, fraction))),
    arrivalTimed: 0,
  };
}

function readingOf(series: number, fraction: () => number): number {
  return Math.round(100 * (20 + (series % 40) + fraction())) / 100;
}

function fieldsOf(values: readonly number[]): Summary["fields"] {
  const sum = values.reduce((total, value) => total + value, 0);
  const mean = sum / values.length;
  return {
    sum,
    sumError: 0,
    mean,
    min: Math.min(...values),
    max: Math.max(...values),
    variance: values.reduce((total, value) => total + (value - mean) ** 2, 0) / values.length,
  };
}
