import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { anyFrame, numberedFrame, plainFrame } from "../../../test/support/frames.ts";
import { type Batch, createBatch, KIND_SEQUENCE } from "../../core/batch.ts";
import { ByteWriter, MalformedBytes } from "../../core/bytes.ts";
import type { Frame } from "../../core/frame.ts";
import { position } from "../../core/units.ts";
import { type Body, decodeFrame, encodeBody } from "./frame-codec.ts";
import { decodeFrameHeader, encodeFrameHeader, type FrameHeader } from "./frame-header.ts";

type Encoded = { readonly header: FrameHeader; readonly stored: Uint8Array; readonly body: Body };

function encode(frame: Frame): Encoded {
  const writer = new ByteWriter({ bytes: 64, bytesMax: 1 << 24 });
  const body = encodeBody(writer, frame);
  const { clock, clockTrusted, batch } = frame;
  const bytes = new Uint8Array(64);
  encodeFrameHeader(bytes, {
    ...body,
    clock,
    clockTrusted,
    rows: batch.rows,
    first: position(7),
    durableThrough: position(7),
    incarnation: 2n ** 64n - 1n,
    previous: 5,
  });
  const header = decodeFrameHeader(bytes);
  assert(header);
  return { header, stored: writer.slice(0, body.storedBytes), body };
}

const roomFor = (rows: number): Batch => createBatch(Math.max(rows, 1));

test("any frame is decoded to the same bits", () => {
  fc.assert(
    fc.property(anyFrame, (frame) => {
      const { header, stored } = encode(frame);
      assert.deepEqual(plainFrame(decodeFrame(header, stored, roomFor)), plainFrame(frame));
    }),
    { numRuns: 300 },
  );
});

test("uniform kinds and unused sequences take no bytes", () => {
  const frame = numberedFrame(0.1, 5_000);
  assert.equal(encode(frame).body.bodyBytes, 8 + 5_000 * 20);
  frame.batch.kind[17] = KIND_SEQUENCE;
  assert.equal(encode(frame).body.bodyBytes, 8 + 5_000 * (20 + 8 + 1));
});

test("what a thousand sensors send in 10 s is compressed; far more, or a row alone, is not", () => {
  assert.equal(encode(numberedFrame(1, 200)).header.encoding, "zstd");
  assert.equal(encode(numberedFrame(1, 10_000)).header.encoding, "zstd");
  assert.equal(encode(numberedFrame(1, 20_000)).header.encoding, "plain");
  assert.equal(encode(numberedFrame(1, 1)).header.encoding, "plain");
});

test("damaged bodies decode to a frame or a fault, never to a crash", () => {
  const change = fc.tuple(fc.nat(), fc.nat({ max: 255 }));
  fc.assert(
    fc.property(anyFrame, fc.array(change, { minLength: 1 }), (frame, changes) => {
      const { header, stored } = encode(frame);
      for (const [at, byte] of changes) stored[at % stored.length] = byte;
      try {
        decodeFrame(header, stored, roomFor);
      } catch (error) {
        assert(error instanceof MalformedBytes, String(error));
      }
    }),
    { numRuns: 1_000 },
  );
});

test("a header with any bit flipped is no header", () => {
  const bytes = new Uint8Array(64);
  const { header } = encode(numberedFrame(1, 1));
  encodeFrameHeader(bytes, header);
  for (let bit = 0; bit < 512; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(decodeFrameHeader(damaged), undefined);
  }
});
