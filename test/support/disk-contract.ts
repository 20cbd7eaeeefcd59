/**
 * What weir counts on a disk for, as tests against the `Disk` door: they hold for a real file system
 * and for the simulated one, so what the simulations show means something.
 *
 * The codes and the order of checks are those of Linux (open(2), rename(2), unlink(2), ftruncate(2)).
 * Left out is what the simulated disk does not have: renaming a directory, and `syncDirectory` of
 * a file, which a real disk takes and the simulated one refuses. A file number that was closed may
 * soon be that of another file, so nothing is opened between `close` and a call that must fail.
 */

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import {
  bytesOf,
  DiskContractRig as Rig,
  type DiskUnderTest,
  KiB,
  pattern,
  refuses,
  textOf,
} from "./disk-contract-rig.ts";

export type DiskSetUp = {
  readonly open: (t: TestContext) => Promise<DiskUnderTest>;
  /** A disk with room for `smallDiskBytes`; `undefined` where it is not here and `t` is skipped. */
  readonly openSmall: (t: TestContext) => Promise<DiskUnderTest | undefined>;
  /** The disk as the next process finds it after one that was killed once `unsyncedLife` was over. */
  readonly openAfterKill: (t: TestContext) => Promise<DiskUnderTest>;
};

/** Its quarters are whole pages everywhere. */
export const smallDiskBytes: number = 1024 * KiB;

export function diskContract(name: string, setUp: DiskSetUp): void {
  const claims =
    (open: (t: TestContext) => Promise<DiskUnderTest | undefined>): Claim =>
    (what, run) => {
      test(`${name}: ${what}`, async (t) => {
        const under = await open(t);
        if (under !== undefined) await run(new Rig(under));
      });
    };
  contents(claims(setUp.open));
  openFiles(claims(setUp.open));
  names(claims(setUp.open));
  directories(claims(setUp.open));
  space(claims(setUp.openSmall));
  death(claims(setUp.openAfterKill));
}

type Claim = (what: string, run: (rig: Rig) => Promise<void>) => void;

// ---- what a file holds ----

function contents(claim: Claim): void {
  claim(
    "a read gives what is there: all within, less at the end, nothing after it",
    async (rig) => {
      const file = await rig.open("f");
      await file.write(bytesOf("012345678"), 0);
      await file.write(bytesOf("9"), 9);
      const read = async (offset: number, length: number): Promise<string> => {
        const target = new Uint8Array(length).fill(46);
        const count = await file.read(target, offset);
        return `${count} ${new TextDecoder().decode(target)}`;
      };
      assert.equal(await read(2, 3), "3 234");
      assert.equal(await read(0, 10), "10 0123456789");
      assert.equal(await read(7, 5), "3 789..");
      assert.equal(await read(10, 3), "0 ...");
      assert.equal(await read(5_000, 3), "0 ...");
      assert.equal(await read(3, 0), "0 ");
      await file.close();
    },
  );

  claim("a new file is empty", async (rig) => {
    const file = await rig.open("f");
    assert.equal(await file.size(), 0);
    assert.equal(await file.read(new Uint8Array(3), 0), 0);
    await file.close();
  });

  claim(
    "a write replaces exactly its bytes, and grows the file where it goes past",
    async (rig) => {
      const file = await rig.open("f");
      await file.write(bytesOf("aaaaaa"), 0);
      await file.write(bytesOf("bb"), 2);
      assert.equal(await textOf(file), "aabbaa");
      await file.write(bytesOf("cccc"), 4);
      assert.equal(await textOf(file), "aabbcccc");
      assert.equal(await file.size(), 8);
      await file.close();
    },
  );

  claim("a write past the end leaves a hole of zeros", async (rig) => {
    const file = await rig.open("f");
    await file.write(bytesOf("ab"), 0);
    await file.write(bytesOf("z"), 10_000);
    assert.equal(await textOf(file), `ab${"\0".repeat(9_998)}z`);
    await file.close();
  });

  claim("an empty write changes nothing, past the end neither", async (rig) => {
    const file = await rig.open("f");
    await file.write(bytesOf("abc"), 0);
    for (const offset of [0, 1, 3, 1_000]) await file.write(new Uint8Array(0), offset);
    assert.equal(await textOf(file), "abc");
    await file.close();
  });

  claim("a file is cut, and what it grows by again is zeros", async (rig) => {
    const file = await rig.open("f");
    await file.write(new Uint8Array(3_000).fill(120), 0);
    await file.truncate(5);
    assert.equal(await textOf(file), "xxxxx");
    await file.truncate(2_000);
    assert.equal(await textOf(file), `xxxxx${"\0".repeat(1_995)}`);
    await file.truncate(2);
    await file.write(bytesOf("z"), 6);
    assert.equal(await textOf(file), "xx\0\0\0\0z");
    await file.truncate(0);
    assert.equal(await file.size(), 0);
    await file.close();
  });

  claim("a MiB is written and read in one call each", async (rig) => {
    const file = await rig.open("f");
    const source = pattern(1024 * KiB);
    await file.write(source, 777);
    await file.sync();
    const target = new Uint8Array(source.length + 100);
    assert.equal(await file.read(target, 777), source.length);
    assert.ok(Buffer.from(target.subarray(0, source.length)).equals(source));
    assert.equal(await file.size(), 777 + source.length);
    await file.close();
  });

  claim("a sync changes nothing that is read", async (rig) => {
    const file = await rig.open("f");
    await file.sync();
    await file.write(bytesOf("abc"), 700);
    await file.sync();
    await file.sync();
    assert.equal(await textOf(file), `${"\0".repeat(700)}abc`);
    await file.close();
  });
}

