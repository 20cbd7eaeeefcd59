import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FaultDisk } from "../../test/support/fault-disk.ts";
import { anyFrame, numberedFrame, plainFrame } from "../../test/support/frames.ts";
import { seededRandom } from "../../test/support/seeded-random.ts";
import { Fault } from "../core/faults.ts";
import type { DeadLetter, Frame } from "../core/frame.ts";
import { millis, type Position, position, sourceId } from "../core/units.ts";
import { FRAME_HEADER_BYTES } from "./frame-header.ts";
import { type Log, type LogDamage, openLog } from "./log.ts";
import { SEGMENT_HEADER_BYTES } from "./log-segment.ts";

const SEGMENT_BYTES = 64 * 1024;
const UNHARMED: LogDamage = { tornBytes: 0, lostPositions: 0, lostRows: 0, places: [] };

function newDisk(seed = 1): FaultDisk {
  return new FaultDisk(seededRandom(seed));
}

type Open = { readonly log: Log; readonly damage: LogDamage };

function open(disk: FaultDisk, seed = 2, more: { readonly endMin?: Position } = {}): Promise<Open> {
  return openLog(disk.mount(), {
    directory: "/log",
    segmentBytes: SEGMENT_BYTES,
    bytesMax: 8 * SEGMENT_BYTES,
    random: seededRandom(seed),
    ...more,
  });
}

/** A process that ends without closing, and its successor. */
async function reopen(disk: FaultDisk, seed = 3): Promise<Open> {
  disk.kill();
  return await open(disk, seed);
}

type Read = { readonly at: number; readonly tag: number; readonly rows: number };

async function readAll(log: Log, from: Position = log.start): Promise<readonly Read[]> {
  const read: Read[] = [];
  await log.read(from, ({ clock, batch }, at) => {
    read.push({ at, tag: clock, rows: batch.rows });
  });
  return read;
}

const tagsOf = (read: readonly Read[]): readonly number[] => read.map(({ tag }) => tag);

async function appendNumbered(log: Log, tags: readonly number[], rows = 10): Promise<void> {
  for (const tag of tags) await log.append(numberedFrame(tag, rows));
}

/** Where the frames of the first segment begin, and where the last ends. */
async function offsetsOf(disk: FaultDisk, count: number): Promise<readonly number[]> {
  const bytes = Buffer.from(disk.peek("/log/log-0000000001.seg"));
  const offsets: number[] = [];
  let at = SEGMENT_HEADER_BYTES;
  for (let i = 0; i < count; i++) {
    offsets.push(at);
    at += FRAME_HEADER_BYTES + Math.ceil(bytes.readUInt32LE(at + 52) / 8) * 8;
  }
  return [...offsets, at];
}

function flip(disk: FaultDisk, offset: number, path = "/log/log-0000000001.seg"): void {
  disk.poke(path, offset, Uint8Array.of(disk.peek(path)[offset]! ^ 0x10));
}

async function rejectsWith(promise: Promise<unknown>, code: string): Promise<void> {
  await assert.rejects(promise, (error) => error instanceof Fault && error.code === code);
}

test("frames of every shape are read back after reopening, at gapless positions", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyFrame, { maxLength: 8 }), async (frames) => {
      const disk = newDisk();
      const { log } = await open(disk);
      let end = 0;
      for (const frame of frames) {
        assert.equal(await log.append(frame), end);
        end += frame.batch.rows + 1;
      }
      const { log: again, damage } = await reopen(disk);
      assert.deepEqual(damage, UNHARMED);
      assert.equal(again.end, end);
      const read: unknown[] = [];
      await again.read(again.start, (frame) => read.push(plainFrame(frame)));
      assert.deepEqual(read, frames.map(plainFrame));
    }),
    { numRuns: 60 },
  );
});

