/** A log on a disk that fails as told, and what tests do with it. */

import assert from "node:assert/strict";
import { Fault } from "../../src/core/faults.ts";
import type { Position } from "../../src/core/units.ts";
import { FRAME_HEADER_BYTES } from "../../src/store/log/frame-header.ts";
import { type Log, type LogDamage, type LogOptions, openLog } from "../../src/store/log/log.ts";
import { SEGMENT_HEADER_BYTES } from "../../src/store/log/log-segment.ts";
import { FaultDisk } from "./fault-disk.ts";
import { numberedFrame } from "./frames.ts";
import { seededRandom } from "./seeded-random.ts";

export const SEGMENT_BYTES: number = 64 * 1024;
export const UNHARMED: LogDamage = { tornBytes: 0, lostPositions: 0, lostRows: 0, places: [] };

export function newDisk(seed = 1): FaultDisk {
  return new FaultDisk(seededRandom(seed));
}

export type Opened = { readonly log: Log; readonly damage: LogDamage };

export function open(
  disk: FaultDisk,
  seed = 2,
  more: { readonly endMin?: Position } = {},
): Promise<Opened> {
  return openLog(disk.mount(), { ...optionsOf(seed), ...more });
}

export function optionsOf(seed: number): LogOptions {
  return {
    directory: "/log",
    segmentBytes: SEGMENT_BYTES,
    bytesMax: 8 * SEGMENT_BYTES,
    random: seededRandom(seed),
  };
}

/** A process that ends without closing, and its successor. */
export async function reopen(disk: FaultDisk, seed = 3): Promise<Opened> {
  disk.kill();
  return await open(disk, seed);
}

export type Read = { readonly at: number; readonly tag: number; readonly rows: number };

export async function readAll(log: Log, from: Position = log.start): Promise<readonly Read[]> {
  const read: Read[] = [];
  await log.read(from, ({ clock, batch }, at) => {
    read.push({ at, tag: clock, rows: batch.rows });
  });
  return read;
}

export const tagsOf = (read: readonly Read[]): readonly number[] => read.map(({ tag }) => tag);

export async function appendNumbered(log: Log, tags: readonly number[], rows = 10): Promise<void> {
  for (const tag of tags) await log.append(numberedFrame(tag, rows));
}

/** Where the frames of the first segment begin, and where the last ends. */
export async function offsetsOf(disk: FaultDisk, count: number): Promise<readonly number[]> {
  const bytes = Buffer.from(disk.peek("/log/log-0000000001.seg"));
  const offsets: number[] = [];
  let at = SEGMENT_HEADER_BYTES;
  for (let i = 0; i < count; i++) {
    offsets.push(at);
    at += FRAME_HEADER_BYTES + Math.ceil(bytes.readUInt32LE(at + 52) / 8) * 8;
  }
  return [...offsets, at];
}

export function flip(disk: FaultDisk, offset: number, path = "/log/log-0000000001.seg"): void {
  disk.poke(path, offset, Uint8Array.of(disk.peek(path)[offset]! ^ 0x10));
}

export async function rejectsWith(promise: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(promise, (error) => error instanceof Fault && error.code === code);
}

/** Appends frames of 900 rows until the log holds so many bytes; how many. */
export async function fill(log: Log, bytes: number): Promise<number> {
  for (let tag = 0; ; tag++) {
    if (log.bytes >= bytes) return tag;
    await log.append(numberedFrame(tag, 900));
  }
}
