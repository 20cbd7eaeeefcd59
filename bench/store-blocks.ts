/**
 * What the store benchmark measures: ways to write blocks of at most 1,024 readings and read them
 * back, each on the same blocks. A block is the stamps of one device and the values of its series.
 */

import { deepStrictEqual } from "node:assert";
import { ByteWriter } from "../src/core/bytes.ts";
import type { Recording } from "./store-recordings.ts";

export type Block = {
  readonly rows: number;
  readonly time: Float64Array;
  readonly series: readonly Float64Array[];
};

export type Format = {
  /** The bytes of a block, `writer` being empty. */
  readonly encode: (writer: ByteWriter, block: Block) => void;
  /** Calls `onColumn` for each series in turn, with times and values that stand until it returns. */
  readonly decode: (bytes: Uint8Array, shape: Shape, onColumn: OnColumn) => void;
};

/** What is known of a block without its bytes. */
export type Shape = { readonly rows: number; readonly seriesCount: number };
export type OnColumn = (time: Float64Array, values: Float64Array) => void;

export type FormatFigures = {
  readonly bytes_per_reading: number;
  /** Million readings, with their times, a second of CPU. */
  readonly encode_mps: number;
  readonly decode_mps: number;
};

const bytesMax = 1 << 20;

export function blocksOf(recordings: readonly Recording[], rowsMax: number): readonly Block[] {
  return recordings.flatMap(({ time, series }) =>
    Array.from({ length: Math.ceil(time.length / rowsMax) }, (_, i) => {
      const [from, to] = [i * rowsMax, Math.min((i + 1) * rowsMax, time.length)];
      return {
        rows: to - from,
        time: time.slice(from, to),
        series: series.map((values) => values.slice(from, to)),
      };
    }),
  );
}

export function readingsOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { rows, series }) => sum + rows * series.length, 0);
}

/** Checks that every block comes back bit by bit, then takes the best of `rounds`. */
export function measureFormat(
  format: Format,
  blocks: readonly Block[],
  rounds: number,
): FormatFigures {
  const writer = new ByteWriter({ bytes: bytesMax, bytesMax });
  const encoded = blocks.map((block) => {
    writer.moveTo(0);
    format.encode(writer, block);
    return { block, bytes: writer.slice(0, writer.length).slice() };
  });
  for (const { block, bytes } of encoded) check(format, block, bytes);
  let encodeMicros = Infinity;
  let decodeMicros = Infinity;
  for (let round = 0; round < rounds; round++) {
    const encoding = cpuMicros(() => {
      for (const block of blocks) {
        writer.moveTo(0);
        format.encode(writer, block);
      }
    });
    const decoding = cpuMicros(() => {
      for (const { block, bytes } of encoded) format.decode(bytes, shapeOf(block), ignore);
    });
    encodeMicros = Math.min(encodeMicros, encoding);
    decodeMicros = Math.min(decodeMicros, decoding);
  }
  const readings = readingsOf(blocks);
  return {
    bytes_per_reading: encoded.reduce((sum, { bytes }) => sum + bytes.length, 0) / readings,
    encode_mps: readings / encodeMicros,
    decode_mps: readings / decodeMicros,
  };
}

function shapeOf({ rows, series }: Block): Shape {
  return { rows, seriesCount: series.length };
}

function ignore(): void {
  // what is decoded is measured, not looked at
}

function check(format: Format, block: Block, bytes: Uint8Array): void {
  let column = 0;
  format.decode(bytes, shapeOf(block), (time, values) => {
    deepStrictEqual(bitsOf(time, block.rows), bitsOf(block.time, block.rows));
    deepStrictEqual(bitsOf(values, block.rows), bitsOf(block.series[column++]!, block.rows));
  });
  deepStrictEqual(column, block.series.length);
}

function bitsOf(values: Float64Array, rows: number): BigUint64Array {
  return new BigUint64Array(values.buffer, values.byteOffset, rows);
}

function cpuMicros(run: () => void): number {
  const before = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}
