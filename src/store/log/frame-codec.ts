/**
 * A frame as bytes of the log (docs/format/log.md).
 *
 *   header, 64 bytes, with its own checksum      what a damaged body cannot take along
 *   body    definitions | counts | dead letters | columns, plain or zstd, padded to 8 bytes
 *
 * A column is one memory copy; one checksum goes over the stored body, one over the header. A kind
 * column that is the same in every row is one byte; a sequence column that no row uses is left out.
 * Bodies are compressed at low rates, where flash wear is bytes written and the processor is idle, also
 * where a thousand readings a second wait 10 s for their sync. Larger ones are frames under load, where
 * the processor is what is short.
 */

import { zstdCompressSync, zstdDecompressSync, constants as zlib } from "node:zlib";
import { assert, unreachable } from "../../core/assert.ts";
import { type Batch, isKind, KIND_SEQUENCE, KIND_STORED, rowsMaxOf } from "../../core/batch.ts";
import { ByteReader, type ByteWriter, MalformedBytes } from "../../core/bytes.ts";
import { checksumOf } from "../../core/checksum.ts";
import type { DeadLetter, DeadLetterReason, Definition, Frame, Tags } from "../../core/frame.ts";
import { deviceId, millis, seriesId, sourceId, symbolId } from "../../core/units.ts";
import { type FrameHeader, FRAME_VERSION_POSTED, FRAME_VERSION_STORED } from "./frame-header.ts";

/** Bodies in this range are tried with zstd, and kept so where it saves an eighth. */
const COMPRESS_BYTES_MIN = 512;
const COMPRESS_BYTES_MAX = 256 * 1024;
const ZSTD_LEVEL = 1;

/** Series, time and value of a row; the least it takes. */
const ROW_BYTES_MIN = 20;
const HAS_KIND_COLUMN = 1;
const HAS_SEQUENCE_COLUMN = 2;

/** The part of a header that the body decides. */
export type Body = Pick<
  FrameHeader,
  "version" | "encoding" | "bodyBytes" | "storedBytes" | "bodyChecksum"
>;

/**
 * Appends the frame's body to `writer`, at a multiple of 8, and pads it to one. Everything is
 * copied: the frame's buffers are free when this returns.
 */
export function encodeBody(writer: ByteWriter, frame: Frame): Body {
  const start = writer.length;
  assert(start % 8 === 0, "a body begins at a multiple of 8");
  encodeDefinitions(writer, frame.definitions);
  encodeCounts(writer, frame);
  encodeDeadLetters(writer, frame.deadLetters);
  const any = encodeColumns(writer, frame.batch);
  const bodyBytes = writer.length - start;
  const compressed = compress(writer.slice(start, writer.length));
  if (compressed !== undefined) {
    writer.moveTo(start);
    writer.copy(compressed, compressed.length);
  }
  const stored = writer.slice(start, writer.length);
  const storedBytes = stored.length;
  const bodyChecksum = checksumOf(stored);
  writer.align(8);
  const encoding = compressed === undefined ? "plain" : "zstd";
  const version = versionOf(frame, any);
  return { version, encoding, bodyBytes, storedBytes, bodyChecksum };
}

/**
 * The frame of a header and its stored body, whose checksum the caller has verified. `roomFor` gives
 * the batch that becomes the frame's, with room for so many rows; nothing of the frame refers to
 * `stored`. Throws MalformedBytes.
 */
export function decodeFrame(
  header: FrameHeader,
  stored: Uint8Array,
  roomFor: (rows: number) => Batch,
): Frame {
  const reader = new ByteReader(plainBody(header, stored));
  const definitions = decodeDefinitions(reader);
  const counts = decodeCounts(reader);
  const deadLetters = decodeDeadLetters(reader);
  if (header.rows * ROW_BYTES_MIN > reader.left) {
    throw new MalformedBytes("more rows than bytes", reader.offset);
  }
  const batch = roomFor(header.rows);
  assert(rowsMaxOf(batch) >= header.rows, "the batch has room for the frame's rows");
  decodeColumns(reader, batch, header.rows);
  if (reader.left > 0) throw new MalformedBytes("bytes after the end of the body", reader.offset);
  const { clock, clockTrusted } = header;
  return { clock, clockTrusted, definitions, counts, deadLetters, batch };
}

