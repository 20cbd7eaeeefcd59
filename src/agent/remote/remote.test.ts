/** Wherever the power goes: what is in force after it was decided before, and nothing is decided twice. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultDisk } from "../../../test/support/fault-disk.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import type { Disk } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { Config } from "../config/config.ts";
import { parseConfig, type ParsedConfig } from "../config/parse.ts";
import type { Overlay } from "../config/overlay.ts";
import type { Status } from "../status.ts";
import { AuditLog } from "./audit-log.ts";
import { newKey, privateKeyIn, signDocument } from "./document.ts";
import type { Health } from "./health.ts";
import { openRemote, type RemoteConfiguration } from "./remote.ts";

const { pem, publicKey } = newKey();
const watchMs = 60_000;
const local = `version: 1
agent: gw1
sources: [{ name: p, topics: [p] }]
brokers: [{ name: site, urls: ["mqtt://h"] }]
remote: { keys: [{ name: ops, key: "${publicKey}" }], mqtt: { broker: site, topic: t }, watch: 60s }
`;

function parse(overlay?: Overlay): Promise<ParsedConfig> {
  return parseConfig(local, {
    file: "/weir.yaml",
    cwd: "/",
    env: {},
    readFile: () => "",
    ...(overlay === undefined ? {} : { overlay }),
  });
}

async function localConfig(): Promise<Config> {
  const parsed = await parse();
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  return parsed.config;
}

/** Its version is the number of series that it allows. */
function version(number: number): Uint8Array {
  return signed(number, `limits: { series: ${number} }\n`);
}

/** What uplinks go over. */
function links(number: number): Uint8Array {
  return signed(number, "links: [{ name: lte }]\n");
}

function signed(number: number, body: string): Uint8Array {
  const key = privateKeyIn(Buffer.from(pem));
  assert.ok(key);
  const about = { agent: "gw1", issued: "2026-11-29T11:00:00Z", expires: undefined };
  return signDocument({ ...about, version: number, body }, key);
}

const well: Health & Pick<Status, "clock"> = {
  degraded: [],
  uplinks: [],
  brokers: [],
  memory: { ceiling: undefined },
  clock: { now: 1_796_000_000_000, trusted: true },
};
const ill: typeof well = { ...well, degraded: [{ name: "failed", message: "it has failed" }] };

/** Whether the endpoint of each document is. */
let isThere = true;

/** A process with configurations from afar, and the agents it runs. */
class Process {
  readonly remote: RemoteConfiguration;
  readonly clock: SimulatedClock;
  readonly said: string[] = [];
  health = well;

  constructor(remote: RemoteConfiguration, clock: SimulatedClock) {
    this.remote = remote;
    this.clock = clock;
  }

  static async start(disk: Disk): Promise<Process> {
    const clock = new SimulatedClock(1_796_000_000_000);
    const said: string[] = [];
    const remote = await openRemote({
      disk,
      clock,
      directory: "/data/remote",
      local: await localConfig(),
      parse,
      problemsOf: () => Promise.resolve([]),
      endpointsOf: () => [
        {
          name: "http:h:80/",
          reach: () => (isThere ? Promise.resolve() : Promise.reject(new Error("nobody is there"))),
        },
      ],
      say: (_, facts) => said.push(String(facts["kind"])),
    });
    return Object.assign(new Process(remote, clock), { said });
  }

  /** An agent until another configuration is to be used; its series. */
  async run(use: () => Promise<void>): Promise<number> {
    const { seriesMax } = await this.remote.begin();
    const status = (): Status => this.health as unknown as Status;
    const stop = this.remote.started({ status });
    await use();
    stop();
    return seriesMax;
  }

  offer(...documents: readonly Uint8Array[]): void {
    this.remote.offer({ documents, from: "mqtt", isHistory: false, isShared: false });
  }

  async turns(): Promise<void> {
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  async pass(): Promise<void> {
    await this.clock.pass(watchMs);
    await this.turns();
  }
}

function diskOf(seed: number): FaultDisk {
  return new FaultDisk(seededRandom(seed));
}

const localSeries = 10_000;

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

test("an endpoint that it brings and that is not there is its fault, though nothing is sent to it", async (t) => {
  isThere = false;
  t.after(() => {
    isThere = true;
  });
  const process = await Process.start(diskOf(1).mount());
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

test("a state that cannot be read just now is not forgotten: the process ends", async () => {
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

test("refusals push no decision out of the audit log", async () => {
  const disk = diskOf(1);
  const clock = new SimulatedClock(1_796_000_000_000);
  const log = new AuditLog({ disk: disk.mount(), clock, path: "/data/remote/audit.ndjson" });
  await log.note({ kind: "accepted", digest: "a", version: 1 });
  await log.note({ kind: "proven", digest: "a", version: 1 });
  await log.note({ kind: "rolled_back", digest: "b", version: 2 });
  for (let at = 0; at < 2 * limits.remoteAuditMax; at++) {
    await clock.pass(10_000);
    await log.note({ kind: "refused", code: "malformed", digest: String(at) });
    if (at % 2 === 0) await log.note({ kind: "unusable", digest: String(at) });
  }
  const kinds = log.entries.map(({ kind }) => kind);
  assert.equal(kinds.length, limits.remoteAuditMax);
  assert.deepEqual(kinds.slice(0, 3), ["accepted", "proven", "rolled_back"]);
  assert.equal(kinds.filter((kind) => kind === "refused").length, limits.remoteAuditRefusedMax);
  const again = new AuditLog({ disk: disk.mount(), clock, path: "/data/remote/audit.ndjson" });
  await again.open();
  assert.deepEqual(again.entries, log.entries);
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
