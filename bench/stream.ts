/**
 * A stream of readings for the operators: every series once a second of event time, in an order that
 * is shuffled once, as messages of many devices come in; ten seconds of readings, then ten of
 * silence, so that sessions end. Batches are made once and filled again for each round; filling
 * is not measured.
 */

import { type Batch, createBatch, KIND_SYMBOL } from "../src/core/batch.ts";
import { Catalog } from "../src/core/catalog.ts";
import { deviceId, millis, position, seriesId, sourceId, symbolId } from "../src/core/units.ts";
import type { Step } from "../src/edge-ops/operator.ts";

export type StreamOptions = {
  readonly seriesCount: number;
  /** Readings of a round, at least; rounded up to whole spells of ten readings per series. */
  readonly readingsMin: number;
};

export type Stream = {
  readonly catalog: Catalog;
  readonly readings: number;
  readonly steps: readonly Step[];
};

const METRICS_PER_DEVICE = 10;
const SPELL = 10;
const SPELL_MS = SPELL * 2_000;
const BATCH_ROWS = 8_192;
const SYMBOLS = ["running", "idle", "stopped", "starting", "fault", "service", "door open", "off"];
/** A multiple of all window sizes. */
const START_MS = 1_700_000_040_000;

export function createStream({ seriesCount, readingsMin }: StreamOptions): Stream {
  const spells = Math.ceil(readingsMin / (seriesCount * SPELL));
  const readings = spells * SPELL * seriesCount;
  const catalog = catalogOf(seriesCount);
  const order = shuffled(seriesCount);
  const steps: Step[] = [];
  for (let from = 0; from < readings; from += BATCH_ROWS) {
    const rows = Math.min(BATCH_ROWS, readings - from);
    const batch = createBatch(rows);
    const step = stepOf(batch, from);
    for (let row = 0; row < rows; row++) {
      batch.series[row] = order[(from + row) % seriesCount]!;
      step.device[row] = Math.floor(batch.series[row]! / METRICS_PER_DEVICE);
    }
    batch.rows = rows;
    steps.push(step);
  }
  return { catalog, readings, steps };
}

/** Fills the batches with the readings of this round, numbers or symbols. */
export function fillStream(stream: Stream, round: number, kind: "number" | "symbol"): void {
  const { readings, steps, catalog } = stream;
  const cyclesPerRound = readings / catalog.seriesCount;
  const next = uniform(round);
  let index = 0;
  for (const { batch, device, watermark } of steps) {
    batch.kind.fill(kind === "symbol" ? KIND_SYMBOL : 0);
    for (let row = 0; row < batch.rows; row++, index++) {
      const cycle = round * cyclesPerRound + Math.floor(index / catalog.seriesCount);
      const spell = Math.floor(cycle / SPELL);
      const phaseMs = (device[row]! * 37) % 1_000;
      batch.time[row] = START_MS + spell * SPELL_MS + (cycle % SPELL) * 1_000 + phaseMs;
      watermark[row] = batch.time[row]!;
      const u = next();
      batch.value[row] =
        kind === "number" ? Math.round((20 + 5 * u + 3 * next()) * 100) / 100 : symbolOf(u);
    }
  }
}

/** The clock of the gateway with the last row of the step. */
export function clockOf({ batch }: Step): ReturnType<typeof millis> {
  return millis(batch.time[batch.rows - 1]!);
}

function stepOf(batch: Batch, from: number): Step {
  const rows = batch.series.length;
  return {
    batch,
    at: position(from),
    accepted: Uint32Array.from({ length: rows }, (_, row) => row),
    acceptedCount: rows,
    device: new Uint32Array(rows),
    watermark: new Float64Array(rows),
  };
}

function catalogOf(seriesCount: number): Catalog {
  const catalog = new Catalog();
  const source = sourceId(0);
  catalog.define({ kind: "source", id: source, name: "plant" });
  for (let id = 0; id < seriesCount; id++) {
    const device = deviceId(Math.floor(id / METRICS_PER_DEVICE));
    if (device === catalog.deviceCount) {
      catalog.define({ kind: "device", id: device, source, tags: [["device", `d${device}`]] });
    }
    const metric = `m${id % METRICS_PER_DEVICE}`;
    catalog.define({ kind: "series", id: seriesId(id), device, metric });
  }
  for (const text of SYMBOLS) {
    catalog.define({ kind: "symbol", id: symbolId(catalog.symbolCount), text });
  }
  return catalog;
}

/** Most of the time the first one; ids 0 and 1 are false and true. */
function symbolOf(u: number): number {
  return 2 + Math.floor(u * u * u * SYMBOLS.length);
}

function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  const next = uniform(count);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** Numbers in [0, 1) from a seed (mulberry32). */
function uniform(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
