/**
 * The log against power cuts: a run of appends, releases and reads is cut at every single call to
 * the disk, with any subset of the unsynced sectors kept. `WEIR_SEEDS=500` runs more of them.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultDisk } from "../../../test/support/fault-disk.ts";
import { numberedFrame } from "../../../test/support/frames.ts";
import { below, seededRandom } from "../../../test/support/seeded-random.ts";
import { Fault } from "../../core/faults.ts";
import { type Position, position } from "../../core/units.ts";
import { type Log, openLog } from "./log.ts";

const SEGMENT_BYTES = 20 * 1024;
const FRAMES = 36;

/** Of all sizes; several segments in all, so that recycled ones are written again. */
const rowsOf = (tag: number): number => (tag * 137) % 700;
const seeds = Number(process.env["WEIR_SEEDS"] ?? 6);

/** What the outside world knows: frames whose append resolved, and what was given up. */
type Known = { readonly acknowledged: Map<number, Position>; released: Position; next: number };

test("whatever call the power is cut at, every acknowledged frame is read back in order", async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const calls = await run({ seed, cutAt: Number.POSITIVE_INFINITY });
    for (let cutAt = 0; cutAt < calls; cutAt++) await run({ seed, cutAt });
  }
});

test("the same with a sync that fails at any call, and no power cut until later", async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const calls = await run({ seed, cutAt: Number.POSITIVE_INFINITY });
    for (let failAt = 0; failAt < calls; failAt += 3) await run({ seed, cutAt: calls, failAt });
  }
});

/** Runs until all frames are in, through one cut and one failure; the calls it took. */
async function run(plan: { seed: number; cutAt: number; failAt?: number }): Promise<number> {
  const { seed, cutAt, failAt } = plan;
  const disk = new FaultDisk(seededRandom(seed * 7919 + (cutAt % 65_536)));
  disk.fate = ({ index, name }) =>
    index === cutAt ? "crash" : index === failAt && name !== "read" ? "EIO" : undefined;
  const known: Known = { acknowledged: new Map(), released: position(0), next: 0 };
  for (let opening = 0; known.next < FRAMES; opening++) {
    assert(opening < 6, `${JSON.stringify(plan)} comes to an end`);
    try {
      await live(disk, seed * 31 + opening, known, JSON.stringify(plan));
    } catch (error) {
      assert(error instanceof Fault, String(error));
    }
    if (disk.isDown || below(seededRandom(seed + opening), 2) === 0) disk.crash();
    else disk.kill();
  }
  const { calls } = disk;
  disk.fate = () => undefined;
  disk.crash();
  await check(await open(disk, 1), known, JSON.stringify(plan));
  return calls;
}

async function open(disk: FaultDisk, seed: number): Promise<Log> {
  const random = seededRandom(seed);
  const options = { directory: "/log", segmentBytes: SEGMENT_BYTES, bytesMax: 5 * SEGMENT_BYTES };
  const { log, damage } = await openLog(disk.mount(), { ...options, random });
  assert.equal(damage.lostPositions, 0, "a power cut damages nothing that was durable");
  return log;
}

/** One life of the process: frames of all sizes, some releases. */
async function live(disk: FaultDisk, seed: number, known: Known, plan: string): Promise<void> {
  const log = await open(disk, seed);
  await check(log, known, plan);
  while (known.next < FRAMES) {
    const tag = known.next;
    const at = await log.append(numberedFrame(tag, rowsOf(tag)));
    known.acknowledged.set(tag, at);
    known.next = tag + 1;
    if (tag % 6 === 5) {
      known.released = log.end;
      await log.release(log.end);
    }
  }
}

async function check(log: Log, known: Known, plan: string): Promise<void> {
  const read = new Map<number, Position>();
  let expected = log.start;
  let lastTag = -1;
  await log.read(log.start, ({ clock, batch }, at) => {
    assert.equal(at, expected, `positions are gapless: ${plan}`);
    assert.equal(batch.rows, rowsOf(clock), `a frame is whole: ${plan}`);
    for (let i = 0; i < batch.rows; i++) assert.equal(batch.value[i], clock + i);
    assert(clock > lastTag, `frames are in order: ${plan}`);
    lastTag = clock;
    expected = position(at + batch.rows + 1);
    read.set(clock, at);
  });
  assert.equal(expected, log.end, plan);
  for (const [tag, at] of known.acknowledged) {
    if (at < known.released) continue;
    assert.equal(read.get(tag), at, `frame ${tag} was acknowledged: ${plan}`);
  }
  for (const tag of read.keys()) {
    assert(known.acknowledged.has(tag) || tag === known.next, `nothing is invented: ${plan}`);
  }
  // The frame that was under way when the process ended may have survived: it is not sent again.
  const under = read.get(known.next);
  if (under === undefined) return;
  known.acknowledged.set(known.next, under);
  known.next += 1;
}
