/**
 * The bytes of log format 1, as they stand on users' disks: decoded for ever. A change of the format
 * is a new version with vectors of its own; these never change.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createBatch } from "../../src/core/batch.ts";
import { ByteWriter } from "../../src/core/bytes.ts";
import { checksumOf } from "../../src/core/checksum.ts";
import type { Frame } from "../../src/core/frame.ts";
import { deviceId, millis, position, seriesId, sourceId, symbolId } from "../../src/core/units.ts";
import { decodeFrame, encodeBody } from "../../src/store/log/frame-codec.ts";
import {
  decodeFrameHeader,
  encodeFrameHeader,
  FRAME_HEADER_BYTES,
} from "../../src/store/log/frame-header.ts";
import { decodeSegmentHeader, encodeSegmentHeader } from "../../src/store/log/log-segment.ts";
import { plainFrame } from "../support/frames.ts";

type Row = readonly [series: number, time: number, value: number, kind: number, sequence: number];

function frameOf(rows: readonly Row[], more: Partial<Frame> = {}): Frame {
  const batch = createBatch(rows.length + 1);
  batch.rows = rows.length;
  rows.forEach(([series, time, value, kind, sequence], i) => {
    batch.series[i] = series;
    batch.time[i] = time;
    batch.value[i] = value;
    batch.kind[i] = kind;
    batch.sequence[i] = sequence;
  });
  const none = { definitions: [], counts: [], deadLetters: [] };
  return { clock: millis(1_700_000_000_123.5), clockTrusted: true, ...none, batch, ...more };
}

const frames: Readonly<Record<string, Frame>> = {
  empty: frameOf([], { clock: millis(-1), clockTrusted: false }),
  definitions: frameOf([], {
    definitions: [
      { kind: "config", json: '{"version":1}' },
      { kind: "source", id: sourceId(0), name: "plant" },
      {
        kind: "device",
        id: deviceId(300),
        source: sourceId(0),
        tags: [
          ["device", "p1"],
          ["línea", "Ω→\u{1f321}"],
        ],
      },
      { kind: "device", id: deviceId(301), source: sourceId(0), tags: [] },
      { kind: "series", id: seriesId(70_000), device: deviceId(300), metric: "température" },
      { kind: "symbol", id: symbolId(2), text: "" },
    ],
  }),
  counts: frameOf([], {
    counts: [
      { source: sourceId(0), decoded: 1, deadLettered: 2, shed: 3, rejected: 4 },
      { source: sourceId(63), decoded: 2 ** 53 - 1, deadLettered: 0, shed: 0, rejected: 2 ** 32 },
    ],
  }),
  "dead letters": frameOf([], {
    deadLetters: [
      {
        source: sourceId(1),
        topic: "plant/a/p1",
        arrived: millis(1_700_000_000_000.25),
        reason: "json_invalid",
        offset: 3,
        payload: Uint8Array.of(0x7b, 0x22, 0xff, 0x00),
        payloadBytes: 5_000,
      },
      {
        source: sourceId(0),
        topic: "",
        arrived: millis(0),
        reason: "payload_too_large",
        offset: 0,
        payload: new Uint8Array(0),
        payloadBytes: 0,
      },
    ],
  }),
  rows: frameOf([
    [0, 1_700_000_000_000, 21.5, 0, 0],
    [4_294_967_295, -0.5, -0, 0, 0],
    [7, 0, Number.POSITIVE_INFINITY, 0, 0],
    [7, 0, Number.NaN, 0, 0],
  ]),
  "rows with kinds and sequences": frameOf([
    [0, 1_700_000_000_000, 1, 1, 0],
    [1, 1_700_000_000_001, 5e-324, 2, 0],
    [2, 1_700_000_000_002, -1e308, 4, 9_007_199_254_740_991],
  ]),
  "rows compressed": frameOf(
    Array.from({ length: 100 }, (_, i): Row => [i % 5, 1_700_000_000_000 + i, 20 + i / 8, 4, i]),
  ),
};

const place = {
  incarnation: 0xfedc_ba98_7654_3210n,
  previous: 0x1234_5678,
  first: position(2 ** 40 + 3),
  durableThrough: position(2 ** 40 + 3),
};

const segment = {
  number: 17,
  incarnation: place.incarnation,
  first: place.first,
  previous: place.previous,
};

/** Name -> bytes, from lines of `# name` and hexadecimal. */
function readVectors(): ReadonlyMap<string, Buffer> {
  const text = readFileSync(new URL("frame-v1.hex", import.meta.url), "utf8");
  return new Map(
    text.split("# ").flatMap((part): [string, Buffer][] => {
      const [name = "", ...lines] = part.split("\n");
      return name === "" ? [] : [[name, Buffer.from(lines.join(""), "hex")]];
    }),
  );
}

const vectors = readVectors();

test("there is a vector for every frame", () => {
  assert.deepEqual([...vectors.keys()], ["segment header", ...Object.keys(frames)]);
});

for (const [name, frame] of Object.entries(frames)) {
  test(`version 1, ${name}: decodes to the same bits`, () => {
    const bytes = vectors.get(name)!;
    const header = decodeFrameHeader(bytes.subarray(0, FRAME_HEADER_BYTES));
    assert(header);
    const { clock, clockTrusted, batch } = frame;
    assert.equal(header.encoding, name === "rows compressed" ? "zstd" : "plain");
    const { incarnation, previous, first, durableThrough, rows } = header;
    assert.deepEqual({ incarnation, previous, first, durableThrough }, place);
    assert.equal(rows, batch.rows);
    assert.deepEqual([header.clock, header.clockTrusted], [clock, clockTrusted]);
    const stored = bytes.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + header.storedBytes);
    assert.equal(checksumOf(stored), header.bodyChecksum);
    const decoded = decodeFrame(header, stored, (wanted) => createBatch(Math.max(wanted, 1)));
    assert.deepEqual(plainFrame(decoded), plainFrame(frame));
  });

  // The compressor's output may change with its version; what it decompresses to may not.
  if (name === "rows compressed") continue;
  test(`version 1, ${name}: is still written so`, () => {
    assert.equal(encode(frame).toString("hex"), vectors.get(name)!.toString("hex"));
  });
}

test("version 1, segment header: is read and written so", () => {
  const page = new Uint8Array(4096);
  encodeSegmentHeader(page, segment);
  const bytes = vectors.get("segment header")!;
  assert.deepEqual(Buffer.from(page.subarray(0, 40)), bytes);
  assert.deepEqual(Buffer.from(page.subarray(2048, 2088)), bytes);
  assert.deepEqual(decodeSegmentHeader(page, { number: 17, path: "x" }), {
    kind: "segment",
    header: segment,
  });
});

function encode(frame: Frame): Buffer {
  const writer = new ByteWriter({ bytes: 4096, bytesMax: 1 << 20 });
  writer.moveTo(FRAME_HEADER_BYTES);
  const body = encodeBody(writer, frame);
  const { clock, clockTrusted, batch } = frame;
  const header = writer.slice(0, FRAME_HEADER_BYTES);
  encodeFrameHeader(header, { ...body, ...place, clock, clockTrusted, rows: batch.rows });
  return Buffer.from(writer.slice(0, writer.length));
}
