/** Frames for tests of what stores and reads them: arbitrary ones, and small ones that are told apart. */

import fc from "fast-check";
import { type Batch, createBatch, KIND_SEQUENCE } from "../../src/core/batch.ts";
import { ByteWriter } from "../../src/core/bytes.ts";
import type { DeadLetter, Definition, Frame, MessageCounts } from "../../src/core/frame.ts";
import { deviceId, millis, position, seriesId, sourceId, symbolId } from "../../src/core/units.ts";
import { encodeBody } from "../../src/store/log/frame-codec.ts";
import { encodeFrameHeader, FRAME_HEADER_BYTES } from "../../src/store/log/frame-header.ts";

/** A frame of `rows` rows whose values are `tag`, `tag` + 1, ... */
export function numberedFrame(tag: number, rows: number, more: Partial<Frame> = {}): Frame {
  const batch = createBatch(Math.max(rows, 1));
  batch.rows = rows;
  for (let i = 0; i < rows; i++) {
    batch.series[i] = i % 50;
    batch.time[i] = 1_700_000_000_000 + i * 10;
    batch.value[i] = tag + i;
  }
  const none = { definitions: [], counts: [], deadLetters: [] };
  return { clock: millis(tag), clockTrusted: true, ...none, batch, ...more };
}

/** The record of a frame at `first` in a log of golden bytes: header and body. */
export function encodedFrame(frame: Frame, first: number): Uint8Array {
  const writer = new ByteWriter({ bytes: 4096, bytesMax: 1 << 20 });
  writer.moveTo(FRAME_HEADER_BYTES);
  const body = encodeBody(writer, frame);
  const { clock, clockTrusted, batch } = frame;
  encodeFrameHeader(writer.slice(0, FRAME_HEADER_BYTES), {
    ...body,
    incarnation: 0xfedc_ba98_7654_3210n,
    previous: 0x1234_5678,
    first: position(first),
    durableThrough: position(first),
    clock,
    clockTrusted,
    rows: batch.rows,
  });
  return writer.slice(0, writer.length).slice();
}

/** What `frame` holds, as plain values that compare by the bits of their doubles. */
export function plainFrame(frame: Frame): unknown {
  const { batch, clock, ...rest } = frame;
  const { rows, kind } = batch;
  return {
    ...rest,
    deadLetters: rest.deadLetters.map((l) => ({
      ...l,
      payload: Buffer.from(l.payload).toString("hex"),
    })),
    clock: bitsOf(Float64Array.of(clock)),
    rows,
    series: [...batch.series.subarray(0, rows)],
    time: bitsOf(batch.time.subarray(0, rows)),
    value: bitsOf(batch.value.subarray(0, rows)),
    kind: [...kind.subarray(0, rows)],
    sequence: bitsOf(batch.sequence.subarray(0, rows)),
  };
}

function bitsOf(column: Float64Array): string {
  return Buffer.from(column.buffer, column.byteOffset, column.byteLength).toString("hex");
}

/** fast-check's records have no prototype half of the time; ours are plain objects. */
function record<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const id = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const count = fc.oneof(fc.nat({ max: 300 }), fc.maxSafeNat());
const text = fc.string({ unit: "grapheme", maxLength: 40 });
const tags = fc.array(fc.tuple(text, text), { maxLength: 5 });

/** Doubles by their bits: every NaN payload, -0, infinities, subnormals. */
const anyBits = fc.oneof(
  fc.double(),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((bits) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, bits);
    return view.getFloat64(0);
  }),
);

const definition: fc.Arbitrary<Definition> = fc.oneof(
  record({ kind: fc.constant("source" as const), id: id.map(sourceId), name: text }),
  record({
    kind: fc.constant("device" as const),
    id: id.map(deviceId),
    source: id.map(sourceId),
    tags,
  }),
  record({
    kind: fc.constant("series" as const),
    id: id.map(seriesId),
    device: id.map(deviceId),
    metric: text,
  }),
  record({ kind: fc.constant("symbol" as const), id: id.map(symbolId), text }),
  record({ kind: fc.constant("config" as const), json: fc.json() }),
  record({
    kind: fc.constant("posted" as const),
    key: text,
    digest: text,
    at: fc.nat(),
    isWhole: fc.boolean(),
    decoded: count,
    deadLettered: count,
    unwanted: count,
  }),
);

const messageCounts: fc.Arbitrary<MessageCounts> = record({
  source: id.map(sourceId),
  decoded: count,
  deadLettered: count,
  shed: count,
  rejected: count,
});

const deadLetter: fc.Arbitrary<DeadLetter> = record({
  source: id.map(sourceId),
  topic: text,
  arrived: anyBits.map(millis),
  reason: fc.constantFrom(
    "json_invalid",
    "cbor_invalid",
    "number_invalid",
    "time_invalid",
    "time_missing",
    "shape_unsupported",
    "too_many_readings",
    "payload_too_large",
  ),
  offset: count,
  payload: fc.uint8Array({ maxLength: 200 }),
  payloadBytes: count,
});

type Row = readonly [series: number, time: number, value: number, kind: number, sequence: number];

const kinds = fc.oneof(fc.constant([0]), fc.constant([4]), fc.constant([0, 1, 2, 3, 4, 5, 6, 7]));

const batch: fc.Arbitrary<Batch> = kinds
  .chain((some) =>
    fc.array(fc.tuple(id, fc.double(), anyBits, fc.constantFrom(...some), anyBits), {
      maxLength: 60,
    }),
  )
  .map(batchOf);

function batchOf(rows: readonly Row[]): Batch {
  const filled = createBatch(rows.length + 3);
  filled.rows = rows.length;
  rows.forEach(([series, time, value, kind, sequence], i) => {
    filled.series[i] = series;
    // A copy by value would be free to change the bits of a NaN.
    filled.time[i] = time;
    filled.value.set(Float64Array.of(value), i);
    filled.kind[i] = kind;
    filled.sequence[i] = (kind & KIND_SEQUENCE) === 0 ? 0 : sequence;
  });
  return filled;
}

/** Any frame the types allow. */
export const anyFrame: fc.Arbitrary<Frame> = record({
  clock: anyBits.map(millis),
  clockTrusted: fc.boolean(),
  definitions: fc.array(definition, { maxLength: 12 }),
  counts: fc.array(messageCounts, { maxLength: 5 }),
  deadLetters: fc.array(deadLetter, { maxLength: 4 }),
  batch,
});