test("a frame's buffers may be reused as soon as append has returned its promise", async () => {
  const { log } = await open(newDisk());
  const frame = numberedFrame(1, 10);
  const appended = log.append(frame);
  frame.batch.value.fill(0);
  await appended;
  let values: readonly number[] = [];
  await log.read(log.start, ({ batch }) => {
    values = [...batch.value.subarray(0, batch.rows)];
  });
  assert.deepEqual(values, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test("reading begins with the frame that holds the position", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  const tags = Array.from({ length: 400 }, (_, tag) => tag);
  await appendNumbered(log, tags, 30);
  for (const reopened of [false, true]) {
    const reader = reopened ? (await reopen(disk)).log : log;
    for (const from of [0, 30, 31, 5_000, 12_399]) {
      const read = await readAll(reader, position(from));
      assert.deepEqual(tagsOf(read), tags.slice(Math.floor(from / 31)));
    }
    assert.deepEqual(await readAll(reader, reader.end), []);
  }
});

test("bytesSince is the log behind a position, to within a mark", async () => {
  const { log } = await open(newDisk());
  await appendNumbered(log, [1, 2, 3]);
  const before = { at: log.end, bytes: log.bytes };
  assert.equal(log.bytesSince(position(0)), log.bytes);
  for (let i = 0; i < 500; i++) await log.append(numberedFrame(0.1 * i, 40));
  const grown = log.bytes - before.bytes;
  const since = log.bytesSince(before.at);
  assert(since >= grown - 8 * SEGMENT_HEADER_BYTES && since <= grown + 64 * 1024);
  assert.equal(log.bytesSince(log.end), 0);
});

test("a torn last frame is ignored and cut, wherever it was torn", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1, 2, 3], 3);
  const [, , start = 0, end = 0] = await offsetsOf(disk, 3);
  const whole = disk.peek("/log/log-0000000001.seg").slice(start, end);
  const lastByte = whole.findLastIndex((byte) => byte !== 0);
  for (let length = 0; length <= lastByte; length++) {
    const torn = new Uint8Array(whole.length);
    torn.set(whole.subarray(0, length));
    disk.poke("/log/log-0000000001.seg", start, torn);
    const { log: again, damage } = await reopen(disk);
    assert.deepEqual(tagsOf(await readAll(again)), [1, 2]);
    assert.equal(again.end, 8);
    assert.deepEqual({ ...damage, tornBytes: 0 }, UNHARMED);
    assert.equal(damage.tornBytes > 0, length >= 16, `torn after ${length} bytes`);
    assert(
      disk
        .peek("/log/log-0000000001.seg")
        .subarray(start)
        .every((byte) => byte === 0),
    );
    await again.close();
  }
  const { log: again } = await reopen(disk);
  await appendNumbered(again, [4]);
  assert.deepEqual(tagsOf(await readAll((await reopen(disk)).log)), [1, 2, 4]);
});

test("a flipped bit in an older frame costs that frame and is counted", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1, 2, 3, 4], 2);
  const [, from = 0, to = 0] = await offsetsOf(disk, 4);
  const used = 64 + 8 + 2 * 20;
  for (let offset = from; offset < Math.min(to, from + used); offset++) {
    flip(disk, offset);
    const { log: again, damage } = await reopen(disk);
    assert.deepEqual(tagsOf(await readAll(again)), [1, 3, 4], `flipped at ${offset - from}`);
    assert.deepEqual(
      { ...damage, places: [] },
      { tornBytes: 0, lostPositions: 3, lostRows: 2, places: [] },
    );
    assert.match(damage.places[0] ?? "", new RegExp(`log-0000000001.seg: damaged .* at ${from}`));
    assert.equal(again.end, 12);
    flip(disk, offset);
    await again.close();
  }
});

test("the log serves on behind damage", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1, 2, 3, 4]);
  const [, second = 0] = await offsetsOf(disk, 4);
  flip(disk, second + 20);
  const { log: again } = await reopen(disk);
  await appendNumbered(again, [5]);
  assert.deepEqual(tagsOf(await readAll(again)), [1, 3, 4, 5]);
  assert.deepEqual(tagsOf(await readAll(again, position(25))), [3, 4, 5]);
  const { log: third, damage } = await reopen(disk);
  assert.deepEqual(tagsOf(await readAll(third)), [1, 3, 4, 5]);
  assert.equal(damage.lostPositions, 11);
});

