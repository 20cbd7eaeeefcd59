/**
 * What does a reading take in a table, and what does it cost to write and read it? The store's column
 * and stamp codecs on recorded data, in blocks as tables have them, beside rivals in the same run.
 *
 * Bytes are those of a real table file with all the readings: values, stamps (once for the series of
 * a device), and the rest, which leads to them: directories, index, filter, footer. Speeds are those of
 * the codecs, without the file: million readings, times included, a second of CPU, the best of some
 * rounds after a first that only checks that every bit comes back. LMDB writes keys of one reading
 * each, in order of time, 1,000 to a commit.
 */

import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemDisk } from "../src/agent/doors/disk.ts";
import { ByteReader, ByteWriter } from "../src/core/bytes.ts";
import { limits } from "../src/core/limits.ts";
import { seriesId } from "../src/core/units.ts";
import { decodeColumn, encodeColumn } from "../src/store/tables/codec/column-codec.ts";
import { createRows, readings as readingsSection } from "../src/store/tables/rows.ts";
import { decodeStamps, encodeStamps } from "../src/store/tables/codec/stamp-codec.ts";
import { openTableWriter } from "../src/store/tables/file/table-writer.ts";
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
  readonly rest: number;
};

export type DatasetFigures = CodecFigures & {
  readonly gorilla: FormatFigures;
  readonly zstd_doubles: FormatFigures;
  readonly lmdb: LmdbFigures;
};

export type StoreResult = {
  readonly skab: DatasetFigures;
  /** `long_floats`: series of 15 to 17 digits, which the other figures leave out. */
  readonly nab: DatasetFigures & { readonly long_floats: CodecFigures };
};

export async function runStore(options: StoreOptions): Promise<StoreResult> {
  const nab = readNab();
  return rounded({
    skab: await measureDataset(readSkab(), options),
    nab: {
      ...(await measureDataset(nab.real, options)),
      long_floats: await measureTables(cutTo(nab.long, options), options.rounds),
    },
  });
}

async function measureDataset(
  recordings: readonly Recording[],
  options: StoreOptions,
): Promise<DatasetFigures> {
  const cut = cutTo(recordings, options);
  const blocks = blocksOf(cut, limits.tableBlockRowsMax);
  return {
    ...(await measureTables(cut, options.rounds)),
    gorilla: measureFormat(gorilla, blocks, options.rounds),
    zstd_doubles: measureFormat(zstdDoubles, blocks, options.rounds),
    lmdb: await measureLmdb(blocks, options.lmdbReadingsMax),
  };
}

function cutTo(recordings: readonly Recording[], { rowsMax }: StoreOptions): readonly Recording[] {
  return recordings.map(({ name, time, series }) => ({
    name,
    time: time.slice(0, rowsMax),
    series: series.map((values) => values.slice(0, rowsMax)),
  }));
}

async function measureTables(
  recordings: readonly Recording[],
  rounds: number,
): Promise<CodecFigures> {
  const blocks = blocksOf(recordings, limits.tableBlockRowsMax);
  const readings = readingsOf(blocks);
  const codecs = measureFormat(tables, blocks, rounds);
  const stamps = stampBytesOf(blocks) / readings;
  const bytes_per_reading = (await fileBytesOf(recordings)) / readings;
  return {
    ...codecs,
    bytes_per_reading,
    readings,
    values: codecs.bytes_per_reading - stamps,
    stamps,
    rest: bytes_per_reading - codecs.bytes_per_reading,
  };
}

/** Bytes of one table with all of the recordings, each a device. */
async function fileBytesOf(recordings: readonly Recording[]): Promise<number> {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-bench-"));
  const writer = await openTableWriter(systemDisk, { path: join(folder.path, "readings.tbl") });
  writer.beginSection(readingsSection);
  let id = 0;
  for (const { time, series } of recordings) {
    writer.beginDevice();
    for (const values of series) {
      const all = createRows(readingsSection, time.length);
      all.rows = time.length;
      all.time.set(time);
      all.columns[0]!.set(values);
      writer.add(seriesId(id++), all);
    }
    await writer.drain();
  }
  return (await writer.finish()).bytes;
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
    const { values, stamps, rest } = figures;
    lines.push(
      `${name}, ${figures.readings} readings`,
      lineOf("tables", figures),
      `    values ${values}, stamps ${stamps}, rest ${rest}`,
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
