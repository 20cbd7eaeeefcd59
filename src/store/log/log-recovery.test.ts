import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { numberedFrame } from "../../../test/support/frames.ts";
import {
  appendNumbered,
  fill,
  flip,
  newDisk,
  offsetsOf,
  open,
  readAll,
  rejectsWith,
  reopen,
  SEGMENT_BYTES,
  tagsOf,
  UNHARMED,
} from "../../../test/support/log-rig.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import type { DeadLetter, Frame } from "../../core/frame.ts";
import { millis, position, sourceId } from "../../core/units.ts";
import { SEGMENT_HEADER_BYTES } from "./log-segment.ts";

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

test("a frame that reopening found in the page cache only is made durable", async () => {
  for (let seed = 0; seed < 60; seed++) {
    const disk = newDisk(seed);
    const { log } = await open(disk);
    const isFirst = seed % 2 === 0;
    if (!isFirst) await appendNumbered(log, [1]);
    disk.fate = ({ name, path }) =>
      name === "sync" && path === "/log/log-0000000001.seg" && disk.peek(path)[0] !== 0
        ? "EIO"
        : undefined;
    await rejectsWith(log.append(numberedFrame(2, 10)), "DISK_FAILED");
    disk.fate = () => undefined;
    const seen = await readAll((await reopen(disk)).log);
    assert.deepEqual(tagsOf(seen), isFirst ? [2] : [1, 2]);
    disk.crash();
    assert.deepEqual(await readAll((await open(disk)).log), seen);
  }
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
  const frames = [
    { at: 0, tag: 1, rows: 10 },
    { at: 11, tag: 2, rows: 10 },
    { at: 33, tag: 4, rows: 10 },
  ];
  assert.deepEqual(await readAll(again), frames);
  const { log: last, damage: known } = await reopen(disk);
  assert.deepEqual(await readAll(last), frames);
  assert.equal(known.lostPositions, 11);
});

test("a newer version is refused with a sentence", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1]);
  const path = "/log/log-0000000001.seg";
  const page = Buffer.from(disk.peek(path).slice(0, 40));
  page.writeUInt32LE(2, 4);
  page.writeUInt32LE(crc32(page.subarray(0, 36)), 36);
  disk.poke(path, 0, page);
  await rejectsWith(reopen(disk), "FORMAT_TOO_NEW");
});