test("damage at the end of a segment is proven by the next one", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  const count = await fill(log, 2.5 * SEGMENT_BYTES);
  const bytes = Buffer.from(disk.peek("/log/log-0000000001.seg"));
  flip(disk, bytes.lastIndexOf("WFRM") + 5);
  const { log: again, damage } = await reopen(disk);
  assert.equal((await readAll(again)).length, count - 1);
  assert.equal(damage.lostPositions, 901);
  assert.equal(damage.lostRows, 900);
});

/** Appends frames of 900 rows until the log holds so many bytes; how many. */
async function fill(log: Log, bytes: number): Promise<number> {
  for (let tag = 0; ; tag++) {
    if (log.bytes >= bytes) return tag;
    await log.append(numberedFrame(tag, 900));
  }
}

test("one damaged copy of a segment's header costs nothing", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1, 2]);
  flip(disk, 17);
  const { log: again, damage } = await reopen(disk);
  assert.deepEqual(damage, UNHARMED);
  assert.deepEqual(tagsOf(await readAll(again)), [1, 2]);
});

test("a segment with both headers damaged is counted, named and kept apart", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  const count = await fill(log, 2.5 * SEGMENT_BYTES);
  const second = "/log/log-0000000002.seg";
  flip(disk, 17, second);
  flip(disk, 2048 + 17, second);
  const { log: again, damage } = await reopen(disk);
  const kept = await readAll(again);
  assert(kept.length < count);
  assert.equal(kept.length * 901 + damage.lostPositions, count * 901);
  assert(damage.places.some((place) => place.startsWith(second)));
  await appendNumbered(again, [count], 900);
  await again.release(again.end);
  assert(!disk.paths().includes(second));
});

test("a recycled segment's old frames never come back", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const disk = newDisk(seed);
    let { log } = await open(disk, seed);
    for (let tag = 0; tag < 60; tag++) {
      await log.append(numberedFrame(tag, 100 + ((tag * seed) % 700)));
      if (tag % 7 === 0) await log.release(log.end);
      if (tag % 11 !== 0) continue;
      const before = await readAll(log);
      if (tag % 2 === 0) disk.kill();
      else disk.crash();
      const opened = await open(disk, seed + tag);
      log = opened.log;
      assert.deepEqual(opened.damage, UNHARMED);
      const after = await readAll(log);
      assert.deepEqual(after.slice(-before.length), before);
    }
  }
});

test("a frame that a payload carries inside is never taken for one", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1, 2], 2);
  const [first = 0, second = 0, end = 0] = await offsetsOf(disk, 2);
  const bytes = disk.peek("/log/log-0000000001.seg");
  const payload = bytes.slice(first, end);
  const carrier: Frame = {
    ...numberedFrame(3, 2),
    deadLetters: [0, 1, 2, 3, 4, 5, 6, 7].map((shift) => letterOf(payload, shift)),
  };
  await log.append(carrier);
  await appendNumbered(log, [4]);
  flip(disk, end + 4);
  const { log: again, damage } = await reopen(disk);
  assert.deepEqual(tagsOf(await readAll(again)), [1, 2, 4]);
  assert.equal(damage.lostPositions, 3);
  flip(disk, end + 4);
  flip(disk, second);
  assert.deepEqual(tagsOf(await readAll((await reopen(disk)).log)), [1, 3, 4]);
});

/** Noise keeps the body from being compressed, so the frames inside stand there as they are. */
function letterOf(payload: Uint8Array, shift: number): DeadLetter {
  const random = seededRandom(shift);
  const noise = Uint8Array.from({ length: 3_000 + shift }, () => random.uint32());
  return {
    source: sourceId(0),
    topic: "t",
    arrived: millis(0),
    reason: "json_invalid",
    offset: 0,
    payload: Buffer.concat([noise, payload]),
    payloadBytes: payload.length,
  };
}

