import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { anyFrame, numberedFrame, plainFrame } from "../../../test/support/frames.ts";
import {
  appendNumbered,
  fill,
  newDisk,
  open,
  optionsOf,
  readAll,
  rejectsWith,
  reopen,
  SEGMENT_BYTES,
  tagsOf,
  UNHARMED,
} from "../../../test/support/log-rig.ts";
import { Fault } from "../../core/faults.ts";
import { position } from "../../core/units.ts";
import { openLog } from "./log.ts";
import { SEGMENT_HEADER_BYTES } from "./log-segment.ts";

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
      await again.read(again.start, (frame) => void read.push(plainFrame(frame)));
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

test("a bug in opening or writing is no failed disk: it comes out as it is", async () => {
  const bug = new TypeError("a bug");
  const failing = { ...newDisk().mount(), list: () => Promise.reject(bug) };
  await assert.rejects(openLog(failing, optionsOf(2)), bug);
  const disk = newDisk();
  const { log } = await open(disk);
  await appendNumbered(log, [1]);
  disk.fate = ({ name }) => (name === "write" ? Promise.reject(bug) : undefined);
  await assert.rejects(log.append(numberedFrame(2, 10)), bug);
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

test("a growing log does not wait for its next segment", async () => {
  const disk = newDisk();
  const { log } = await open(disk);
  await fill(log, 0.7 * SEGMENT_BYTES);
  await setImmediate();
  disk.fate = ({ name }) => (name === "open" ? new Promise(() => undefined) : undefined);
  await fill(log, 1.2 * SEGMENT_BYTES);
  assert(log.bytes > SEGMENT_BYTES);
});

test("a release while a read is under way leaves out what was released", async () => {
  const { log } = await open(newDisk());
  const count = await fill(log, 5 * SEGMENT_BYTES);
  const reading = readAll(log);
  await log.release(log.end);
  for (let tag = count; tag < 2 * count; tag++) await log.append(numberedFrame(tag, 900));
  for (const { at, tag } of await reading) assert.equal(at, tag * 901);
});
