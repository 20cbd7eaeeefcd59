/** What becomes of documents that come to an agent that runs. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import {
  diskOf,
  ill,
  links,
  localConfig,
  localSeries,
  Process,
  publicKey,
  signed,
  version,
  watchMs,
  well,
} from "../../../test/support/remote-process.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { remoteNotices } from "./remote-notices.ts";

test("a document is tried, proven, and known by the next process", async () => {
  const disk = diskOf(1);
  const first = await Process.start(disk.mount());
  const before = await first.run(async () => {
    first.offer(version(7));
    await first.remote.changed;
  });
  assert.equal(before, localSeries);
  const trial = await first.run(() => first.pass());
  assert.equal(trial, 7);
  assert.deepEqual(first.said, ["accepted", "proven"]);
  const next = await Process.start(disk.mount());
  assert.equal(await next.run(() => Promise.resolve()), 7);
  assert.equal(next.remote.isTrial, false);
});

test("what it was proven without is said: an uplink that nothing was sent to", async () => {
  for (const [touches, said] of [
    [true, "nothing was there to send to http:h:80/: untried"],
    [false, undefined],
  ] as const) {
    const process = await Process.start(diskOf(1).mount());
    await process.run(async () => {
      process.offer(touches ? links(7) : version(7));
      await process.remote.changed;
    });
    const lane = { state: "untried", trouble: undefined };
    const uplink = { name: "http:h:80/", state: "untried", lanes: { alerts: lane } };
    process.health = { ...well, uplinks: [uplink] } as unknown as typeof well;
    await process.run(() => process.pass());
    const last = process.remote.status.audit.at(-1);
    assert.deepEqual([last?.kind, last?.reason], ["proven", said]);
  }
});

test("an endpoint that it brings and that is not there is its fault, though nothing is sent to it", async () => {
  const process = await Process.start(diskOf(1).mount());
  process.world.isGone = true;
  await process.run(async () => {
    process.offer(links(7));
    await process.remote.changed;
  });
  const lane = { state: "untried", trouble: undefined };
  const uplink = { name: "http:h:80/", state: "untried", lanes: { alerts: lane } };
  process.health = { ...well, uplinks: [uplink] } as unknown as typeof well;
  await process.run(() => process.pass());
  const last = process.remote.status.audit.at(-1);
  assert.deepEqual(
    [last?.kind, last?.reason],
    ["rolled_back", "uplink http:h:80/: nobody is there"],
  );
});

test("one that makes the agent ill is taken back, and does not come back", async () => {
  const disk = diskOf(1);
  const process = await Process.start(disk.mount());
  await process.run(async () => {
    process.offer(version(7));
    await process.remote.changed;
  });
  await process.run(async () => {
    process.health = ill;
    await process.clock.pass(2_000);
    await process.remote.changed;
  });
  process.health = well;
  const after = await process.run(async () => {
    process.offer(version(7), version(6));
    await process.turns();
  });
  assert.equal(after, localSeries);
  assert.deepEqual(process.said, ["accepted", "rolled_back"]);
  process.offer(version(6));
  await process.run(() => process.turns());
  assert.equal(process.remote.status.counters.refused["replayed"], 1);
});

test("one that leaves too little memory for half of the time is taken back", async () => {
  const process = await Process.start(diskOf(1).mount());
  await process.run(async () => {
    process.offer(version(7));
    await process.remote.changed;
  });
  await process.run(async () => {
    process.health = { ...well, memory: { ceiling: { level: "short" } } };
    await process.pass();
  });
  assert.deepEqual(process.said, ["accepted", "rolled_back"]);
});

test("of several that come together the newest counts, and one that overtakes a trial takes its place", async () => {
  const process = await Process.start(diskOf(1).mount());
  await process.run(async () => {
    process.offer(version(3), version(5), version(4));
    await process.remote.changed;
  });
  const trial = await process.run(async () => {
    process.offer(version(6));
    await process.remote.changed;
  });
  assert.equal(trial, 5);
  assert.equal(await process.run(() => process.pass()), 6);
  assert.deepEqual(process.said, ["accepted", "accepted", "proven"]);
});

test("whatever comes after it, the highest version that waits is judged, and what waits is bounded", async () => {
  const process = await Process.start(diskOf(1).mount());
  process.offer(version(8));
  const junk = 3 * limits.remoteWaitingMax;
  for (let at = 0; at < junk; at++) process.offer(Buffer.from(`junk ${at}`));
  process.offer(version(7));
  await process.run(() => process.remote.changed);
  assert.equal(await process.run(() => Promise.resolve()), 8);
  const { refused } = process.remote.status.counters;
  assert.deepEqual(refused, { malformed: limits.remoteWaitingMax - 2 });
});

test("one that expired before its trial began is taken back, and one that expires meanwhile is not", async () => {
  const { now } = well.clock;
  const expires = new Date(now + 10_000).toISOString();
  const halfMs = watchMs / 2;
  for (const { lateMs, trusted, outcome } of [
    { lateMs: 0, trusted: true, outcome: ["proven", undefined] },
    { lateMs: 20_000, trusted: true, outcome: ["rolled_back", "expired"] },
    { lateMs: 20_000, trusted: false, outcome: ["rolled_back", "expired"] },
  ] as const) {
    const process = await Process.start(diskOf(1).mount());
    await process.run(async () => {
      process.offer(signed(7, "limits: { series: 7 }\n", { expires, mayDelete: true }));
      await process.remote.changed;
    });
    await process.run(async () => {
      const began = process.clock.monotonic();
      process.health = {
        ...well,
        get clock() {
          const elapsed = process.clock.monotonic() - began;
          return { now: now + lateMs + elapsed, trusted: trusted || elapsed > halfMs };
        },
      };
      await process.pass(halfMs);
      await process.pass();
    });
    const last = process.remote.status.audit.at(-1);
    assert.deepEqual([last?.kind, last?.code], outcome);
  }
});

test("no version is so high that no higher one is left", async () => {
  const process = await Process.start(diskOf(1).mount());
  const take = async (number: number): Promise<number> => {
    await process.run(async () => {
      process.offer(signed(number, "limits: { series: 5 }\n", { mayDelete: true }));
      await process.turns();
    });
    return process.remote.status.highest;
  };
  const { remoteVersionFree: free, remoteVersionLeapMax: leap } = limits;
  assert.equal(await take(Number.MAX_SAFE_INTEGER), 0);
  assert.equal(await take(free + leap + 1), 0);
  assert.equal(process.remote.status.counters.refused["too_high"], 2);
  assert.match(process.remote.status.audit[0]?.reason ?? "", /sign it as 4503603922337792 at most/);
  for (const number of [1, free, free + leap, free + 2 * leap]) {
    assert.equal(await take(number), number);
  }
  assert.equal(await take(free + 3 * leap + 1), free + 2 * leap);
});

test("a start that fails is its fault; a disk that fails, or another agent, is not", async () => {
  const process = await Process.start(diskOf(1).mount());
  const tried = async (): Promise<number | undefined> => {
    await process.remote.begin();
    return process.remote.status.trial?.tries;
  };
  await process.run(async () => {
    process.offer(version(7));
    await process.remote.changed;
  });
  assert.equal(await tried(), 1);
  const disk = Object.assign(new Error("no space"), { code: "ENOSPC" });
  const full = new Fault("DISK_FULL", "the disk is full", { cause: disk });
  assert.equal(await process.remote.failed(full), false);
  assert.equal(await process.remote.failed(new Error("a bug")), false);
  assert.equal(process.remote.isBlamed(full), false);
  for (const code of ["STORE_FAILED", "LOG_POISONED"] as const) {
    assert.equal(process.remote.isBlamed(new Fault(code, "given up")), true);
  }
  const { dataDirectory } = await localConfig();
  const inUse = (directory: string): Fault =>
    new Fault("DIRECTORY_IN_USE", "in use", { facts: { directory } });
  assert.equal(await process.remote.failed(inUse(dataDirectory)), false);
  assert.equal(await tried(), 1, "the start that found another agent is not counted");
  assert.equal(await process.remote.failed(inUse("/uplink/of/another")), true);
  assert.equal(await tried(), undefined);
  await process.run(async () => {
    process.offer(version(8));
    await process.remote.changed;
  });
  assert.equal(await tried(), 1);
  assert.equal(await process.remote.failed(new Fault("PORT_IN_USE", "taken")), true);
  assert.equal(await tried(), undefined);
});

test("a bug while a document is judged ends the process", () => {
  const { pathname: remote } = new URL("remote.ts", import.meta.url);
  const { pathname: disks } = new URL("../../../test/support/fault-disk.ts", import.meta.url);
  const { pathname: clocks } = new URL("../../../test/support/simulated-clock.ts", import.meta.url);
  const program = `
    import { openRemote } from ${JSON.stringify(remote)};
    import { FaultDisk } from ${JSON.stringify(disks)};
    import { SimulatedClock } from ${JSON.stringify(clocks)};
    const raw = Buffer.from(${JSON.stringify(publicKey)}, "base64");
    const remote = await openRemote({
      disk: new FaultDisk({ uint32: () => 0 }).mount(),
      clock: new SimulatedClock(1_796_000_000_000),
      directory: "/data/remote",
      local: { agent: "gw1", remote: { keys: [{ name: "ops", raw }], allow: ["limits"] } },
      parse: async () => undefined.faults,
      problemsOf: async () => [],
      endpointsOf: () => [],
      say: () => undefined,
    });
    await remote.begin();
    remote.started({ status: () => ({}) });
    const bytes = Buffer.from(${JSON.stringify(Buffer.from(version(7)).toString("base64"))}, "base64");
    remote.offer({ bytes, from: "mqtt", isHistory: false, isShared: false });
    setTimeout(() => console.log("it goes on"), 200);
  `;
  const { status, stdout, stderr } = spawnSync(
    globalThis.process.execPath,
    ["--input-type=module", "-e", program],
    { encoding: "utf8" },
  );
  assert.match(stderr, /reading 'faults'/);
  assert.deepEqual([status, stdout], [1, ""]);
});

test("where the key of what was proven is gone, each process says once that it is not used, and the status says it", async () => {
  const disk = diskOf(1);
  const first = await Process.start(disk.mount());
  await first.run(async () => {
    first.offer(version(7));
    await first.remote.changed;
  });
  assert.equal(await first.run(() => first.pass()), 7);
  assert.equal(first.remote.status.unused, undefined);
  for (let life = 0; life < 2; life++) {
    const next = await Process.start(disk.mount(), { keys: [] });
    for (let agent = 0; agent < 2; agent++) {
      assert.equal(await next.run(() => next.turns()), localSeries);
    }
    assert.deepEqual(next.said, ["unusable"]);
    const { unused, audit } = next.remote.status;
    assert.equal(unused?.version, 7);
    assert.match(unused.reason, /^it is signed by [0-9a-f]{16}, which is none of remote\.keys$/);
    assert.equal(audit.filter(({ kind }) => kind === "unusable").length, 1);
    const notices = remoteNotices({ ...next.remote.status, channels: [] });
    assert.match(
      notices.find(({ code }) => code === "remote_unused")?.message ?? "",
      /^remote configuration 7 is not used, and the local file stands alone: it is signed by /,
    );
  }
  const again = await Process.start(disk.mount());
  assert.equal(await again.run(() => again.turns()), 7);
  assert.deepEqual([again.remote.status.unused, again.said], [undefined, []]);
});
