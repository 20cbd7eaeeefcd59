/**
 * A Frame: what one record of the log holds, and what one step of `apply` takes. Everything that
 * decides an output is in it, before its first use: the clock, new names, counts of what never
 * became a reading, dead letters, readings.
 *
 *   position p        the clock observation, definitions, counts and dead letters
 *   position p+1..p+n the n rows of the batch
 *
 * so a frame of n rows takes n + 1 positions and the log is gapless.
 */

import type { Batch } from "./batch.ts";
import type { DeviceId, Millis, SeriesId, SourceId, SymbolId } from "./units.ts";

/** Tag names and values, sorted by name. */
export type Tags = readonly (readonly [name: string, value: string])[];

/**
 * How far a body that was posted under a key of its sender's is taken: the messages of this frame and
 * of those before it. What comes again under the same key goes on behind them, or takes nothing.
 */
export type Posted = {
  readonly kind: "posted";
  /** 1 to 64 visible ASCII characters. */
  readonly key: string;
  /** Of what was posted: the same under the same key, or it is refused. */
  readonly digest: string;
  /** The gateway's clock, ms since 1970; 0 where it was not believed. */
  readonly at: number;
  /** Nothing of it is to come. */
  readonly isWhole: boolean;
  /** Messages so far by what became of them; `unwanted`: of topics that no source wants. */
  readonly decoded: number;
  readonly deadLettered: number;
  readonly unwanted: number;
};

/** What the catalog is made of: a name and its dense id (of each kind in order, from 0, without gaps), or the configuration. */
export type Named =
  | { readonly kind: "source"; readonly id: SourceId; readonly name: string }
  | {
      readonly kind: "device";
      readonly id: DeviceId;
      readonly source: SourceId;
      readonly tags: Tags;
    }
  | {
      readonly kind: "series";
      readonly id: SeriesId;
      readonly device: DeviceId;
      readonly metric: string;
    }
  | { readonly kind: "symbol"; readonly id: SymbolId; readonly text: string }
  /** The effective configuration from here on: canonical JSON of a DataflowSpec, no secrets. */
  | { readonly kind: "config"; readonly json: string };

export type Definition = Named | Posted;

/** What became of the messages of one source since the last frame; all are increments. */
export type MessageCounts = {
  readonly source: SourceId;
  /** Messages whose payload gave readings (possibly none). */
  readonly decoded: number;
  readonly deadLettered: number;
  /** Messages given up because a bound was reached; never an acknowledged one. */
  readonly shed: number;
  /** Readings refused before the log because a cardinality limit was reached. */
  readonly rejected: number;
};

export type DeadLetterReason =
  | "json_invalid"
  | "cbor_invalid"
  | "number_invalid"
  | "time_invalid"
  | "time_missing"
  | "shape_unsupported"
  | "too_many_readings"
  | "payload_too_large";

/** A message that could not be decoded. */
export type DeadLetter = {
  readonly source: SourceId;
  readonly topic: string;
  readonly arrived: Millis;
  readonly reason: DeadLetterReason;
  /** Where in the payload the decoder stopped, in bytes. */
  readonly offset: number;
  /** The payload, cut to limits.deadLetterBytesMax; `payloadBytes` is its full length. */
  readonly payload: Uint8Array;
  readonly payloadBytes: number;
};

export type Frame = {
  /** The gateway's clock when the frame was sealed. */
  readonly clock: Millis;
  /** False while the clock is known to be wrong (no battery clock, not yet set): then nothing is compared with it. */
  readonly clockTrusted: boolean;
  readonly definitions: readonly Definition[];
  readonly counts: readonly MessageCounts[];
  readonly deadLetters: readonly DeadLetter[];
  readonly batch: Batch;
};