// ---- open files ----

function openFiles(claim: Claim): void {
  claim("without create a missing file is not opened, and none is made", async (rig) => {
    await refuses(rig.disk.open(rig.path("f"), { create: false }), "ENOENT");
    assert.deepEqual(await rig.list(""), []);
  });

  claim("create leaves a file that is there as it is", async (rig) => {
    await rig.put("f", "abc");
    const file = await rig.open("f");
    assert.equal(await textOf(file), "abc");
    await file.close();
  });

  claim("a file is not made in a missing directory, a file, or as a directory", async (rig) => {
    await refuses(rig.open("missing/f"), "ENOENT");
    await refuses(rig.open("missing/deep/f"), "ENOENT");
    await rig.put("f", "abc");
    await refuses(rig.open("f/g"), "ENOTDIR");
    await refuses(rig.open("f/deep/g"), "ENOTDIR");
    await rig.disk.makeDirectory(rig.path("d"));
    await refuses(rig.open("d"), "EISDIR");
    await refuses(rig.disk.open(rig.path("d"), { create: false }), "EISDIR");
    assert.deepEqual(await rig.list(""), ["d", "f"]);
  });

  claim("a file opened twice is one file: each sees what the other does", async (rig) => {
    const one = await rig.open("f");
    const other = await rig.open("f");
    await one.write(bytesOf("abc"), 0);
    assert.equal(await textOf(other), "abc");
    await other.write(bytesOf("xyz"), 2);
    assert.equal(await textOf(one), "abxyz");
    await one.truncate(1);
    assert.equal(await other.size(), 1);
    await one.close();
    await other.write(bytesOf("!"), 1);
    assert.equal(await textOf(other), "a!");
    await other.close();
    assert.equal(await rig.text("f"), "a!");
  });

  claim("a closed file refuses every call, a second close too", async (rig) => {
    const file = await rig.open("f");
    await file.write(bytesOf("abc"), 0);
    await file.close();
    await refuses(file.read(new Uint8Array(1), 0), "EBADF");
    await refuses(file.write(bytesOf("x"), 0), "EBADF");
    await refuses(file.sync(), "EBADF");
    await refuses(file.size(), "EBADF");
    await refuses(file.truncate(0), "EBADF");
    await refuses(file.close(), "EBADF");
    assert.equal(await rig.text("f"), "abc");
  });

  claim("an open file goes on when it is renamed", async (rig) => {
    const file = await rig.open("f");
    await file.write(bytesOf("abc"), 0);
    await rig.disk.rename(rig.path("f"), rig.path("g"));
    await file.write(bytesOf("d"), 3);
    await file.sync();
    assert.equal(await textOf(file), "abcd");
    await file.close();
    assert.equal(await rig.text("g"), "abcd");
  });

  claim(
    "an open file goes on when it is removed, apart from a new one of its name",
    async (rig) => {
      const file = await rig.open("f");
      await file.write(bytesOf("abc"), 0);
      await rig.disk.remove(rig.path("f"));
      await refuses(rig.text("f"), "ENOENT");
      await rig.put("f", "new");
      await file.write(bytesOf("d"), 3);
      await file.sync();
      assert.equal(await textOf(file), "abcd");
      assert.equal(await rig.text("f"), "new");
      await file.close();
    },
  );

  claim("an open file goes on when another takes its name", async (rig) => {
    await rig.put("g", "other");
    const file = await rig.open("f");
    await file.write(bytesOf("abc"), 0);
    await rig.disk.rename(rig.path("g"), rig.path("f"));
    await file.write(bytesOf("d"), 3);
    assert.equal(await textOf(file), "abcd");
    assert.equal(await rig.text("f"), "other");
    await file.close();
  });
}

