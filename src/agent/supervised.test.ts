import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { secondsPipeline } from "../../test/support/pipelines.ts";
import { SimulatedClock } from "../../test/support/simulated-clock.ts";
import type { Disk } from "../core/doors.ts";
import { Fault } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import type { Agent } from "./agent.ts";
import { configOf, sourceDefaults } from "./config/config.ts";
import type { DegradedReason } from "./degraded-reason.ts";
import { systemClock } from "./doors/clock.ts";
import { systemDisk } from "./doors/disk.ts";
import { openAgentOnDoors } from "./start.ts";
import { type Ended, openOnDisk, superviseAgent } from "./supervised.ts";

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: it did not work`), { code });
}

/** What happened, in order, and a start that does what the test says. */
class Rig {
  readonly clock = new SimulatedClock(0);
  readonly events: string[] = [];
  /** A start without an outcome works. */
  readonly outcomes: (Error | undefined)[];
  fail: (fault: Fault) => void = () => undefined;
  end: () => void = () => undefined;
  closeFails = false;
  isForCaller = false;
  readonly over: Promise<Ended<{ listen(): Promise<void>; close(): Promise<void> }>>;

  constructor(...outcomes: (Error | undefined)[]) {
    this.outcomes = outcomes;
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.end = resolve;
    const { events } = this;
    this.over = superviseAgent({
      clock: this.clock,
      start: (onFailed) => {
        const outcome = this.outcomes.shift();
        events.push(`start at ${this.clock.monotonic()}`);
        if (outcome !== undefined) return Promise.reject(outcome);
        this.fail = onFailed;
        return Promise.resolve({
          listen: async () => void events.push("listens"),
          close: async () => {
            events.push("closed");
            if (this.closeFails) throw failure("EIO");
          },
        });
      },
      openWaiting: async (reason) => {
        events.push(`says ${reason().name}`);
        return async () => void events.push("says no more");
      },
      onWaiting: ({ name }) => void events.push(`waits: ${name}`),
      onStarted: () => () => void events.push("stopped"),
      isForCaller: () => this.isForCaller,
      ended,
    });
    this.over.catch(() => undefined);
  }
}

test("a start that the disk is in the way of is tried again, later each time, and says why meanwhile", async () => {
  const rig = new Rig(failure("EROFS"), failure("EROFS"), failure("ENOSPC"), undefined);
  await rig.clock.pass(60_000);
  assert.deepEqual(rig.events, [
    "start at 0",
    "waits: disk_read_only",
    "says disk_read_only",
    "start at 1000",
    "start at 3000",
    "waits: disk_full",
    "start at 7000",
    "says no more",
    "listens",
  ]);
  rig.end();
  assert.ok((await rig.over).agent !== undefined);
});

test("what comes before any agent waits for the disk as a start does, and ends when it is to", async () => {
  for (const isEnded of [false, true]) {
    const clock = new SimulatedClock(0);
    const events: string[] = [];
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const outcomes = [failure("EROFS"), failure("EROFS")];
    const opening = openOnDisk(
      {
        clock,
        openWaiting: async (reason) => {
          events.push(`says ${reason().name}`);
          return async () => void events.push("says no more");
        },
        onWaiting: ({ name }) => void events.push(`waits: ${name}`),
        ended,
      },
      async () => {
        events.push(`opens at ${clock.monotonic()}`);
        const outcome = outcomes.shift();
        if (outcome !== undefined) throw outcome;
        return "open";
      },
    );
    await clock.pass(2_000);
    if (isEnded) end();
    await clock.pass(10_000);
    assert.equal(await opening, isEnded ? "ended" : "open");
    assert.deepEqual(events, [
      "opens at 0",
      "waits: disk_read_only",
      "says disk_read_only",
      "opens at 1000",
      ...(isEnded ? [] : ["opens at 3000"]),
      "says no more",
    ]);
    const other = openOnDisk(
      { clock, openWaiting: () => assert.fail(), onWaiting: () => assert.fail(), ended },
      () => Promise.reject(failure("EACCES")),
    );
    await assert.rejects(other, { code: "EACCES" });
  }
});

test("a store that was given up is begun again, unless the caller is to judge that", async () => {
  for (const code of ["STORE_FAILED", "LOG_POISONED"] as const) {
    for (const isForCaller of [false, true]) {
      const rig = new Rig(undefined, undefined);
      rig.isForCaller = isForCaller;
      await rig.clock.pass(100);
      const fault = new Fault(code, "it was given up");
      rig.fail(fault);
      await rig.clock.pass(2 * limits.restartMsMin);
      const starts = rig.events.filter((event) => event.startsWith("start at"));
      assert.equal(starts.length, isForCaller ? 1 : 2);
      rig.end();
      assert.equal((await rig.over).fault(), isForCaller ? fault : undefined);
    }
  }
});

test("the wait has an end, however often a start fails", async () => {
  const rig = new Rig(...Array.from({ length: 20 }, () => failure("EIO")));
  await rig.clock.pass(400_000);
  const times = rig.events.flatMap((event) => /^start at (\d+)/.exec(event)?.[1] ?? []).map(Number);
  const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0));
  assert.equal(Math.max(...waits), limits.restartMsMax);
  rig.end();
  assert.equal((await rig.over).agent, undefined);
});

test("a start that waiting does not help is refused at once", async () => {
  for (const error of [
    new Fault("PORT_IN_USE", "another program listens there"),
    new Fault("STATE_MISMATCH", "the ledger is not the one"),
    new Fault("DIRECTORY_NOT_WRITABLE", "not yours", { cause: failure("EACCES") }),
    new Fault("STORE_FAILED", "it is damaged"),
  ]) {
    await assert.rejects(new Rig(error).over, error);
  }
});

test("an agent whose disk failed is closed and started again; one that failed otherwise is handed over", async () => {
  const rig = new Rig();
  await rig.clock.pass(10);
  rig.closeFails = true;
  rig.fail(new Fault("DISK_FAILED", "could not write", { cause: failure("EIO") }));
  await rig.clock.pass(2_000);
  assert.deepEqual(rig.events.slice(2), [
    "stopped",
    "closed",
    "waits: disk_failed",
    "says disk_failed",
    "start at 1010",
    "says no more",
    "listens",
  ]);
  const fault = new Fault("LOG_CORRUPT", "what could be read cannot be read any more");
  rig.fail(fault);
  const ended = await rig.over;
  assert.equal(ended.fault(), fault);
  assert.ok(ended.agent !== undefined, "it is the caller's to close");
});

test("a sync of the log that fails closes the agent and opens it again on the same files", async (t) => {
  const dataDirectory = mkdtempSync(join(tmpdir(), "weir-supervised-"));
  t.after(() => rmSync(dataDirectory, { recursive: true, force: true }));
  const config = configOf({
    agent: "gateway",
    dataDirectory,
    sources: [{ ...sourceDefaults, name: "plant", topics: ["plant/{line}/{device}/state"] }],
    pipelines: [secondsPipeline],
  });
  let failures = 0;
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const agents: Agent[] = [];
  const reasons: DegradedReason[] = [];
  let begun = Promise.withResolvers<Agent>();
  const over = superviseAgent({
    clock: systemClock(),
    start: (onFailed) =>
      openAgentOnDoors(config, {
        disk: failingSync(() => failures-- > 0),
        listen: false,
        onFailed,
      }),
    openWaiting: () => Promise.resolve(() => Promise.resolve()),
    onWaiting: (reason) => void reasons.push(reason),
    onStarted: (agent) => {
      agents.push(agent);
      begun.resolve(agent);
      return () => undefined;
    },
    ended,
  });
  const first = await begun.promise;
  for (let n = 0; n < 10; n++) await first.feeder.feed("plant/a/d/state", reading(n));
  await first.feeder.settled();
  begun = Promise.withResolvers();
  failures = 1;
  await first.feeder.feed("plant/a/d/state", reading(10));
  await assert.rejects(first.feeder.settled(), { code: "LOG_POISONED" });
  const second = await begun.promise;
  assert.deepEqual(
    reasons.map(({ name }) => name),
    ["disk_failed"],
  );
  // What was not acknowledged comes again, and is recognised where it was durable all the same.
  await second.feeder.feed("plant/a/d/state", reading(10));
  await second.feeder.settled();
  end();
  assert.equal((await over).agent, second);
  await second.close();
  const { accepted, duplicate } = second.ledger().sources[0]!.readings;
  assert.equal(accepted, 11);
  assert.ok(duplicate <= 1);
  assert.ok(second.ledger().balanced);
});

function reading(n: number): Uint8Array {
  return new TextEncoder().encode(`{"ts":${1_764_000_000_000 + n},"v":${n}}`);
}

/** Syncs of the log fail while `isFailing` says so. */
function failingSync(isFailing: () => boolean): Disk {
  return {
    ...systemDisk,
    async open(path, options) {
      const file = await systemDisk.open(path, options);
      return {
        ...file,
        async sync() {
          if (path.includes("/log/") && isFailing()) throw failure("EIO");
          await file.sync();
        },
      };
    },
  };
}
