/**
 * What does a reading take in a table, and what does it cost to write and read it? The store's column
 * and stamp codecs on recorded data, in blocks as tables have them, beside rivals in the same run.
 *
 * Bytes are those of values, of stamps (once for the series of a device) and of the directory, which
 * is not written here but counted at `directory_bytes_per_block`. Speeds are million readings, times
 * included, a second of CPU: the best of some rounds after a first that only checks that every bit
 * comes back. LMDB writes keys of one reading each, in order of time, 1,000 to a commit.
 */

import { ByteReader, ByteWriter } from "../src/core/bytes.ts";
import { limits } from "../src/core/limits.ts";
import { decodeColumn, encodeColumn } from "../src/store/tables/column-codec.ts";
import { createRows, readings as readingsSection } from "../src/store/tables/rows.ts";
import { decodeStamps, encodeStamps } from "../src/store/tables/stamp-codec.ts";
import {
  type Block,
  blocksOf,
  type Format,
  type FormatFigures,
  measureFormat,
  readingsOf,
} from "./store-blocks.ts";
import { type Recording, readNab, readSkab } from "./store-recordings.ts";
import { gorilla, type LmdbFigures, measureLmdb, zstdDoubles } from "./store-rivals.ts";

export type StoreOptions = {
  /** Measured rounds of each format. */
  readonly rounds: number;
  /** Rows of each recording, at most. */
  readonly rowsMax: number;
  /** Readings that LMDB is given. */
  readonly lmdbReadingsMax: number;
};

export const defaults: StoreOptions = { rounds: 15, rowsMax: Infinity, lmdbReadingsMax: 100_000 };
export const tinyOptions: StoreOptions = { rounds: 1, rowsMax: 200, lmdbReadingsMax: 500 };

export type CodecFigures = FormatFigures & {
  readonly readings: number;
  /** Parts of `bytes_per_reading`. */
  readonly values: number;
  readonly stamps: number;
  readonly directory: number;
};

export type DatasetFigures = CodecFigures & {
  readonly gorilla: FormatFigures;
  readonly zstd_doubles: FormatFigures;
  readonly lmdb: LmdbFigures;
};

export type StoreResult = {
  readonly directory_bytes_per_block: number;
  readonly skab: DatasetFigures;
  /** `long_floats`: series of 15 to 17 digits, which the other figures leave out. */
  readonly nab: DatasetFigures & { readonly long_floats: CodecFigures };
};

/** A block's entry in the directory of its series. */
const directoryBytes = 45;

export async function runStore(options: StoreOptions): Promise<StoreResult> {
  const nab = readNab();
  return rounded({
    directory_bytes_per_block: directoryBytes,
    skab: await measureDataset(readSkab(), options),
    nab: {
      ...(await measureDataset(nab.real, options)),
      long_floats: measureTables(blocksFor(nab.long, options), options.rounds),
    },
  });
}

async function measureDataset(
  recordings: readonly Recording[],
  options: StoreOptions,
): Promise<DatasetFigures> {
  const blocks = blocksFor(recordings, options);
  return {
    ...measureTables(blocks, options.rounds),
    gorilla: measureFormat(gorilla, blocks, options.rounds),
    zstd_doubles: measureFormat(zstdDoubles, blocks, options.rounds),
    lmdb: await measureLmdb(blocks, options.lmdbReadingsMax),
  };
}

function blocksFor(recordings: readonly Recording[], { rowsMax }: StoreOptions): readonly Block[] {
  const cut = recordings.map(({ name, time, series }) => ({
    name,
    time: time.slice(0, rowsMax),
    series: series.map((values) => values.slice(0, rowsMax)),
  }));
  return blocksOf(cut, limits.tableBlockRowsMax);
}

function measureTables(blocks: readonly Block[], rounds: number): CodecFigures {
  const readings = readingsOf(blocks);
  const both = measureFormat(tables, blocks, rounds);
  const stamps = stampBytesOf(blocks) / readings;
  const directory =
    (blocks.reduce((sum, { series }) => sum + series.length, 0) * directoryBytes) / readings;
  return {
    ...both,
    bytes_per_reading: both.bytes_per_reading + directory,
    readings,
    values: both.bytes_per_reading - stamps,
    stamps,
    directory,
  };
}

function stampBytesOf(blocks: readonly Block[]): number {
  const writer = new ByteWriter({ bytes: 1 << 16, bytesMax: 1 << 20 });
  let bytes = 0;
  for (const block of blocks) {
    writer.moveTo(0);
    tables.encode(writer, { ...block, series: [] });
    bytes += writer.length;
  }
  return bytes;
}

const rows = createRows(readingsSection);

/** The store's own: stamps once, then a column of each series. */
const tables: Format = {
  encode(writer, block) {
    rows.time.set(block.time);
    encodeStamps(writer, rows, block.rows);
    for (const values of block.series) encodeColumn(writer, values, block.rows);
  },
  decode(bytes, shape, onColumn) {
    const reader = new ByteReader(bytes);
    decodeStamps(reader, rows, shape.rows);
    const [values] = rows.columns;
    for (let i = 0; i < shape.seriesCount; i++) {
      decodeColumn(reader, values!, shape.rows);
      onColumn(rows.time, values!);
    }
  },
};

/** The figures as a small table. */
export function textOf(result: StoreResult): string {
  const lines: string[] = [];
  for (const name of ["skab", "nab"] as const) {
    const figures = result[name];
    const { values, stamps, directory } = figures;
    lines.push(
      `${name}, ${figures.readings} readings`,
      lineOf("tables", figures),
      `    values ${values}, stamps ${stamps}, directory ${directory}`,
      lineOf("gorilla", figures.gorilla),
      lineOf("zstd over doubles", figures.zstd_doubles),
      `  ${"LMDB".padEnd(18)} ${figures.lmdb.bytes_per_reading} B  write ${figures.lmdb.write_mps}`,
    );
  }
  lines.push(lineOf("nab, long floats", result.nab.long_floats));
  return [...lines, "", "bytes per reading; million readings a second of CPU"].join("\n");
}

function lineOf(name: string, figures: FormatFigures): string {
  const { bytes_per_reading, encode_mps, decode_mps } = figures;
  return `  ${name.padEnd(18)} ${bytes_per_reading} B  encode ${encode_mps}  decode ${decode_mps}`;
}

/** Every figure to three digits after the point. */
function rounded<Figures>(figures: Figures): Figures {
  return JSON.parse(JSON.stringify(figures), (_key, value: unknown) =>
    typeof value === "number" ? Math.round(value * 1_000) / 1_000 : value,
  );
}
