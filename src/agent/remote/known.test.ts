/** Wherever the power goes: what is in force after it was decided before, and nothing is decided twice. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { FaultDisk } from "../../../test/support/fault-disk.ts";
import {
  diskOf,
  ill,
  localSeries,
  Process,
  version,
  well,
} from "../../../test/support/remote-process.ts";
import { limits } from "../../core/limits.ts";
import { readWhole } from "../../store/care/whole-files.ts";

test("a disk that takes no more decides nothing: what was in force stays", async () => {
  const disk = diskOf(1);
  const process = await Process.start(disk.mount());
  await process.run(async () => {
    disk.fate = ({ name }) => (name === "write" ? "ENOSPC" : undefined);
    process.offer(version(7));
    await process.turns();
  });
  assert.equal(process.remote.status.counters.accepted, 0);
  assert.match(process.remote.status.trouble ?? "", /ENOSPC/);
  disk.fate = () => undefined;
  await process.run(async () => {
    process.offer(version(7));
    await process.remote.changed;
  });
  // It cannot be counted: it is not started.
  disk.fate = ({ name }) => (name === "write" ? "ENOSPC" : undefined);
  assert.equal(await process.run(() => Promise.resolve()), localSeries);
  disk.fate = () => undefined;
  assert.equal(await process.run(() => Promise.resolve()), 7);
});

test("a full disk that keeps the folder from being made is said from the start on, and again when it is well", async () => {
  const disk = diskOf(1);
  disk.fate = ({ path }) => (path === "/data/remote" ? "ENOSPC" : undefined);
  const process = await Process.start(disk.mount());
  assert.match(process.remote.status.trouble ?? "", /cannot be written: .*ENOSPC/);
  const series = await process.run(async () => {
    assert.match(process.remote.status.trouble ?? "", /ENOSPC/);
    disk.fate = () => undefined;
    await process.pass(limits.remoteAgainMs);
  });
  assert.equal(series, localSeries);
  assert.equal(process.remote.status.trouble, undefined);
});

const full: FaultDisk["fate"] = ({ name }) => (name === "write" ? "ENOSPC" : undefined);
const fine: FaultDisk["fate"] = () => undefined;

test("what cannot be judged or written just now is so later, by itself", async () => {
  const disk = diskOf(1);
  const process = await Process.start(disk.mount());
  await process.run(async () => {
    process.world.trouble = Object.assign(new Error("too many open files"), { code: "EMFILE" });
    process.offer(version(7));
    await process.turns();
    assert.match(process.remote.status.trouble ?? "", /judged later: too many open files/);
    delete process.world.trouble;
    disk.fate = full;
    await process.pass(limits.remoteAgainMs);
    assert.match(process.remote.status.trouble ?? "", /ENOSPC/);
    assert.deepEqual(process.said, []);
    disk.fate = fine;
    await process.pass(limits.remoteAgainMs);
    await process.remote.changed;
  });
  // It cannot be counted, and begins when it can.
  disk.fate = full;
  const before = await process.run(async () => {
    await process.pass(limits.remoteAgainMs);
    disk.fate = fine;
    await process.pass(limits.remoteAgainMs);
    await process.remote.changed;
  });
  assert.equal(before, localSeries);
  const trial = await process.run(async () => {
    disk.fate = full;
    await process.pass();
    assert.deepEqual(process.said, ["accepted"]);
    disk.fate = fine;
    await process.pass(limits.remoteAgainMs);
  });
  assert.equal(trial, 7);
  assert.deepEqual(process.said, ["accepted", "proven"]);
  assert.equal(process.remote.status.trouble, undefined);
});

test("what is rolled back stays so where the disk takes it later, or only the audit log", async () => {
  const unwritable: readonly { readonly fate: FaultDisk["fate"]; readonly isAudited: boolean }[] = [
    { fate: full, isAudited: false },
    {
      fate: ({ name, path }) => (name === "write" && path.includes("state") ? "EIO" : undefined),
      isAudited: true,
    },
  ];
  for (const { fate, isAudited } of unwritable) {
    const disk = diskOf(1);
    const process = await Process.start(disk.mount());
    await process.run(async () => {
      process.offer(version(7));
      await process.remote.changed;
    });
    await process.run(async () => {
      disk.fate = fate;
      process.health = ill;
      await process.pass();
      await process.remote.changed;
    });
    process.health = well;
    assert.deepEqual(process.said, ["accepted", "rolled_back"]);
    if (isAudited) {
      disk.crash();
      disk.fate = fine;
      const next = await Process.start(disk.mount());
      assert.equal(await next.run(() => next.pass()), localSeries);
      assert.deepEqual(next.said, []);
      continue;
    }
    const after = await process.run(async () => {
      disk.fate = fine;
      await process.pass(limits.remoteAgainMs);
    });
    assert.equal(after, localSeries);
    assert.equal(await process.run(() => process.pass()), localSeries);
    assert.deepEqual(process.said, ["accepted", "rolled_back"]);
    assert.equal(
      await (await Process.start(disk.mount())).run(() => Promise.resolve()),
      localSeries,
    );
  }
});

test("a trial that is stopped again and again comes to its end", async () => {
  const disk = diskOf(1);
  const first = await Process.start(disk.mount());
  await first.run(async () => {
    first.offer(version(7));
    await first.remote.changed;
  });
  const series: number[] = [];
  for (let life = 0; life < limits.remoteStopsMax + 3; life++) {
    const process = await Process.start(disk.mount());
    series.push(await process.run(() => Promise.resolve()));
    await process.remote.stopped();
  }
  // Its two tries come on top.
  assert.equal(series.lastIndexOf(7), limits.remoteStopsMax + 1);
  assert.equal(series.at(-1), localSeries);
});

test("a damaged state is forgotten, but not which versions were accepted", async () => {
  const disk = diskOf(1);
  const process = await Process.start(disk.mount());
  await process.run(async () => {
    process.offer(version(7));
    await process.remote.changed;
  });
  await process.run(() => process.pass());
  const door = disk.mount();
  const file = await door.open("/data/remote/state.json", { create: false });
  await file.write(Buffer.from("{{"), 0);
  await file.sync();
  await file.close();
  const next = await Process.start(disk.mount());
  next.offer(version(6));
  assert.equal(await next.run(() => next.turns()), localSeries);
  assert.equal(next.remote.status.highest, 7);
  assert.equal(next.remote.status.counters.refused["replayed"], 1);
});

test("what lies on a disk that comes later is adopted, not written over", async () => {
  const before = diskOf(1);
  before.fate = ({ path }) => (path === "/data/remote" ? "EROFS" : undefined);
  const later = await grown({ isBack: false });
  const read = async (): Promise<readonly string[]> => {
    const door = later.mount();
    const files = ["state.json", "audit.ndjson"];
    const bytes = files.map((name) => readWhole(door, `/data/remote/${name}`));
    return (await Promise.all(bytes)).map((each) => Buffer.from(each).toString());
  };
  const kept = await read();
  let door = before.mount();
  const process = await Process.start({
    open: (...args) => door.open(...args),
    list: (...args) => door.list(...args),
    makeDirectory: (...args) => door.makeDirectory(...args),
    rename: (...args) => door.rename(...args),
    remove: (...args) => door.remove(...args),
    syncDirectory: (...args) => door.syncDirectory(...args),
    freeBytes: (...args) => door.freeBytes(...args),
  });
  assert.match(process.remote.status.trouble ?? "", /cannot be written: .*EROFS/);
  let isChanged = false;
  const series = await process.run(async () => {
    void process.remote.changed.then(() => (isChanged = true));
    process.offer(version(7));
    await process.turns();
    assert.equal(isChanged, false);
    door = later.mount();
    await process.pass(limits.remoteAgainMs);
  });
  assert.equal(series, localSeries);
  assert.equal(isChanged, true);
  assert.equal(await process.run(() => process.turns()), 8);
  assert.deepEqual(process.remote.status.counters.refused, { replayed: 1 });
  assert.equal(process.remote.status.trouble, undefined);
  const [state, audit] = await read();
  assert.equal(state, kept[0]);
  assert.ok(audit?.startsWith(kept[1] ?? ""), "the refusal stands behind what was there");
});

/** A process that proved version 7 and took 8, which made the agent ill where `isBack`, and its disk. */
async function grown({ isBack }: { readonly isBack: boolean }): Promise<FaultDisk> {
  const disk = diskOf(1);
  const process = await Process.start(disk.mount());
  for (const number of [7, 8]) {
    await process.run(async () => {
      process.offer(version(number));
      await process.remote.changed;
    });
    if (number === 8 && isBack) process.health = ill;
    await process.run(() => process.pass());
  }
  return disk;
}

