/**
 * Single days that went wrong, on simulated doors: each once lost readings or kept an agent from
 * starting.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Agent, openAgent } from "../../src/agent/agent.ts";
import { type Config, configOf, sourceDefaults } from "../../src/agent/config/config.ts";
import { systemHashing } from "../../src/agent/doors/hashing.ts";
import { plainNet } from "../../src/agent/doors/net.ts";
import { KvMemory } from "../../src/store/state/kv-memory.ts";
import { FaultDisk } from "../support/fault-disk.ts";
import { secondsPipeline } from "../support/pipelines.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";

const START_MS = 1_764_000_000_000;

type Gateway = { readonly disk: FaultDisk; clock: SimulatedClock; kv: KvMemory };

function gateway(): Gateway {
  return {
    disk: new FaultDisk(seededRandom(1)),
    clock: new SimulatedClock(START_MS),
    kv: new KvMemory(),
  };
}

async function start(
  at: Gateway,
  changes: Partial<Config> = {},
  onFailed?: (code: string) => void,
): Promise<Agent> {
  const { clock, kv } = at;
  const config = { ...base, ...changes };
  const doors = {
    clock,
    random: seededRandom(2),
    disk: at.disk.mount(),
    net: plainNet(),
    kv,
    hashing: systemHashing,
  };
  const opening = openAgent({
    config,
    doors,
    logDirectory: "/data/log",
    tablesDirectory: "/data/tables",
    memoryRowsMax: 500,
    segmentBytes: 16_384,
    listen: false,
    onFailed: (fault) => {
      if (onFailed === undefined) throw fault;
      onFailed(fault.code);
    },
    onClosed: async () => {},
  });
  return await passing(opening, clock);
}

/** The result of `work`; time passes until there is one. */
async function passing<T>(work: Promise<T>, clock: SimulatedClock): Promise<T> {
  let done = false;
  const over = (): void => {
    done = true;
  };
  work.then(over, over);
  for (let waits = 0; !done; waits++) {
    assert.ok(waits < 10_000, "it comes to an end");
    await clock.pass(50);
  }
  return await work;
}

/** Ends the process; what was durable is there for the next one. */
async function end(at: Gateway, agent: Agent): Promise<void> {
  await passing(agent.close(), at.clock);
  at.kv = new KvMemory({ image: at.kv.image() });
  at.clock = at.clock.kill();
}

/** The power goes; what was synced is there for the next one. */
function cut(at: Gateway): void {
  at.kv = new KvMemory({ image: at.kv.image() });
  at.clock = at.clock.kill();
  at.disk.crash();
}

async function feed(at: Gateway, agent: Agent, readings: number): Promise<void> {
  const sent = (async () => {
    for (let n = 0; n < readings; n++) {
      const payload = new TextEncoder().encode(
        `{"ts":${START_MS + n},"v":${Math.imul(n + 1, 0x9e3779b1) / 7}}`,
      );
      await agent.feeder.feed(`plant/a/d${n % 5}/state`, payload);
      if (n % 50 === 49) await agent.feeder.settled();
    }
    await agent.feeder.settled();
  })();
  await passing(sent, at.clock);
}

test("a log whose configuration was damaged applies its readings under the one known", async () => {
  const at = gateway();
  const first = await start(at);
  await at.clock.pass(1_000); // the configuration has a frame of its own
  await feed(at, first, 40);
  cut(at);
  const body = 4_096 + 80; // behind the segment's header and the first frame's
  const isBegun = (path: string): boolean =>
    path.startsWith("/data/log/") && at.disk.peek(path)[body]! > 0;
  const segment = at.disk.paths().find(isBegun)!;
  at.disk.poke(segment, body, new Uint8Array([at.disk.peek(segment)[body]! ^ 1]));
  const agent = await start(at);
  const [pipeline] = agent.ledger().pipelines;
  const { damage } = agent.status().log;
  assert.equal(damage.places.length, 1, "the damage is named");
  assert.ok(agent.ledger().balanced);
  assert.equal(pipeline!.accepted + damage.lostRows, 40, "what is not lost is applied");
  await end(at, agent);
});

test("a clock that stands behind what the log has seen is not believed, after a clean end either", async () => {
  const at = gateway();
  const first = await start(at);
  await feed(at, first, 10);
  await end(at, first);
  at.clock = new SimulatedClock(START_MS - 3 * 3_600_000);
  const second = await start(at, { logBytesMax: 65_536 });
  await feed(at, second, 8_000); // recycles every frame that the clock was right in
  await end(at, second);
  const agent = await start(at);
  assert.equal(agent.status().clock.trusted, false);
  const payload = new TextEncoder().encode(`{"ts":${START_MS + 60_000},"v":1}`);
  await passing(agent.feeder.feed("plant/a/d1/state", payload), at.clock);
  await passing(agent.feeder.settled(), at.clock);
  assert.equal(agent.ledger().sources[0]!.readings.quarantined, 0);
  await end(at, agent);
});