// ---- names ----

function names(claim: Claim): void {
  claim("a rename moves a file, also into another directory", async (rig) => {
    await rig.put("f", "abc");
    await rig.disk.makeDirectory(rig.path("d"));
    await rig.disk.rename(rig.path("f"), rig.path("d/g"));
    assert.deepEqual(await rig.list(""), ["d"]);
    assert.deepEqual(await rig.list("d"), ["g"]);
    assert.equal(await rig.text("d/g"), "abc");
  });

  claim("a rename replaces what has the name, and to its own name does nothing", async (rig) => {
    await rig.put("f", "new");
    await rig.put("g", "longer and old");
    await rig.disk.rename(rig.path("f"), rig.path("g"));
    await rig.disk.rename(rig.path("g"), rig.path("g"));
    assert.deepEqual(await rig.list(""), ["g"]);
    assert.equal(await rig.text("g"), "new");
  });

  claim("a rename that is refused leaves everything", async (rig) => {
    await rig.put("f", "abc");
    await rig.put("g", "other");
    await rig.disk.makeDirectory(rig.path("d"));
    const rename = (from: string, to: string) => rig.disk.rename(rig.path(from), rig.path(to));
    await refuses(rename("missing", "g"), "ENOENT");
    await refuses(rename("missing", "d"), "ENOENT");
    await refuses(rename("f", "missing/f"), "ENOENT");
    await refuses(rename("f", "g/f"), "ENOTDIR");
    await refuses(rename("f", "f/f"), "ENOTDIR");
    await refuses(rename("f", "d"), "EISDIR");
    await rig.put("d/g", "below");
    await refuses(rename("d/g", "d"), "ENOTEMPTY");
    assert.deepEqual(await rig.list("d"), ["g"]);
    assert.deepEqual(await rig.list(""), ["d", "f", "g"]);
    assert.equal(await rig.text("f"), "abc");
    assert.equal(await rig.text("g"), "other");
  });

  claim("remove takes a file away, once, and no directory", async (rig) => {
    await rig.put("f", "abc");
    await rig.put("g", "other");
    await rig.disk.makeDirectory(rig.path("d"));
    await rig.disk.remove(rig.path("f"));
    await refuses(rig.disk.remove(rig.path("f")), "ENOENT");
    await refuses(rig.disk.remove(rig.path("missing/f")), "ENOENT");
    await refuses(rig.disk.remove(rig.path("g/f")), "ENOTDIR");
    await refuses(rig.disk.remove(rig.path("d")), "EISDIR");
    assert.deepEqual(await rig.list(""), ["d", "g"]);
  });

  claim("a file made again under a removed name is empty", async (rig) => {
    await rig.put("f", "abc");
    await rig.disk.remove(rig.path("f"));
    const file = await rig.open("f");
    assert.equal(await file.size(), 0);
    await file.close();
  });
}