/** An older weir would take what it does not know for damage; so it is told that it is too old. */
function versionOf({ definitions }: Frame, kinds: number): number {
  if (definitions.some(({ kind }) => kind === "posted")) return FRAME_VERSION_POSTED;
  return (kinds & KIND_STORED) === 0 ? 1 : FRAME_VERSION_STORED;
}

function compress(body: Uint8Array): Uint8Array | undefined {
  if (body.length < COMPRESS_BYTES_MIN || body.length > COMPRESS_BYTES_MAX) return undefined;
  const params = { [zlib.ZSTD_c_compressionLevel]: ZSTD_LEVEL };
  // Output comes in one piece; the default piece of 16 KiB would be mostly waste, frame after frame.
  const chunkSize = Math.max(1_024, body.length >>> 1);
  const compressed = zstdCompressSync(body, { params, chunkSize });
  return compressed.length <= body.length * (7 / 8) ? compressed : undefined;
}

function plainBody(header: FrameHeader, stored: Uint8Array): Uint8Array {
  if (header.encoding === "plain") return stored;
  const body = decompress(stored, header.bodyBytes);
  if (body?.length !== header.bodyBytes) throw new MalformedBytes("a body of another length", 0);
  return body;
}

function decompress(stored: Uint8Array, bytesMax: number): Uint8Array | undefined {
  try {
    return zstdDecompressSync(stored, { maxOutputLength: Math.max(bytesMax, 1) });
  } catch {
    return undefined;
  }
}

// ---- definitions ----

/** On disk: never change or reuse a number. */
const definitionCodes = {
  source: 0,
  device: 1,
  series: 2,
  symbol: 3,
  config: 4,
  posted: 5,
} as const;

function encodeDefinitions(writer: ByteWriter, definitions: readonly Definition[]): void {
  writer.varint(definitions.length);
  for (const definition of definitions) {
    writer.u8(definitionCodes[definition.kind]);
    switch (definition.kind) {
      case "source":
        writer.varint(definition.id);
        writer.text(definition.name);
        break;
      case "device":
        writer.varint(definition.id);
        writer.varint(definition.source);
        encodeTags(writer, definition.tags);
        break;
      case "series":
        writer.varint(definition.id);
        writer.varint(definition.device);
        writer.text(definition.metric);
        break;
      case "symbol":
        writer.varint(definition.id);
        writer.text(definition.text);
        break;
      case "config":
        writer.text(definition.json);
        break;
      case "posted":
        writer.text(definition.key);
        writer.text(definition.digest);
        writer.f64(definition.at);
        writer.u8(definition.isWhole ? 1 : 0);
        writer.varint(definition.decoded);
        writer.varint(definition.deadLettered);
        writer.varint(definition.unwanted);
        break;
      default:
        unreachable(definition);
    }
  }
}

function decodeDefinitions(reader: ByteReader): readonly Definition[] {
  const count = reader.count(2);
  const definitions: Definition[] = [];
  for (let i = 0; i < count; i++) definitions.push(decodeDefinition(reader));
  return definitions;
}

function decodeDefinition(reader: ByteReader): Definition {
  const start = reader.offset;
  switch (reader.u8()) {
    case definitionCodes.source:
      return { kind: "source", id: sourceId(reader.varint()), name: reader.text() };
    case definitionCodes.device: {
      const id = deviceId(reader.varint());
      return { kind: "device", id, source: sourceId(reader.varint()), tags: decodeTags(reader) };
    }
    case definitionCodes.series: {
      const id = seriesId(reader.varint());
      return { kind: "series", id, device: deviceId(reader.varint()), metric: reader.text() };
    }
    case definitionCodes.symbol:
      return { kind: "symbol", id: symbolId(reader.varint()), text: reader.text() };
    case definitionCodes.config:
      return { kind: "config", json: reader.text() };
    case definitionCodes.posted:
      return {
        kind: "posted",
        key: reader.text(),
        digest: reader.text(),
        at: reader.f64(),
        isWhole: reader.u8() === 1,
        decoded: reader.varint(),
        deadLettered: reader.varint(),
        unwanted: reader.varint(),
      };
    default:
      throw new MalformedBytes("a definition of no known kind", start);
  }
}

function encodeTags(writer: ByteWriter, tags: Tags): void {
  writer.varint(tags.length);
  for (const [name, value] of tags) {
    writer.text(name);
    writer.text(value);
  }
}

function decodeTags(reader: ByteReader): Tags {
  const count = reader.count(2);
  const tags: (readonly [string, string])[] = [];
  for (let i = 0; i < count; i++) tags.push([reader.text(), reader.text()]);
  return tags;
}

