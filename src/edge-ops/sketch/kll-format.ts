/**
 * A KLL sketch as Apache DataSketches stores one of doubles, compact (`KllPreambleUtil` of
 * datasketches-java, serial versions 1 and 2), which Druid, Spark, BigQuery and others read. Little-endian.
 *
 *   0   u8   preamble: 2 where it is empty or of one reading, else 5
 *   1   u8   serial version: 2 of one reading, else 1
 *   2   u8   family: 15
 *   3   u8   flags: 1 empty, 2 level 0 is sorted, 4 one reading
 *   4   u16  K
 *   6   u8   M, then 0
 *   8   f64  the reading, where it is one; else
 *   8   u64  readings
 *   16  u16  least K of what was merged
 *   18  u8   levels, then 0
 *   20  u32  where each level begins in a full array of items, level 0 first
 *       f64  smallest and greatest reading
 *       f64  the items, level 0 first
 */

import { KLL_K, KLL_LEVELS_MAX, KLL_M, type Kll, kllCapacity } from "./kll.ts";

const SHORT_PREAMBLE = 2;
const LONG_PREAMBLE = 5;
const FAMILY = 15;
const FLAG_EMPTY = 1;
const FLAG_SORTED = 2;
const FLAG_ONE = 4;
const SHORT_BYTES = 8;
const LONG_BYTES = 20;

/** The sketch as a new buffer. It is sorted by this; the same readings in the same order are the same bytes. */
export function encodeKll(sketch: Kll): Uint8Array {
  sketch.sort();
  const { count, levels, sizes, size } = sketch;
  if (count === 0) return headOf(SHORT_BYTES, [SHORT_PREAMBLE, 1, FLAG_EMPTY]).bytes;
  if (count === 1) {
    const { bytes, view } = headOf(SHORT_BYTES + 8, [SHORT_PREAMBLE, 2, FLAG_ONE]);
    view.setFloat64(SHORT_BYTES, sketch.items[0]!, true);
    return bytes;
  }
  const { bytes, view } = headOf(LONG_BYTES + 4 * levels + 8 * (2 + size), [
    LONG_PREAMBLE,
    1,
    FLAG_SORTED,
  ]);
  view.setBigUint64(8, BigInt(count), true);
  view.setUint16(16, KLL_K, true);
  view.setUint8(18, levels);
  let begins = kllCapacity(levels) - size;
  let at = LONG_BYTES;
  for (let level = 0; level < levels; level++, at += 4) {
    view.setUint32(at, begins, true);
    begins += sizes[level]!;
  }
  view.setFloat64(at, sketch.min, true);
  view.setFloat64(at + 8, sketch.max, true);
  at += 16;
  let end = size;
  for (let level = 0; level < levels; level++) {
    const start = end - sizes[level]!;
    for (let item = start; item < end; item++, at += 8) {
      view.setFloat64(at, sketch.items[item]!, true);
    }
    end = start;
  }
  return bytes;
}

function headOf(length: number, [preamble, version, flags]: readonly [number, number, number]) {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  bytes.set([preamble, version, FAMILY, flags]);
  view.setUint16(4, KLL_K, true);
  view.setUint8(6, KLL_M);
  return { bytes, view };
}

/**
 * Reads one that any of the DataSketches libraries wrote into `sketch`; false, and the sketch empty, where
 * the bytes are none, or of another K or M.
 */
export function decodeKll(bytes: Uint8Array, sketch: Kll): boolean {
  sketch.clear();
  if (!isHead(bytes)) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [preamble, version, , flags] = bytes;
  if (preamble === SHORT_PREAMBLE) {
    if ((flags! & FLAG_EMPTY) !== 0) return version === 1 && bytes.length === SHORT_BYTES;
    if ((flags! & FLAG_ONE) === 0 || version !== 2 || bytes.length !== SHORT_BYTES + 8)
      return false;
    const value = view.getFloat64(SHORT_BYTES, true);
    if (Number.isFinite(value)) sketch.add(value);
    return Number.isFinite(value);
  }
  if (preamble === LONG_PREAMBLE && version === 1 && readLong(view, sketch)) {
    if ((flags! & FLAG_SORTED) === 0) sketch.sort();
    if (isSound(sketch)) return true;
  }
  sketch.clear();
  return false;
}

function isHead(bytes: Uint8Array): boolean {
  if (bytes.length < SHORT_BYTES || bytes[2] !== FAMILY) return false;
  return bytes[4]! + bytes[5]! * 256 === KLL_K && bytes[6] === KLL_M;
}

function readLong(view: DataView, sketch: Kll): boolean {
  if (view.byteLength < LONG_BYTES) return false;
  const levels = view.getUint8(18);
  const itemsFrom = LONG_BYTES + 4 * levels + 16;
  // One level less than there is room for: the sketch may be merged into one that needs another.
  if (levels === 0 || levels >= KLL_LEVELS_MAX || view.byteLength < itemsFrom) return false;
  const size = (view.byteLength - itemsFrom) / 8;
  const capacity = kllCapacity(levels);
  if (view.getUint16(16, true) !== KLL_K || !Number.isInteger(size) || size > capacity)
    return false;
  let begins = view.getUint32(LONG_BYTES, true);
  if (begins !== capacity - size) return false;
  let at = itemsFrom;
  let end = size;
  for (let level = 0; level < levels; level++) {
    const isTop = level === levels - 1;
    const next = isTop ? capacity : view.getUint32(LONG_BYTES + 4 * (level + 1), true);
    const items = next - begins;
    if (items < 0 || items > end) return false;
    sketch.sizes[level] = items;
    for (let item = end - items; item < end; item++, at += 8) {
      sketch.items[item] = view.getFloat64(at, true);
    }
    end -= items;
    begins = next;
  }
  sketch.count = Number(view.getBigUint64(8, true));
  sketch.min = view.getFloat64(itemsFrom - 16, true);
  sketch.max = view.getFloat64(itemsFrom - 8, true);
  sketch.levels = levels;
  sketch.size = size;
  return true;
}

const { isFinite } = Number;

/** Its items stand for its readings, lie between the smallest and the greatest, and each level ascends. */
function isSound({ count, min, max, levels, sizes, items, size }: Kll): boolean {
  let readings = 0;
  let item = 0;
  for (let level = levels - 1; level >= 0; level--) {
    let before = min;
    for (const end = item + sizes[level]!; item < end; item++) {
      const value = items[item]!;
      if (!(value >= before && value <= max)) return false;
      before = value;
    }
    readings += sizes[level]! * 2 ** level;
  }
  return count > 0 && item === size && readings === count && isFinite(min) && isFinite(max);
}