// ---- directories ----

function directories(claim: Claim): void {
  claim("makeDirectory makes the parents, and again does nothing", async (rig) => {
    await rig.disk.makeDirectory(rig.path("a/b/c"));
    await rig.put("a/b/f", "abc");
    await rig.disk.makeDirectory(rig.path("a/b/c"));
    await rig.disk.makeDirectory(rig.path("a"));
    assert.deepEqual(await rig.list("a"), ["b"]);
    assert.deepEqual(await rig.list("a/b"), ["c", "f"]);
    assert.equal(await rig.text("a/b/f"), "abc");
  });

  claim("makeDirectory takes neither a file's place nor one below a file", async (rig) => {
    await rig.put("f", "abc");
    await refuses(rig.disk.makeDirectory(rig.path("f")), "EEXIST");
    await refuses(rig.disk.makeDirectory(rig.path("f/d")), "ENOTDIR");
    await refuses(rig.disk.makeDirectory(rig.path("f/d/e")), "ENOTDIR");
    assert.equal(await rig.text("f"), "abc");
  });

  claim("list names the files and directories of one directory, not those below", async (rig) => {
    await rig.disk.makeDirectory(rig.path("d/e"));
    await rig.put("f", "abc");
    await rig.put("d/g", "abc");
    await rig.put("d/e/h", "abc");
    assert.deepEqual(await rig.list(""), ["d", "f"]);
    assert.deepEqual(await rig.list("d"), ["e", "g"]);
    assert.deepEqual(await rig.list("d/e"), ["h"]);
  });

  claim("a missing directory or a file is not listed", async (rig) => {
    await rig.put("f", "abc");
    await refuses(rig.disk.list(rig.path("missing")), "ENOENT");
    await refuses(rig.disk.list(rig.path("f")), "ENOTDIR");
    await refuses(rig.disk.list(rig.path("f/d")), "ENOTDIR");
  });

  claim("syncDirectory is for a directory that is there", async (rig) => {
    await rig.put("f", "abc");
    await rig.disk.syncDirectory(rig.path(""));
    await refuses(rig.disk.syncDirectory(rig.path("missing")), "ENOENT");
    await refuses(rig.disk.syncDirectory(rig.path("f/d")), "ENOTDIR");
    assert.deepEqual(await rig.list(""), ["f"]);
  });

  claim("freeBytes is told for what is there", async (rig) => {
    assert.ok((await rig.disk.freeBytes(rig.path(""))) > 0);
    await refuses(rig.disk.freeBytes(rig.path("missing")), "ENOENT");
  });
}

// ---- a disk with an end ----