test("what another log left in a file is never taken for a frame", async () => {
  const other = newDisk();
  const { log: elsewhere } = await open(other, 77, { endMin: position(1_000_000) });
  await appendNumbered(elsewhere, [9], 2);
  const [foreignAt = 0, foreignEnd = 0] = await offsetsOf(other, 1);
  const foreign = other.peek("/log/log-0000000001.seg").slice(foreignAt, foreignEnd);
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1, 2], 2);
  const [, , end = 0] = await offsetsOf(disk, 2);
  for (const gap of [0, 64, 4096]) disk.poke("/log/log-0000000001.seg", end + gap, foreign);
  const { log: again, damage } = await reopen(disk);
  assert.deepEqual(damage, UNHARMED);
  assert.deepEqual(tagsOf(await readAll(again)), [1, 2]);
});

test("a frame that continues another one at the same position is never taken", async () => {
  const [disk, other] = [newDisk(), newDisk()];
  const { log } = await open(disk, 5);
  const { log: twin } = await open(other, 5);
  await appendNumbered(log, [1], 2);
  await appendNumbered(twin, [8, 9], 2);
  const [, second = 0, end = 0] = await offsetsOf(other, 2);
  const continuation = other.peek("/log/log-0000000001.seg").slice(second, end);
  disk.poke("/log/log-0000000001.seg", second, continuation);
  assert.deepEqual(tagsOf(await readAll((await reopen(disk)).log)), [1]);
});

test("a failed sync poisons the log until it is opened again", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1]);
  let syncs = 0;
  disk.fate = ({ name, path }) => {
    if (name !== "sync" || !path.endsWith(".seg")) return undefined;
    syncs += 1;
    return "EIO";
  };
  await rejectsWith(log.append(numberedFrame(2, 10)), "DISK_FAILED");
  disk.fate = () => undefined;
  await rejectsWith(log.append(numberedFrame(3, 10)), "LOG_POISONED");
  assert.equal(syncs, 1);
  const { log: again } = await reopen(disk);
  await appendNumbered(again, [4]);
  const tags = tagsOf(await readAll(again));
  assert.deepEqual(
    tags.filter((tag) => tag !== 2),
    [1, 4],
  );
});

test("a frame that reopening found in the page cache only is made durable", async () => {
  for (let seed = 0; seed < 30; seed++) {
    const disk = newDisk(seed);
    const { log } = await open(disk);
    await appendNumbered(log, [1]);
    disk.fate = ({ name }) => (name === "sync" ? "EIO" : undefined);
    await rejectsWith(log.append(numberedFrame(2, 10)), "DISK_FAILED");
    disk.fate = () => undefined;
    const seen = await readAll((await reopen(disk)).log);
    assert.deepEqual(tagsOf(seen), [1, 2]);
    disk.crash();
    assert.deepEqual(await readAll((await open(disk)).log), seen);
  }
});

test("a full disk refuses the frame whole, and the log goes on when there is space", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [0], 900);
  disk.bytesMax = 2 * SEGMENT_BYTES + 100;
  let tag = 1;
  for (; tag < 100; tag++) {
    const refused = await log.append(numberedFrame(tag, 900)).catch((error: unknown) => error);
    if (!(refused instanceof Fault)) continue;
    assert.equal(refused.code, "DISK_FULL");
    break;
  }
  await rejectsWith(log.append(numberedFrame(tag, 900)), "DISK_FULL");
  assert.equal(log.end, tag * 901);
  disk.bytesMax = Number.POSITIVE_INFINITY;
  assert.equal(await log.append(numberedFrame(tag, 900)), tag * 901);
  assert.deepEqual(
    tagsOf(await readAll(log)),
    Array.from({ length: tag + 1 }, (_, i) => i),
  );
});

test("at its limit the log refuses, and a release lets it go on", async () => {
  const { log } = await open(newDisk());
  let refused: unknown;
  let tag = 0;
  for (; tag < 1_000 && refused === undefined; tag++) {
    await log.append(numberedFrame(tag, 900)).catch((error: unknown) => {
      refused = error;
    });
  }
  assert(refused instanceof Fault && refused.code === "DISK_FULL");
  assert(log.bytes <= 8 * SEGMENT_BYTES && log.bytes > 7 * SEGMENT_BYTES);
  await log.release(position(log.end / 2));
  assert(log.start > 0 && log.start <= log.end / 2);
  await appendNumbered(log, [tag], 900);
});

