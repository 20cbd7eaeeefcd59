/**
 * A device: what it is, and the events of its life in device time.
 *
 *   machine -> sampler (sensor faults) -> clock (ts, seq) -> encode -> radio (link faults) -> events
 *
 * Invariants: events come in time order; every sample ends up in exactly one original or backlog
 * message, or in a `lost` event, unless a dropout silenced the device; seq counts the samples.
 */
import assert from "node:assert/strict";
import type { DeviceEvent, Message, ReadingTruth } from "./event.ts";
import { type Fault, openFaultCalendar } from "./fault.ts";
import { entryAt, type MachineKind } from "./machines/catalog.ts";
import type { Machine } from "./machines/machine.ts";
import {
  encodeBare,
  encodeBatch,
  encodeCbor,
  encodeJson,
  encodePoint,
  type Flat,
} from "./payload.ts";
import type { PlanOptions } from "./plan.ts";
import { openRadio } from "./radio.ts";
import { chance, type Random, randomOf } from "./random.ts";
import { openSampler, type Sample } from "./sampler.ts";

export type Format = "json" | "cbor" | "bare" | "point";

export type DeviceSpec = {
  readonly index: number;
  readonly device: string;
  readonly kind: MachineKind;
  readonly format: Format;
  /** Topic without its last level. */
  readonly base: string;
  /** Sends a device time. */
  readonly timed: boolean;
  readonly qos: 0 | 1;
  /** Where in the interval its reports fall, as a share. */
  readonly phase: number;
  readonly make: (random: Random) => Machine;
};

/** A sample as the device stamped it. */
type Stamped = { readonly sample: Sample; readonly flat: Flat; readonly faults: readonly Fault[] };

/** Devices on one line or site, whatever the size of the fleet. */
const devicesPerLine = 50;
const dayMs = 86_400_000;

/** The device with this index; depends on seed, index and the shares only. */
export function specOf(index: number, options: PlanOptions): DeviceSpec {
  const random = randomOf(options.seed, `spec/${index}`);
  const entry = entryAt(random());
  const qos = chance(random, options.qos1) ? 1 : 0;
  const cbor = chance(random, options.cbor);
  const clockless = chance(random, options.clockless);
  const point = chance(random, options.points);
  const phase = random();
  const format = entry.flat ? (cbor ? "cbor" : "json") : point ? "point" : "bare";
  const device = `${entry.kind}-${String(index + 1).padStart(4, "0")}`;
  const place = 1 + Math.floor(index / devicesPerLine);
  return {
    index,
    device,
    kind: entry.kind,
    format,
    base: `${rootOf(format, place)}/${device}`,
    timed: format === "point" || (entry.flat && !clockless),
    qos,
    phase,
    make: entry.make,
  };
}

function rootOf(format: Format, place: number): string {
  switch (format) {
    case "json":
    case "cbor":
      return `plant/line-${place}`;
    case "bare":
      return `meter/site-${place}`;
    case "point":
      return `sensor/site-${place}`;
  }
}

/** The events of the device, drawn lazily; endless when the duration is. */
export function* deviceEvents(
  spec: DeviceSpec,
  options: PlanOptions,
): Generator<DeviceEvent, void, undefined> {
  const machine = spec.make(randomOf(options.seed, `${spec.device}/machine`));
  const calendar = openFaultCalendar(options.faults, {
    device: spec.device,
    seed: options.seed,
    intervalMs: options.intervalMs,
    durationMs: options.durationMs,
    targets: machine.metrics.filter((metric) => metric.kind === "number"),
    without: spec.timed ? [] : ["clock", "future"],
  });
  const sampler = openSampler(machine, calendar);
  const radio = openRadio<Stamped>({
    random: randomOf(options.seed, `${spec.device}/radio`),
    durationMs: options.durationMs,
    keepsBacklog: spec.timed,
    encode: (stamped) => encodeSample(spec, stamped),
    encodeBacklog: (backlog) => encodeBacklog(spec, backlog),
  });
  let seq = 0;
  let before = 0;

  for (const at of reportTimes(spec, options)) {
    radio.advance(at, calendar.begun(at));
    yield* radio.due(at);
    const day = ((options.epochMs + at) % dayMs) / dayMs;
    const sample = sampler.sample(at, (at - before) / 1_000, day);
    before = at;
    if (calendar.active("dropout", at) !== undefined) continue;
    const wrong = calendar.active("future", at) ?? calendar.active("clock", at);
    const stamped = stamp(spec, sample, options.epochMs + at, seq, wrong);
    seq += 1;
    radio.transmit(at, stamped, {
      disconnect: calendar.active("disconnect", at),
      disorder: calendar.active("disorder", at),
      duplicate: calendar.active("duplicate", at),
    });
  }
  radio.advance(options.durationMs, calendar.begun(options.durationMs));
  yield* radio.due(options.durationMs);
}

