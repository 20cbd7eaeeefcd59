import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "../../../../test/support/seeded-random.ts";
import { FaultDisk } from "../../../../test/support/fault-disk.ts";
import type { DiskFile } from "../../../core/doors.ts";
import { limits } from "../../../core/limits.ts";
import { ReadAhead } from "./read-ahead.ts";

const size = 10 * limits.tableReadAheadBytes + 1_000;

/** A file of `size` bytes none of which is like its neighbours, and the disk it is on. */
async function fileOf(): Promise<{ disk: FaultDisk; file: DiskFile; content: Uint8Array }> {
  const disk = new FaultDisk(seededRandom(1));
  const door = disk.mount();
  const content = new Uint8Array(size);
  const random = seededRandom(2);
  for (let at = 0; at < size; at++) content[at] = random.uint32();
  const file = await door.open("/f", { create: true });
  await file.write(content, 0);
  return { disk, file, content };
}

const arbReads = fc.array(
  fc.record({
    from: fc.oneof(
      fc.nat({ max: size + 100 }),
      fc.nat({ max: 2_000 }),
      fc.nat({ max: 2_000 }).map((n) => 200_000 + n),
    ),
    bytes: fc.oneof(fc.nat({ max: 3_000 }), fc.nat({ max: 80_000 })),
  }),
  { maxLength: 30 },
);

test("whatever is read in whatever order is what the file has", async () => {
  const { file, content } = await fileOf();
  await fc.assert(
    fc.asyncProperty(arbReads, async (reads) => {
      const ahead = new ReadAhead(file);
      for (const { from, bytes } of reads) {
        const target = new Uint8Array(bytes);
        const read = await ahead.read(target, from);
        const wanted = content.subarray(from, from + bytes);
        assert.equal(read, wanted.length);
        assert.deepEqual(target.subarray(0, read), wanted);
      }
    }),
  );
});

test("what ends with a window, or a byte behind it, is read whole", async () => {
  const { file, content } = await fileOf();
  const end = limits.tableReadAheadBytes;
  for (const to of [end - 1, end, end + 1]) {
    const ahead = new ReadAhead(file);
    await ahead.read(new Uint8Array(10), 0);
    const target = new Uint8Array(100);
    assert.equal(await ahead.read(target, to - 100), 100);
    assert.deepEqual(target, content.slice(to - 100, to));
  }
});

test("three places that are read on by turns cost a read of the disk each in a window", async () => {
  const { file, content } = await fileOf();
  let reads = 0;
  const counted: DiskFile = {
    ...file,
    read: (target, offset) => {
      reads += 1;
      return file.read(target, offset);
    },
  };
  const ahead = new ReadAhead(counted);
  const target = new Uint8Array(256);
  for (let step = 0; step < 128; step++) {
    for (const place of [0, 1, 2]) {
      const from = place * 2 * limits.tableReadAheadBytes - place * 100 + step * target.length;
      assert.equal(await ahead.read(target, from), target.length);
      assert.deepEqual(target, content.slice(from, from + target.length));
    }
  }
  assert.equal(reads, 3);
});

test("a bad sector further on takes nothing from what is before it", async () => {
  const { disk, file, content } = await fileOf();
  disk.unreadable = ({ to }) => to > 30_000;
  const ahead = new ReadAhead(file);
  const target = new Uint8Array(1_000);
  assert.equal(await ahead.read(target, 10_000), target.length);
  assert.deepEqual(target, content.slice(10_000, 11_000));
  await assert.rejects(ahead.read(target, 29_500), { code: "EIO" });
  disk.unreadable = () => false;
  assert.equal(await ahead.read(target, 29_500), target.length);
});
