import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { specOf } from "./device.ts";
import type { DeviceEvent, Message } from "./event.ts";
import { type FaultKind, type FaultRules, faultKinds, faultPresets } from "./fault.ts";
import { limits } from "./limits.ts";
import { type PlanOptions, planDefaults, planDevice, planProblem, planSpecs } from "./plan.ts";

const minute = 60_000;
const base: PlanOptions = { ...planDefaults, devices: 20, durationMs: 5 * minute };
const many: PlanOptions = { ...base, faults: faultPresets.many, durationMs: 20 * minute };

/** Only this kind, often. */
function only(kind: FaultKind, perHour = 40): FaultRules {
  const { none, many: rules } = faultPresets;
  return { ...none, [kind]: { ...rules[kind], perHour } };
}

function fleetOf(options: PlanOptions): readonly DeviceEvent[] {
  return planSpecs(options).flatMap(({ index }) => planDevice(index, options));
}

function messagesOf(events: readonly DeviceEvent[]): readonly Message[] {
  return events.flatMap((event) => (event.kind === "message" ? [event.message] : []));
}

function digestOf(events: readonly DeviceEvent[]): string {
  const hash = createHash("sha256");
  for (const event of events) {
    hash.update(`${event.kind} ${event.at}\n`);
    if (event.kind === "message") hash.update(event.message.topic).update(event.message.payload);
    else hash.update(JSON.stringify(event));
  }
  return hash.digest("hex").slice(0, 16);
}

/** Payload bytes as text, one entry per message. */
function bytesOf(messages: readonly Message[]): string[] {
  return messages.map(({ topic, payload }) => `${topic} ${payload.toString("latin1")}`);
}

function isTimedJson(index: number, options: PlanOptions): boolean {
  const spec = specOf(index, options);
  return spec.format === "json" && spec.timed;
}

test("the same seed gives the same bytes, on every machine", () => {
  assert.equal(digestOf(fleetOf(many)), digestOf(fleetOf(many)));
  assert.equal(digestOf(fleetOf(many)), "1fe8e206fa9e7c71");
});

test("another seed gives another plan", () => {
  assert.notEqual(digestOf(fleetOf(base)), digestOf(fleetOf({ ...base, seed: 2 })));
});

test("adding devices leaves the others unchanged", () => {
  const larger = { ...many, devices: 100 };
  for (const { index } of planSpecs(base)) {
    assert.equal(digestOf(planDevice(index, many)), digestOf(planDevice(index, larger)));
  }
  assert.deepEqual(planSpecs(larger).slice(0, 20), planSpecs(many));
});

test("a fault kind does not move the values of a device that has others", () => {
  const quiet = messagesOf(planDevice(1, { ...base, faults: faultPresets.none }));
  const moved = messagesOf(planDevice(1, { ...base, faults: only("disorder") }));
  assert.deepEqual(bytesOf(moved).sort(), bytesOf(quiet).sort());
});

test("events of a device come in time order and within the duration", () => {
  for (const { index } of planSpecs(many)) {
    let before = 0;
    for (const { at } of planDevice(index, many)) {
      assert.ok(at >= before && at <= many.durationMs);
      before = at;
    }
  }
});

test("a quiet device reports once per interval with gapless seq and increasing ts", () => {
  const options = { ...base, faults: faultPresets.none, jitter: limits.jitterMax };
  const index = planSpecs(options).findIndex((spec) => isTimedJson(spec.index, options));
  const rows = messagesOf(planDevice(index, options)).map(
    ({ payload }): { ts: number; seq: number } => JSON.parse(payload.toString()),
  );
  assert.equal(rows.length, options.durationMs / options.intervalMs);
  for (const [seq, row] of rows.entries()) {
    assert.equal(row.seq, seq);
    assert.equal(row.ts % 2, 0);
    assert.ok(seq === 0 || row.ts > (rows[seq - 1]?.ts ?? 0));
  }
});