/** Slots one interval apart, each report early or late by the jitter; even milliseconds. */
function* reportTimes(spec: DeviceSpec, options: PlanOptions): Generator<number> {
  const random = randomOf(options.seed, `${spec.device}/report`);
  const { intervalMs, jitter } = options;
  for (let slot = 0; ; slot += 1) {
    const share = slot + spec.phase + jitter * (2 * random() - 1);
    const at = 2 * Math.floor((Math.max(0, share) * intervalMs) / 2);
    if (at >= options.durationMs) return;
    yield at;
  }
}

function stamp(
  spec: DeviceSpec,
  sample: Sample,
  now: number,
  seq: number,
  wrong: Fault | undefined,
): Stamped {
  const flat: Flat = {
    ts: spec.timed ? now + (wrong?.magnitude ?? 0) : undefined,
    seq: spec.timed ? seq : undefined,
    fields: sample.fields,
  };
  return { sample, flat, faults: wrong === undefined ? sample.faults : [...sample.faults, wrong] };
}

function encodeSample(spec: DeviceSpec, stamped: Stamped): readonly Message[] {
  const { flat } = stamped;
  switch (spec.format) {
    case "json":
      return [messageOf(spec, "state", encodeJson(flat), [stamped])];
    case "cbor":
      return [messageOf(spec, "cbor", encodeCbor(flat), [stamped])];
    case "bare":
      return flat.fields.map(([metric, value]) =>
        metricMessageOf(spec, { metric, value, ts: undefined }, encodeBare(value), stamped),
      );
    case "point": {
      const { ts } = flat;
      assert(ts !== undefined, "a device that sends points has a clock");
      return flat.fields.map(([metric, value]) =>
        metricMessageOf(spec, { metric, value, ts }, encodePoint(value, ts), stamped),
      );
    }
  }
}

/** JSON devices have a form for many samples at once; the others send them one by one. */
function encodeBacklog(spec: DeviceSpec, backlog: readonly Stamped[]): readonly Message[] {
  if (spec.format !== "json") return backlog.flatMap((stamped) => encodeSample(spec, stamped));
  return [messageOf(spec, "batch", encodeBatch(backlog.map(({ flat }) => flat)), backlog)];
}

function messageOf(
  spec: DeviceSpec,
  level: string,
  payload: Buffer,
  samples: readonly Stamped[],
): Message {
  const values = samples.flatMap(({ flat: { ts, fields } }) =>
    fields.map(([metric, value]) => ({ metric, value, ts })),
  );
  const faults = [...new Set(samples.flatMap((stamped) => stamped.faults))];
  const truth = { role: "original", readings: values.length, values, faults } as const;
  return { topic: `${spec.base}/${level}`, payload, qos: spec.qos, dup: false, truth };
}

function metricMessageOf(
  spec: DeviceSpec,
  reading: ReadingTruth,
  payload: Buffer,
  { faults }: Stamped,
): Message {
  const { metric } = reading;
  const own = faults.filter((fault) => fault.metric === undefined || fault.metric === metric);
  const truth = { role: "original", readings: 1, values: [reading], faults: own } as const;
  return { topic: `${spec.base}/${metric}`, payload, qos: spec.qos, dup: false, truth };
}
