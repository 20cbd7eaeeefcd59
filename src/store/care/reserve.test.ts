import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { FaultDisk } from "../../../test/support/fault-disk.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { Reserve } from "./reserve.ts";

const path = "/data/reserve";
const bytes = 3 * 1_048_576 - 512;

async function rig(): Promise<{ readonly faults: FaultDisk; readonly reserve: Reserve }> {
  const faults = new FaultDisk(seededRandom(1));
  const disk = faults.mount();
  await disk.makeDirectory("/data");
  return { faults, reserve: new Reserve(disk, { path, bytes }) };
}

test("it is made of bytes that take their space, and giving it up gives that back", async () => {
  const { faults, reserve } = await rig();
  await reserve.open();
  assert.equal(reserve.bytesMissing, bytes);
  assert.ok(await reserve.make());
  assert.equal(faults.bytesTaken, bytes);
  assert.ok(gzipSync(faults.peek(path)).length > 0.99 * bytes, "no file system makes it smaller");
  await reserve.giveUp();
  assert.equal(faults.bytesTaken, 0);
  assert.deepEqual(reserve.status, { bytes: 0, bytesMax: bytes, givenUp: 1, isRefused: true });
  await reserve.giveUp();
  assert.equal(reserve.status.givenUp, 1, "there is nothing to give up twice");
});

test("it is made only where as much again is left", async () => {
  const { faults, reserve } = await rig();
  faults.bytesMax = 2 * bytes - 1;
  assert.equal(await reserve.make(), false);
  assert.ok(reserve.status.isRefused);
  assert.equal(faults.bytesTaken, 0);
  faults.bytesMax = 2 * bytes;
  assert.ok(await reserve.make());
  assert.ok(!reserve.status.isRefused);
});

test("after a power cut at any call it is found as long as it is, and made on from there", async () => {
  for (let cut = 0; ; cut++) {
    const faults = new FaultDisk(seededRandom(cut));
    const disk = faults.mount();
    await disk.makeDirectory("/data");
    const from = faults.calls;
    faults.fate = ({ index }) => (index === from + cut ? "crash" : undefined);
    const isDone = await new Reserve(disk, { path, bytes }).make().catch(() => false);
    faults.fate = () => undefined;
    faults.crash();
    const next = new Reserve(faults.mount(), { path, bytes });
    await next.open();
    const size = faults.paths().includes(path) ? faults.peek(path).length : 0;
    assert.equal(next.status.bytes, size);
    assert.ok(await next.make());
    assert.equal(faults.bytesTaken, bytes);
    if (isDone) return;
  }
});

test("a disk that will not let it go has it still", async () => {
  const { faults, reserve } = await rig();
  await reserve.make();
  faults.fate = ({ name }) => (name === "remove" ? "EROFS" : undefined);
  await assert.rejects(reserve.giveUp(), { code: "EROFS" });
  assert.ok(reserve.isWhole);
});