const state = "/data/remote/state.json";

async function overwrite(disk: FaultDisk, text: string): Promise<void> {
  const door = disk.mount();
  const file = await door.open(state, { create: false });
  const bytes = Buffer.alloc(await file.size(), " ");
  bytes.write(text);
  await file.write(bytes, 0);
  await file.sync();
  await file.close();
}

test("what was in force when its state was lost goes on when it comes again, and what was rolled back does not", async () => {
  const losses: readonly ((disk: FaultDisk) => Promise<void>)[] = [
    (disk) => overwrite(disk, "{{"),
    (disk) => overwrite(disk, '{"highest":8,"digest":""}'),
    (disk) => disk.mount().remove(state),
  ];
  for (const lose of losses) {
    for (const isBack of [false, true]) {
      const disk = await grown({ isBack });
      await lose(disk);
      await Process.start(disk.mount()); // and its document comes only to the next
      const next = await Process.start(disk.mount());
      await next.run(async () => {
        next.offer(version(7), version(8));
        await next.turns();
      });
      const series = await next.run(() => next.pass());
      assert.equal(series, isBack ? localSeries : 8);
      assert.deepEqual(next.said, isBack ? [] : ["accepted", "proven"]);
      assert.deepEqual(next.remote.status.counters.refused, {});
      next.offer(version(7));
      await next.run(() => next.turns());
      assert.equal(next.remote.status.counters.refused["replayed"], 1);
    }
  }
});