// ---- counts and dead letters ----

function encodeCounts(writer: ByteWriter, { counts }: Frame): void {
  writer.varint(counts.length);
  for (const count of counts) {
    writer.varint(count.source);
    writer.varint(count.decoded);
    writer.varint(count.deadLettered);
    writer.varint(count.shed);
    writer.varint(count.rejected);
  }
}

function decodeCounts(reader: ByteReader): Frame["counts"] {
  const length = reader.count(5);
  return Array.from({ length }, () => ({
    source: sourceId(reader.varint()),
    decoded: reader.varint(),
    deadLettered: reader.varint(),
    shed: reader.varint(),
    rejected: reader.varint(),
  }));
}

/** On disk: the index is the code; append only. */
const reasons: readonly DeadLetterReason[] = [
  "json_invalid",
  "cbor_invalid",
  "number_invalid",
  "time_invalid",
  "time_missing",
  "shape_unsupported",
  "too_many_readings",
  "payload_too_large",
];

function encodeDeadLetters(writer: ByteWriter, letters: readonly DeadLetter[]): void {
  writer.varint(letters.length);
  for (const letter of letters) {
    const reason = reasons.indexOf(letter.reason);
    assert(reason >= 0, "every reason has a code");
    writer.varint(letter.source);
    writer.u8(reason);
    writer.f64(letter.arrived);
    writer.varint(letter.offset);
    writer.varint(letter.payloadBytes);
    writer.text(letter.topic);
    writer.blob(letter.payload);
  }
}

function decodeDeadLetters(reader: ByteReader): readonly DeadLetter[] {
  const length = reader.count(14);
  return Array.from({ length }, () => {
    const source = sourceId(reader.varint());
    const reason = reasons[reader.u8()];
    if (reason === undefined) throw new MalformedBytes("an unknown reason", reader.offset - 1);
    return {
      source,
      reason,
      arrived: millis(reader.f64()),
      offset: reader.varint(),
      payloadBytes: reader.varint(),
      topic: reader.text(),
      payload: reader.blob(),
    };
  });
}

// ---- columns ----

/** The kind bits that any row has. */
function encodeColumns(writer: ByteWriter, batch: Batch): number {
  const { rows } = batch;
  if (rows === 0) return 0;
  const { all, any } = kindsOf(batch.kind, rows);
  const hasKinds = all !== any;
  const hasSequence = (any & KIND_SEQUENCE) !== 0;
  writer.u8((hasKinds ? HAS_KIND_COLUMN : 0) | (hasSequence ? HAS_SEQUENCE_COLUMN : 0));
  writer.u8(all);
  writer.align(8);
  writer.copy(batch.time, rows * 8);
  writer.copy(batch.value, rows * 8);
  if (hasSequence) writer.copy(batch.sequence, rows * 8);
  writer.copy(batch.series, rows * 4);
  if (hasKinds) writer.copy(batch.kind, rows);
  return any;
}

function decodeColumns(reader: ByteReader, batch: Batch, rows: number): void {
  batch.rows = rows;
  if (rows === 0) return;
  const start = reader.offset;
  const flags = reader.u8();
  const kind = reader.u8();
  if (flags > (HAS_KIND_COLUMN | HAS_SEQUENCE_COLUMN)) {
    throw new MalformedBytes("unknown columns", start);
  }
  reader.align(8);
  reader.copyTo(batch.time, rows * 8);
  reader.copyTo(batch.value, rows * 8);
  if ((flags & HAS_SEQUENCE_COLUMN) !== 0) reader.copyTo(batch.sequence, rows * 8);
  else batch.sequence.fill(0, 0, rows);
  reader.copyTo(batch.series, rows * 4);
  if ((flags & HAS_KIND_COLUMN) !== 0) reader.copyTo(batch.kind, rows);
  else batch.kind.fill(kind, 0, rows);
  if (!isKind(kindsOf(batch.kind, rows).any & ~KIND_STORED))
    throw new MalformedBytes("an unknown kind", start);
}

/** The bits that all rows have and the bits that any row has. */
function kindsOf(kind: Uint8Array, rows: number): { readonly all: number; readonly any: number } {
  let all = 0xff;
  let any = 0;
  for (let i = 0; i < rows; i++) {
    const bits = kind[i]!;
    all &= bits;
    any |= bits;
  }
  return { all, any };
}