for (const kind of faultKinds) {
  test(`the fault ${kind} leaves its truth, and nothing else does`, () => {
    const options = { ...base, devices: 30, durationMs: 30 * minute, faults: only(kind) };
    const events = fleetOf(options);
    const faults = events.flatMap((event) => (event.kind === "fault" ? [event.fault] : []));
    assert.ok(faults.length > 0);
    assert.ok(faults.every((fault) => fault.kind === kind && fault.start < fault.end));
    const named = new Set(messagesOf(events).flatMap(({ truth }) => truth.faults));
    assert.ok([...named].every((fault) => faults.includes(fault)));
    if (kind === "dropout") assert.equal(named.size, 0);
    else assert.ok(named.size > 0);
  });
}

test("a sensor fault changes exactly the messages that name it", () => {
  for (const kind of ["spike", "drift"] as const) {
    const options = { ...base, durationMs: 20 * minute };
    const index = planSpecs(options).findIndex((spec) => isTimedJson(spec.index, options));
    const healthy = messagesOf(planDevice(index, { ...options, faults: faultPresets.none }));
    const faulty = messagesOf(planDevice(index, { ...options, faults: only(kind) }));
    assert.equal(faulty.length, healthy.length);
    for (const [row, message] of faulty.entries()) {
      const isSame = message.payload.equals(healthy[row]?.payload ?? Buffer.alloc(0));
      // A drift may still be smaller than the sensor's resolution.
      if (message.truth.faults.length === 0) assert.ok(isSame);
      else if (kind === "spike") assert.ok(!isSame);
    }
  }
});

test("a stuck sensor shows one value per interval", () => {
  const options = { ...base, durationMs: 20 * minute, faults: only("stuck") };
  const index = planSpecs(options).findIndex((spec) => isTimedJson(spec.index, options));
  const shown = new Map<object, Set<unknown>>();
  for (const { payload, truth } of messagesOf(planDevice(index, options))) {
    const row: Record<string, unknown> = JSON.parse(payload.toString());
    for (const fault of truth.faults) {
      shown.set(fault, (shown.get(fault) ?? new Set()).add(row[fault.metric ?? ""]));
    }
  }
  assert.ok(shown.size > 0);
  for (const values of shown.values()) assert.equal(values.size, 1);
});

test("a wrong clock is odd, so that it never repeats an honest time", () => {
  for (const kind of ["clock", "future"] as const) {
    const options = { ...base, durationMs: 20 * minute, faults: only(kind) };
    const index = planSpecs(options).findIndex((spec) => isTimedJson(spec.index, options));
    const messages = messagesOf(planDevice(index, options));
    for (const { payload, truth } of messages) {
      const row: { ts: number } = JSON.parse(payload.toString());
      assert.equal(row.ts % 2, truth.faults.length === 0 ? 0 : 1);
      const offset = truth.faults[0]?.magnitude ?? 0;
      assert.ok(Math.abs(offset) <= limits.futureOffsetMsMax + 1);
    }
    assert.ok(messages.some(({ truth }) => truth.faults.length > 0));
  }
});

test("duplicates have identical bytes, follow their original, and set DUP only with QoS 1", () => {
  const options = { ...base, devices: 40, durationMs: 10 * minute, faults: only("duplicate") };
  const dups = { set: 0, clear: 0 };
  for (const { index } of planSpecs(options)) {
    const sent = new Set<string>();
    for (const message of messagesOf(planDevice(index, options))) {
      const [bytes] = bytesOf([message]);
      if (message.truth.role === "copy") assert.ok(sent.has(bytes ?? ""));
      else assert.equal(message.dup, false);
      if (message.dup) assert.equal(message.qos, 1);
      if (message.truth.role === "copy") dups[message.dup ? "set" : "clear"] += 1;
      sent.add(bytes ?? "");
    }
  }
  assert.ok(dups.set > 0 && dups.clear > 0);
});

