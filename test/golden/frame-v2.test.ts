/**
 * The bytes of frames of version 2, which have rows that were found to be stored: decoded for ever, and
 * refused by weirs that know version 1 alone.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createBatch, KIND_SEQUENCE, KIND_STORED, KIND_SYMBOL } from "../../src/core/batch.ts";
import type { Frame } from "../../src/core/frame.ts";
import { millis } from "../../src/core/units.ts";
import { decodeFrame } from "../../src/store/log/frame-codec.ts";
import {
  decodeFrameHeader,
  FRAME_HEADER_BYTES,
  FRAME_VERSION,
} from "../../src/store/log/frame-header.ts";
import { assertKnownVersion } from "../../src/store/log/log-segment.ts";
import { encodedFrame, plainFrame } from "../support/frames.ts";

const kinds = [KIND_STORED, KIND_STORED | KIND_SYMBOL, KIND_STORED | KIND_SEQUENCE, 0];

function frameOf(): Frame {
  const batch = createBatch(kinds.length);
  batch.rows = kinds.length;
  for (const [row, kind] of kinds.entries()) {
    batch.series[row] = row;
    batch.time[row] = 1_700_000_000_000 + row;
    batch.value[row] = row + 0.5;
    batch.kind[row] = kind;
    batch.sequence[row] = (kind & KIND_SEQUENCE) === 0 ? 0 : 77;
  }
  const none = { definitions: [], counts: [], deadLetters: [] };
  return { clock: millis(1_700_000_000_123.5), clockTrusted: true, ...none, batch };
}

const bytes = Buffer.from(
  readFileSync(new URL("frame-v2.hex", import.meta.url), "utf8").replaceAll("\n", ""),
  "hex",
);

test("version 2: decodes to the same bits, and is still written so", () => {
  const header = decodeFrameHeader(bytes.subarray(0, FRAME_HEADER_BYTES));
  assert(header);
  assert.equal(header.version, 2);
  const stored = bytes.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + header.storedBytes);
  const decoded = decodeFrame(header, stored, (rows) => createBatch(rows));
  assert.deepEqual(plainFrame(decoded), plainFrame(frameOf()));
  assert.equal(Buffer.from(encodedFrame(frameOf(), 3)).toString("hex"), bytes.toString("hex"));
});

test("a weir that knows version 1 alone refuses it; without such rows a frame is of version 1", () => {
  assert.ok(FRAME_VERSION >= 2);
  assert.throws(() => assertKnownVersion(2, 1, { path: "x", offset: 0 }), {
    code: "FORMAT_TOO_NEW",
  });
  const frame = frameOf();
  frame.batch.kind.fill(0);
  assert.equal(decodeFrameHeader(encodedFrame(frame, 3))?.version, 1);
});

test("a kind that nobody knows is still malformed", () => {
  const frame = frameOf();
  frame.batch.kind[0] = 16;
  const odd = encodedFrame(frame, 3);
  const header = decodeFrameHeader(odd);
  assert(header);
  const stored = odd.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + header.storedBytes);
  assert.throws(() => decodeFrame(header, stored, (rows) => createBatch(rows)), /unknown kind/);
});