function space(claim: Claim): void {
  const quarter = smallDiskBytes / 4;
  const half = smallDiskBytes / 2;

  claim("freeBytes falls by what is written and never below 0", async (rig) => {
    const free = () => rig.disk.freeBytes(rig.path(""));
    assert.equal(await free(), smallDiskBytes);
    const file = await rig.open("f");
    await file.write(pattern(quarter), 0);
    assert.equal(await free(), smallDiskBytes - quarter);
    await file.write(pattern(quarter), 0);
    assert.equal(await free(), smallDiskBytes - quarter);
    await refuses(file.write(pattern(smallDiskBytes), quarter), "ENOSPC");
    assert.equal(await free(), 0);
    await file.truncate(half);
    assert.equal(await free(), half);
    await file.close();
  });

  claim("a write that does not fit leaves what does", async (rig) => {
    const file = await rig.open("f");
    await file.write(pattern(3 * quarter), 0);
    const other = await rig.open("g");
    await refuses(other.write(pattern(half), 0), "ENOSPC");
    assert.equal(await other.size(), quarter);
    const target = new Uint8Array(quarter);
    await other.read(target, 0);
    assert.ok(Buffer.from(target).equals(pattern(quarter)));
    await file.close();
    await other.close();
  });

  claim("a full disk takes what replaces, and more when there is space again", async (rig) => {
    const file = await rig.open("f");
    await file.write(new Uint8Array(half), 0);
    const other = await rig.open("g");
    await other.write(new Uint8Array(half), 0);
    await refuses(file.write(bytesOf("more"), half), "ENOSPC");
    assert.equal(await file.size(), half);
    await file.write(pattern(half), 0);
    await file.sync();
    await other.close();
    await rig.disk.remove(rig.path("g"));
    await file.write(pattern(half), half);
    assert.equal(await file.size(), smallDiskBytes);
    await file.close();
  });

  claim("a removed or replaced file takes its space until it is closed", async (rig) => {
    const file = await rig.open("f");
    const other = await rig.open("g");
    const free = () => rig.disk.freeBytes(rig.path(""));
    await file.write(pattern(half), 0);
    await rig.disk.remove(rig.path("f"));
    assert.equal(await free(), half);
    await refuses(other.write(pattern(3 * quarter), 0), "ENOSPC");
    await file.close();
    assert.equal(await free(), half);
    await other.write(pattern(3 * quarter), 0);
    await rig.put("h", "new");
    await rig.disk.rename(rig.path("h"), rig.path("g"));
    assert.ok((await free()) < quarter);
    await other.close();
    assert.ok((await free()) > half);
  });

  claim("a hole takes no space, and is where a later write may fail", async (rig) => {
    const file = await rig.open("f");
    await file.truncate(8 * smallDiskBytes);
    assert.equal(await file.size(), 8 * smallDiskBytes);
    assert.equal(await rig.disk.freeBytes(rig.path("")), smallDiskBytes);
    await file.write(pattern(quarter), 2 * smallDiskBytes);
    assert.equal(await rig.disk.freeBytes(rig.path("")), 3 * quarter);
    await refuses(file.write(pattern(smallDiskBytes), 0), "ENOSPC");
    assert.equal(await file.size(), 8 * smallDiskBytes);
    const target = new Uint8Array(smallDiskBytes);
    await file.read(target, 0);
    assert.ok(Buffer.from(target.subarray(0, 3 * quarter)).equals(pattern(3 * quarter)));
    assert.ok(target.subarray(3 * quarter).every((byte) => byte === 0));
    await file.close();
  });
}

// ---- death of the process ----

/** What a process does, without one sync and with its files open, before it is killed. */
export async function unsyncedLife({ disk, directory }: DiskUnderTest): Promise<void> {
  const rig = new Rig({ disk, directory });
  await disk.makeDirectory(rig.path("d"));
  const file = await rig.open("d/open");
  await file.write(pattern(200 * KiB), 0);
  await file.truncate(150 * KiB);
  await file.write(bytesOf("end"), 160 * KiB);
  await rig.put("old", "renamed");
  await rig.put("target", "replaced");
  await disk.rename(rig.path("old"), rig.path("target"));
  const gone = await rig.open("gone");
  await gone.write(bytesOf("abc"), 0);
  await disk.remove(rig.path("gone"));
}

function death(claim: Claim): void {
  claim("what a killed process did without a sync is there for the next one", async (rig) => {
    assert.deepEqual(await rig.list(""), ["d", "target"]);
    assert.deepEqual(await rig.list("d"), ["open"]);
    assert.equal(await rig.text("target"), "renamed");
    const file = await rig.disk.open(rig.path("d/open"), { create: false });
    const found = new Uint8Array(await file.size());
    await file.read(found, 0);
    await file.write(bytesOf("and on"), found.length);
    await file.sync();
    await file.close();
    const expected = new Uint8Array(160 * KiB + 3);
    expected.set(pattern(150 * KiB));
    expected.set(bytesOf("end"), 160 * KiB);
    assert.ok(Buffer.from(found).equals(expected));
  });
}
