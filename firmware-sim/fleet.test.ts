import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { test } from "node:test";
import { Aedes } from "aedes";
import { faultPresets } from "./fault.ts";
import { type FleetOptions, type FleetOutcome, runFleet } from "./fleet.ts";
import { type PlanOptions, planDefaults, planPrograms, planSpecs } from "./plan.ts";
import type { TruthLine } from "./truth.ts";

const base: PlanOptions = { ...planDefaults, devices: 20, durationMs: 20_000 };

type TestBroker = {
  readonly port: number;
  /** Topic and bytes of every PUBLISH of a client, in order of arrival. */
  readonly received: string[];
  readonly sockets: Set<Socket>;
  [Symbol.asyncDispose](): Promise<void>;
};

async function openBroker(): Promise<TestBroker> {
  const aedes = await Aedes.createBroker();
  const received: string[] = [];
  const sockets = new Set<Socket>();
  aedes.on("publish", ({ topic, payload }, client) => {
    if (client !== null) received.push(`${topic} ${payload.toString("latin1")}`);
  });
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    aedes.handle(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return {
    port: address.port,
    received,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
    },
  };
}

type Play = { readonly outcome: FleetOutcome; readonly lines: readonly TruthLine[] };

/** Plays the plan as fast as the broker acknowledges, unless told otherwise. */
async function play(
  port: number,
  plan: PlanOptions,
  change: Partial<FleetOptions> = {},
): Promise<Play> {
  const lines: TruthLine[] = [];
  const outcome = await runFleet({
    broker: { host: "127.0.0.1", port, username: undefined, password: undefined },
    seed: plan.seed,
    clientPrefix: "test",
    devices: planSpecs(plan).map(({ device }) => device),
    start: () => ({ epochMs: plan.epochMs, programs: planPrograms(plan), header: {} }),
    speed: Number.POSITIVE_INFINITY,
    reconnectMsMax: 100,
    writeTruth: (line) => void lines.push(line),
    progress: () => undefined,
    stop: new AbortController().signal,
    ...change,
  });
  return { outcome, lines };
}

/** What the plan says must arrive. */
function planned(plan: PlanOptions): string[] {
  return planPrograms(plan).flatMap(({ events }) => {
    const sent: string[] = [];
    for (let next = events.next(); next.done !== true; next = events.next()) {
      if (next.value.kind !== "message") continue;
      const { topic, payload } = next.value.message;
      sent.push(`${topic} ${payload.toString("latin1")}`);
    }
    return sent;
  });
}

test("the broker receives exactly the plan, and the truth counts it", async () => {
  await using broker = await openBroker();
  const { outcome, lines } = await play(broker.port, { ...base, faults: faultPresets.none });
  assert.ok(outcome.kind === "done");
  const expected = planned({ ...base, faults: faultPresets.none });
  assert.deepEqual(broker.received.toSorted(), expected.toSorted());
  assert.equal(outcome.counts.messages, expected.length);
  assert.equal(outcome.counts.acked, outcome.counts.qos1);
  assert.equal(outcome.counts.dropped, 0);
  const devices = lines.filter(({ line }) => line === "device");
  assert.equal(devices.length, base.devices);
  assert.equal(lines[0]?.["line"], "options");
});

test("with faults everything with QoS 1 arrives, through broken connections", async () => {
  await using broker = await openBroker();
  const { many } = faultPresets;
  const faults = { ...many, disconnect: { ...many.disconnect, perHour: 60 } };
  const plan = { ...base, qos1: 1, durationMs: 180_000, faults };
  const { outcome, lines } = await play(broker.port, plan);
  assert.ok(outcome.kind === "done");
  assert.ok(outcome.reconnects > 0 && outcome.counts.duplicates > 0);
  assert.equal(outcome.counts.acked, outcome.counts.messages);
  // A message whose PUBACK was lost with the connection is sent again: at least once.
  const left = new Map(Map.groupBy(broker.received, (bytes) => bytes));
  for (const [bytes, copies] of Map.groupBy(planned(plan), (each) => each)) {
    assert.ok((left.get(bytes)?.length ?? 0) >= copies.length, bytes);
    left.delete(bytes);
  }
  assert.equal(left.size, 0);
  const begun = Object.values(outcome.faults).reduce((sum, count) => sum + count, 0);
  assert.equal(lines.filter(({ line }) => line === "fault").length, begun);
});

test("300 devices connect, send and are counted", async () => {
  await using broker = await openBroker();
  const plan = { ...base, devices: 300, durationMs: 3_000 };
  const { outcome } = await play(broker.port, plan);
  assert.ok(outcome.kind === "done");
  assert.equal(outcome.counts.messages, planned(plan).length);
  assert.equal(broker.received.length, outcome.counts.messages);
  assert.equal(outcome.counts.acked, outcome.counts.qos1);
});

test("a stop ends an endless fleet cleanly, with its truth", async () => {
  await using broker = await openBroker();
  const stop = new AbortController();
  const plan = { ...base, durationMs: Number.POSITIVE_INFINITY, intervalMs: 100 };
  const enough = setInterval(() => {
    if (broker.received.length > 500) stop.abort();
  }, 5);
  const { outcome, lines } = await play(broker.port, plan, { speed: 10, stop: stop.signal });
  clearInterval(enough);
  assert.ok(outcome.kind === "done");
  assert.ok(outcome.counts.messages > 500);
  assert.equal(outcome.counts.acked, outcome.counts.qos1);
  assert.equal(broker.received.length, outcome.counts.messages);
  assert.equal(lines.filter(({ line }) => line === "device").length, base.devices);
});

test("connections cut by the broker come back and lose no QoS 1 message", async () => {
  await using broker = await openBroker();
  const plan = { ...base, devices: 5, qos1: 1, durationMs: 600_000, faults: faultPresets.none };
  let cuts = 0;
  const cut = setInterval(() => {
    if (cuts > 0 || broker.received.length < 200) return;
    cuts += 1;
    for (const socket of broker.sockets) socket.destroy();
  }, 1);
  const { outcome } = await play(broker.port, plan);
  clearInterval(cut);
  assert.ok(outcome.kind === "done");
  assert.equal(cuts, 1);
  assert.ok(outcome.reconnects >= 5);
  assert.equal(outcome.counts.acked, outcome.counts.messages);
  const received = new Set(broker.received);
  assert.ok(planned(plan).every((bytes) => received.has(bytes)));
});