test("disorder never loses or invents a message", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0 }), fc.integer({ min: 0, max: 19 }), (seed, index) => {
      const options = { ...base, seed, durationMs: 3 * minute };
      const ordered = messagesOf(planDevice(index, { ...options, faults: faultPresets.none }));
      const mixed = messagesOf(planDevice(index, { ...options, faults: only("disorder", 200) }));
      assert.deepEqual(bytesOf(mixed).sort(), bytesOf(ordered).sort());
    }),
    { numRuns: 30 },
  );
});

test("disorder does disorder", () => {
  const options = { ...base, durationMs: 10 * minute, faults: only("disorder") };
  const index = planSpecs(options).findIndex((spec) => isTimedJson(spec.index, options));
  const seqs = messagesOf(planDevice(index, options)).map(
    ({ payload }): number => JSON.parse(payload.toString()).seq,
  );
  assert.ok(seqs.some((seq, row) => row > 0 && seq < (seqs[row - 1] ?? 0)));
});

test("an outage sends its backlog as arrays, each sample once, or names what was lost", () => {
  const options = { ...base, devices: 40, durationMs: 20 * minute, faults: only("disconnect") };
  let batches = 0;
  for (const { index, format, timed } of planSpecs(options)) {
    const quiet = messagesOf(planDevice(index, { ...options, faults: faultPresets.none }));
    const events = planDevice(index, options);
    const sent = messagesOf(events).flatMap(({ topic, payload }) => {
      if (!topic.endsWith("/batch")) return [payload.toString("latin1")];
      batches += 1;
      const rows: unknown[] = JSON.parse(payload.toString());
      assert.ok(rows.length > 0 && rows.length <= limits.batchObjectsMax);
      return rows.map((row) => JSON.stringify(row));
    });
    const lost = events.reduce(
      (sum, event) => sum + (event.kind === "lost" ? event.messages : 0),
      0,
    );
    assert.equal(sent.length + lost, quiet.length);
    if (timed || format === "cbor") {
      const expected = quiet.map(({ payload }) => payload.toString("latin1"));
      if (timed) assert.deepEqual(sent.sort(), expected.sort());
    } else assert.ok(lost > 0 || !events.some(({ kind }) => kind === "linkDown"));
  }
  assert.ok(batches > 0);
});

test("an outage longer than the backlog gives up the oldest, counted", () => {
  const rule = { perHour: 2, msMin: 1_700_000, msMax: 1_800_000, magnitudeMin: 0, magnitudeMax: 0 };
  const faults = { ...faultPresets.none, disconnect: rule };
  const options = { ...base, durationMs: 120 * minute, faults };
  const { index } = planSpecs(options).find((spec) => isTimedJson(spec.index, options)) ?? {};
  assert.ok(index !== undefined);
  const events = planDevice(index, options);
  assert.ok(events.some((event) => event.kind === "lost"));
  const quiet = messagesOf(planDevice(index, { ...options, faults: faultPresets.none }));
  const expected = quiet.reduce((sum, { truth }) => sum + truth.readings, 0);
  const sent = messagesOf(events).reduce((sum, { truth }) => sum + truth.readings, 0);
  const lost = events.reduce((sum, event) => sum + (event.kind === "lost" ? event.readings : 0), 0);
  assert.equal(sent + lost, expected);
});

test("options out of their limits are refused with a sentence", () => {
  assert.equal(planProblem(planDefaults), undefined);
  const bad: readonly Partial<PlanOptions>[] = [
    { seed: -1 },
    { devices: 0 },
    { devices: limits.devicesMax + 1 },
    { intervalMs: 1 },
    { jitter: 0.6 },
    { cbor: 2 },
    { durationMs: 0 },
    { epochMs: 1 },
    {
      faults: {
        ...faultPresets.some,
        duplicate: { ...faultPresets.some.duplicate, magnitudeMax: 9 },
      },
    },
    { faults: { ...faultPresets.some, spike: { ...faultPresets.some.spike, msMin: 1e9 } } },
    {
      faults: { ...faultPresets.some, spike: { ...faultPresets.some.spike, perHour: Number.NaN } },
    },
  ];
  for (const change of bad) {
    assert.match(planProblem({ ...planDefaults, ...change }) ?? "", /must/);
  }
});
