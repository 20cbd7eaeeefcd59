/**
 * Recorded readings for the store benchmark, from the folder of test data (test/support):
 *
 *   skab   a pump rig: 8 sensors at 1 Hz for five hours, some seconds missing (valve1, 16 files one
 *          after the other): one device whose series share their stamps
 *   nab    47 series of servers, traffic, tweets, advertisements and machines, every 5 minutes to an
 *          hour: each a device by itself. Series in which more than one value in twenty has 15
 *          digits or more, results of binary arithmetic such as 51.846000000000004, stand apart
 */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { findData } from "../test/support/require-tool.ts";

/** Series with common stamps: `time` in Millis, ascending; of each series one value per time. */
export type Recording = {
  readonly name: string;
  readonly time: Float64Array;
  readonly series: readonly Float64Array[];
};

const skabFolder = "skab/data/valve1";
const skabSensors = 8;
const nabFolder = "nab/data";
const longDigits = 15;
const longShareMax = 0.05;

export function readSkab(): readonly Recording[] {
  const folder = folderOf(skabFolder);
  const rows = readdirSync(folder)
    .filter((file) => file.endsWith(".csv"))
    .flatMap((file) => rowsOf(join(folder, file), ";"));
  return [recordingOf("skab valve1", rows, skabSensors)];
}

export function readNab(): {
  readonly real: readonly Recording[];
  readonly long: readonly Recording[];
} {
  const folder = folderOf(nabFolder);
  const recordings = readdirSync(folder)
    .filter((group) => group.startsWith("real"))
    .toSorted()
    .flatMap((group) =>
      readdirSync(join(folder, group))
        .toSorted()
        .map((file) => recordingOf(file, rowsOf(join(folder, group, file), ","), 1)),
    );
  return {
    real: recordings.filter((recording) => !isLong(recording)),
    long: recordings.filter(isLong),
  };
}

function folderOf(relativePath: string): string {
  const folder = findData(relativePath);
  if (folder !== undefined) return folder;
  throw new Error(`the data ${relativePath} is not here; set WEIR_TEST_DATA to its folder`);
}

/** Cells of a CSV file without its head. */
function rowsOf(path: string, separator: string): readonly (readonly string[])[] {
  const lines = readFileSync(path, "utf8").trim().split("\n").slice(1);
  return lines.map((line) => line.split(separator));
}

function recordingOf(
  name: string,
  rows: readonly (readonly string[])[],
  sensors: number,
): Recording {
  const timed = rows
    .map((row) => ({ row, time: Date.parse(`${row[0]!.slice(0, 19).replace(" ", "T")}Z`) }))
    .toSorted((a, b) => a.time - b.time);
  return {
    name,
    time: Float64Array.from(timed, ({ time }) => time),
    series: Array.from({ length: sensors }, (_, i) =>
      Float64Array.from(timed, ({ row }) => Number(row[i + 1])),
    ),
  };
}

function isLong({ series }: Recording): boolean {
  const values = series.flatMap((column) => [...column]);
  const digitsOf = (value: number): number => String(value).replace(/e.*|^[-0.]+|[.]/g, "").length;
  return values.filter((v) => digitsOf(v) >= longDigits).length > values.length * longShareMax;
}
