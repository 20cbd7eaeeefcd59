/**
 * An intake on a clock that stands still, and what came out of it by name, for tests that compare
 * readings.
 */

import { createIntake, type Intake, type IntakeLimits } from "../../src/agent/ingest/intake.ts";
import { NO_SOURCE } from "../../src/agent/ingest/receiver.ts";
import { type SourceConfig, sourceDefaults } from "../../src/agent/ingest/source-config.ts";
import { KIND_SYMBOL } from "../../src/core/batch.ts";
import { Catalog } from "../../src/core/catalog.ts";
import type { Clock } from "../../src/core/doors.ts";
import type { Frame } from "../../src/core/frame.ts";
import { millis, seriesId, symbolId } from "../../src/core/units.ts";

/** Where the clock stands. */
export const NOW = 1_700_000_000_000;

export type Bench = { readonly intake: Intake; readonly catalog: Catalog };

/** A row by names: `temp{device=p1}`. */
export type NamedReading = {
  readonly series: string;
  readonly time: number;
  readonly value: number | string;
  readonly kind: number;
  readonly sequence: number;
};

export function source(config: Partial<SourceConfig>): SourceConfig {
  return { ...sourceDefaults, name: "plant", topics: ["plant/{device}"], ...config };
}

export function openBench(
  sources: readonly SourceConfig[] = [source({})],
  limits: Partial<IntakeLimits> = {},
  catalog: Catalog = new Catalog(),
): Bench {
  return { catalog, intake: createIntake({ catalog, sources, clock: stillClock, limits }) };
}

/** What `receive` said; undefined where no source wants the topic. */
export function give(
  { intake }: Bench,
  topic: string,
  payload: string | Uint8Array,
): boolean | undefined {
  const topicBytes = Buffer.from(topic);
  const handle = intake.topicOf(topicBytes, 0, topicBytes.length);
  if (handle === NO_SOURCE) return undefined;
  // Bytes around the payload, as in a socket's buffer: a decoder that reads on would show.
  const around = Buffer.concat([Buffer.from('{"x'), Buffer.from(payload), Buffer.from('9"}1')]);
  return intake.receive(handle, around, 3, around.length - 4);
}

/** The open frame; what was in it is copied out, and its half is free again. */
export function take(bench: Bench): Frame & { readonly readings: readonly NamedReading[] } {
  const frame = bench.intake.seal(millis(NOW), true);
  const readings = readingsOf(frame, bench.catalog);
  bench.intake.recycle();
  return { ...frame, readings };
}

export function readingsOf({ batch }: Frame, catalog: Catalog): NamedReading[] {
  return Array.from({ length: batch.rows }, (_, row) => {
    const kind = batch.kind[row]!;
    const value = batch.value[row]!;
    return {
      series: catalog.seriesName(seriesId(batch.series[row]!)),
      time: batch.time[row]!,
      value: (kind & KIND_SYMBOL) === 0 ? value : catalog.symbol(symbolId(value)),
      kind,
      sequence: batch.sequence[row]!,
    };
  });
}

export const stillClock: Clock = {
  now: () => millis(NOW),
  monotonic: () => 0,
  after: () => () => undefined,
  soon: () => undefined,
};