test("segments are prepared ahead, so that a growing log does not wait", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1]);
  for (let tag = 2; tag < 40; tag++) {
    const creating = disk.paths().length;
    let waited = false;
    disk.fate = ({ name }) => {
      if (name === "open" && disk.paths().length === creating) waited = true;
      return undefined;
    };
    const before = log.bytes;
    await log.append(numberedFrame(tag, 300));
    const begun = log.bytes - before > SEGMENT_HEADER_BYTES + 300 * 20;
    assert(!(begun && waited && creating === disk.paths().length), "a prepared file was taken");
  }
});

test("a release while a read is under way leaves out what was released", async () => {
  const { log } = await open(newDisk());
  const count = await fill(log, 5 * SEGMENT_BYTES);
  const reading = readAll(log);
  await log.release(log.end);
  for (let tag = count; tag < 2 * count; tag++) await log.append(numberedFrame(tag, 900));
  for (const { at, tag } of await reading) assert.equal(at, tag * 901);
});

test("a read that no longer finds what opening found says so", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1, 2, 3]);
  const [, second = 0] = await offsetsOf(disk, 3);
  flip(disk, second + 70);
  await rejectsWith(readAll(log), "LOG_CORRUPT");
  assert.deepEqual(tagsOf(await readAll((await reopen(disk)).log)), [1, 3]);
});

test("an unreadable page costs the frames on it", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  const tags = Array.from({ length: 20 }, (_, tag) => tag);
  await appendNumbered(log, tags, 300);
  const bad = SEGMENT_HEADER_BYTES + 2 * 4096 + 5;
  disk.unreadable = ({ path, from, to }) => path.endsWith("01.seg") && from <= bad && bad < to;
  const { log: again, damage } = await reopen(disk);
  assert(damage.lostPositions > 0);
  const read = await readAll(again);
  assert.equal(read.length * 301 + damage.lostPositions, 20 * 301);
});

test("an end that cannot be read is left alone, and the log goes on behind it", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1, 2, 3], 500);
  const [, second = 0] = await offsetsOf(disk, 3);
  const before = disk.peek("/log/log-0000000001.seg");
  disk.unreadable = ({ path, to }) => path.endsWith("01.seg") && to > second;
  const { log: again } = await reopen(disk);
  await appendNumbered(again, [4, 5]);
  const tags = tagsOf(await readAll(again));
  assert.deepEqual(tags.slice(-2), [4, 5]);
  assert.deepEqual(disk.peek("/log/log-0000000001.seg"), before);
  disk.unreadable = () => false;
  assert.deepEqual(tagsOf(await readAll((await reopen(disk)).log)), tags);
});

test("a log that lost its end goes on behind what is known to be used", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1, 2, 3]);
  const [, , third = 0] = await offsetsOf(disk, 3);
  flip(disk, third);
  disk.kill();
  const { log: again, damage } = await open(disk, 3, { endMin: position(33) });
  assert.equal(again.end, 33);
  assert.equal(damage.lostPositions, 11);
  await appendNumbered(again, [4]);
  const { log: last, damage: known } = await reopen(disk);
  assert.deepEqual(await readAll(last), [
    { at: 0, tag: 1, rows: 10 },
    { at: 11, tag: 2, rows: 10 },
    { at: 33, tag: 4, rows: 10 },
  ]);
  assert.equal(known.lostPositions, 11);
});

test("a newer version is refused with a sentence", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1]);
  const path = "/log/log-0000000001.seg";
  const page = Buffer.from(disk.peek(path).slice(0, 40));
  page.writeUInt32LE(2, 4);
  const { crc32 } = await import("node:zlib");
  page.writeUInt32LE(crc32(page.subarray(0, 36)), 36);
  disk.poke(path, 0, page);
  await rejectsWith(reopen(disk), "FORMAT_TOO_NEW");
});
