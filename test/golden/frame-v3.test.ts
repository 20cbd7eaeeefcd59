/**
 * The bytes of frames of version 3, which tell of bodies that were posted under a key: decoded for ever, and
 * refused by weirs that know version 2 at most.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createBatch, KIND_SEQUENCE, KIND_STORED } from "../../src/core/batch.ts";
import type { Frame, Posted } from "../../src/core/frame.ts";
import { millis } from "../../src/core/units.ts";
import { decodeFrame } from "../../src/store/log/frame-codec.ts";
import {
  decodeFrameHeader,
  FRAME_HEADER_BYTES,
  FRAME_VERSION,
} from "../../src/store/log/frame-header.ts";
import { assertKnownVersion } from "../../src/store/log/log-segment.ts";
import { encodedFrame, plainFrame } from "../support/frames.ts";

const kinds = [KIND_STORED, KIND_STORED | KIND_SEQUENCE, 0];

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
  const definitions: readonly Posted[] = [
    {
      kind: "posted",
      key: "pump-7/00042",
      digest: "47DEQpj8HBSa-_TImW-5JA",
      at: 0,
      isWhole: false,
      decoded: 300,
      deadLettered: 1,
      unwanted: 2,
    },
    {
      kind: "posted",
      key: "~",
      digest: "",
      at: 1700000000123.5,
      isWhole: true,
      decoded: 0,
      deadLettered: 0,
      unwanted: 0,
    },
  ];
  const none = { definitions, counts: [], deadLetters: [] };
  return { clock: millis(1_700_000_000_123.5), clockTrusted: true, ...none, batch };
}

const bytes = Buffer.from(
  readFileSync(new URL("frame-v3.hex", import.meta.url), "utf8").replaceAll("\n", ""),
  "hex",
);

test("version 3: decodes to the same bits, and is still written so", () => {
  const header = decodeFrameHeader(bytes.subarray(0, FRAME_HEADER_BYTES));
  assert(header);
  assert.equal(header.version, 3);
  const stored = bytes.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + header.storedBytes);
  const decoded = decodeFrame(header, stored, (rows) => createBatch(rows));
  assert.deepEqual(plainFrame(decoded), plainFrame(frameOf()));
  assert.equal(Buffer.from(encodedFrame(frameOf(), 9)).toString("hex"), bytes.toString("hex"));
});

test("a weir that knows version 2 at most refuses it; without such a body a frame is of a lower version", () => {
  assert.equal(FRAME_VERSION, 3);
  assert.throws(() => assertKnownVersion(3, 2, { path: "x", offset: 0 }), {
    code: "FORMAT_TOO_NEW",
  });
  const frame = { ...frameOf(), definitions: [] };
  assert.equal(decodeFrameHeader(encodedFrame(frame, 9))?.version, 2);
  frame.batch.kind.fill(0);
  assert.equal(decodeFrameHeader(encodedFrame(frame, 9))?.version, 1);
});
