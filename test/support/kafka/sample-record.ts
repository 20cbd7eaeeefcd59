/** Records as an agent writes them, each told apart from every other by its bytes. */

import type { Tags } from "../../../src/core/frame.ts";
import { type Millis, millis } from "../../../src/core/units.ts";
import type { OutputQueue } from "../../../src/store/outbox/lane.ts";
import { encodeAlert, encodeSummary } from "../../../src/store/outbox/record-codec.ts";

const recordsBegin = Date.UTC(2026, 0, 1);

/** One of four devices, a second after the record before; `by` is who made it. */
export function sampleRecord(wanted: {
  readonly agent: string;
  readonly lane: OutputQueue;
  readonly number: number;
  readonly by: string;
}): Uint8Array {
  const { agent, lane, number, by } = wanted;
  const of: Place = {
    key: [
      ["by", by],
      ["device", `d${number % 4}`],
    ],
    time: millis(recordsBegin + number * 1_000),
  };
  return lane === "alerts" ? alertOf(agent, of, number) : summaryOf(agent, of, number);
}

type Place = { readonly key: Tags; readonly time: Millis };

function summaryOf(agent: string, { key, time }: Place, number: number): Uint8Array {
  return encodeSummary(agent, {
    kind: "summary",
    pipeline: "temp",
    key,
    start: time,
    end: millis(time + 1_000),
    revision: 0,
    count: 1,
    fields: { sum: number / 3 },
    arrivalTimed: 0,
  });
}

function alertOf(agent: string, { key, time }: Place, number: number): Uint8Array {
  return encodeAlert(agent, {
    kind: "alert",
    pipeline: "states",
    key,
    time,
    reason: "rare_symbol",
    value: "jäm",
    score: number,
    expected: 0,
    limit: 1,
  });
}