test("a log that is full goes on by itself when the disk can recycle again", async () => {
  const at = gateway();
  const agent = await start(at, { logBytesMax: 65_536 });
  let failures = 3;
  at.disk.fate = ({ name }) => (name === "rename" && failures-- > 0 ? "EIO" : undefined);
  await feed(at, agent, 8_000);
  assert.equal(agent.ledger().pipelines[0]!.accepted, 8_000);
  assert.ok(failures < 0, "recycling failed and was tried again");
  await end(at, agent);
});

test("messages that come after the log failed change nothing, and the agent still closes", async () => {
  const at = gateway();
  const failures: string[] = [];
  const agent = await start(at, {}, (code) => failures.push(code));
  await feed(at, agent, 10);
  at.disk.fate = ({ name, path }) =>
    name === "sync" && path.startsWith("/data/log") ? "EIO" : undefined;
  await assert.rejects(feed(at, agent, 10), { code: "LOG_POISONED" });
  const payload = new TextEncoder().encode(`{"v":1}`);
  await assert.rejects(
    passing(agent.feeder.feed("plant/a/d9/state", payload), at.clock).then(() =>
      passing(agent.feeder.settled(), at.clock),
    ),
    { code: "LOG_POISONED" },
  );
  await at.clock.pass(1_000);
  assert.deepEqual(failures, ["DISK_FAILED"]);
  assert.equal(agent.status().state, "failed");
  at.disk.fate = () => undefined;
  await passing(agent.close(), at.clock);
});

test("an agent that closes while its log still recycles waits for that", async () => {
  const at = gateway();
  const first = await start(at, { logBytesMax: 65_536 });
  const { promise, resolve } = Promise.withResolvers<void>();
  let renames = 0;
  at.disk.fate = ({ name }) => (name === "rename" && renames++ === 0 ? promise : undefined);
  await feed(at, first, 1_500);
  const closing = first.close();
  await at.clock.pass(2_000);
  resolve();
  await passing(closing, at.clock);
  assert.ok(renames > 0, "it recycled");
});

test("more sources than can be known are a fault of the configuration, and the next start is sound", async () => {
  const at = gateway();
  const sources = (prefix: string): Config["sources"] =>
    Array.from({ length: 40 }, (_, n) => ({
      ...sourceDefaults,
      name: `${prefix}${n}`,
      topics: [`${prefix}/${n}/{device}`],
    }));
  await end(at, await start(at, { sources: sources("a") }));
  await assert.rejects(start(at, { sources: sources("b") }), { code: "CONFIG_INVALID" });
  at.kv = new KvMemory({ image: at.kv.image() });
  await end(at, await start(at, { sources: sources("a") }));
});

test("an alert is committed when its reading was applied, while summaries wait", async () => {
  const at = gateway();
  const agent = await start(at, { pipelines: [...base.pipelines, chart] });
  const send = async (n: number, value: number): Promise<void> => {
    const payload = new TextEncoder().encode(`{"ts":${START_MS + n * 100},"v":${value}}`);
    await agent.feeder.feed("plant/a/d1/state", payload);
  };
  for (let n = 0; n < 40; n++) await send(n, 20 + (n % 2) / 10);
  await send(40, 500);
  let alerted = 0;
  for (let waitedMs = 0; agent.status().outputs.alerts === 0; waitedMs += 10) {
    assert.ok(waitedMs < 1_000, "the reading is applied");
    await at.clock.pass(10);
    alerted = at.clock.monotonic();
  }
  while (agent.status().apply.commits === 0) await at.clock.pass(10);
  assert.ok(at.clock.monotonic() - alerted <= 10, `after ${at.clock.monotonic() - alerted} ms`);
  assert.equal(agent.status().outbox["alerts"]!.next, 1);
  await end(at, agent);
});

const chart: Config["pipelines"][number] = {
  kind: "ewma",
  name: "outliers",
  where: { sources: [], metrics: ["v"], tags: {} },
  key: [],
  lambda: 0.2,
  sigmas: 6,
  warmup: 20,
  baseline: 0.02,
  sigmaMin: 0.05,
  rearm: 5,
};

const base: Config = configOf({
  agent: "simulated",
  dataDirectory: "/data",
  sources: [{ ...sourceDefaults, name: "plant", topics: ["plant/{line}/{device}/state"] }],
  pipelines: [secondsPipeline],
  uplinks: [{ kind: "file", directory: "/out", rotateBytes: 65_536, rotateMs: 3_600_000 }],
});