test("a state that cannot be read just now is not forgotten: no agent starts without it", async () => {
  const disk = await grown({ isBack: false });
  disk.fate = ({ name }) => (name === "read" ? "EIO" : undefined);
  await assert.rejects(Process.start(disk.mount()), {
    code: "DISK_FAILED",
    message: /cannot be read \(EIO\): let the user/,
  });
  disk.fate = () => undefined;
  const next = await Process.start(disk.mount());
  assert.equal(await next.run(() => Promise.resolve()), 8);
});

/** 3 is proven, 4 comes and makes the agent ill; the power goes at the call `at`. Series after it. */
async function cut(
  at: number,
  seed: number,
): Promise<{
  readonly isCut: boolean;
  readonly series: number[];
  readonly highest: number;
  readonly said: readonly string[];
}> {
  const disk = diskOf(seed);
  const clock = { calls: 0, isCut: false, isOver: false };
  const process = await Process.start(disk.mount());
  const grow = async (): Promise<void> => {
    await process.run(async () => {
      process.offer(version(3));
      await process.remote.changed;
    });
    await process.run(() => process.pass());
    await process.run(async () => {
      process.offer(version(4));
      await Promise.race([process.remote.changed, process.turns()]);
    });
    process.health = ill;
    await process.run(() => process.pass());
    await process.run(() => process.turns());
  };
  disk.fate = () => {
    if (clock.calls++ !== at) return undefined;
    clock.isCut = true;
    return "crash";
  };
  const grown = grow().finally(() => {
    clock.isOver = true;
  });
  await Promise.race([grown, untilCut(clock)]);
  disk.fate = () => undefined;
  disk.crash();
  const series: number[] = [];
  let highest = 0;
  // The process that is killed again and again ends with what is proven.
  for (let life = 0; life < 4; life++) {
    const next = await Process.start(disk.mount());
    series.push((await next.remote.begin()).seriesMax);
    highest = next.remote.status.highest;
  }
  return { isCut: clock.isCut, series, highest, said: process.said };
}

async function untilCut(clock: {
  readonly isCut: boolean;
  readonly isOver: boolean;
}): Promise<void> {
  while (!clock.isCut && !clock.isOver) await new Promise((resolve) => setImmediate(resolve));
}

test("wherever the power goes, a process starts with what is proven or on trial, and ends with what is proven", async () => {
  let cuts = 0;
  for (let at = 0; at < 400; at++) {
    const { isCut, series, highest, said } = await cut(at, at + 1);
    const last = series.at(-1);
    assert.ok(last === localSeries || last === 3, `cut at ${at}: ${series.join()}`);
    assert.ok(
      series.every((each) => [localSeries, 3, 4].includes(each)),
      series.join(),
    );
    const tried = series.filter((each) => each !== last).length;
    assert.ok(tried <= 2, `cut at ${at}: tried ${tried} times, ${series.join()}`);
    if (last === 3) assert.ok(highest >= 3);
    // What was said was on the disk before.
    if (said.includes("proven")) assert.equal(last, 3, `cut at ${at}: ${said.join()}`);
    const acceptances = said.filter((kind) => kind === "accepted").length;
    assert.ok(highest >= [0, 3, 4][acceptances]!, `cut at ${at}: ${said.join()}`);
    if (!isCut) {
      assert.deepEqual({ last, highest }, { last: 3, highest: 4 });
      assert.ok(cuts > 30, `${cuts} calls`);
      return;
    }
    cuts += 1;
  }
  assert.fail("it never ended");
});
