/**
 * Tells resent messages from new ones, in one of two ways. Two outputs: new, and resent.
 *
 *   identity   the same key and id came within the last so many, and not longer ago than so long
 *   reading    the same key, time and number, as weir's accept stage tells it (DuplicateRing), among the
 *              last so many of the key
 */

import { flowLimits } from "../../../src/core/flow-limits.ts";
import type { Settings } from "../migrations.ts";
import type { Message, Outputs } from "../red.ts";
import { choiceIn, numberIn, textIn, wholeIn } from "../settings.ts";
import { type Machine, nothing, type Started } from "./machine.ts";
import { keyOf, type PropertyReader, textOf } from "./reading.ts";
import { RecentIdentities } from "./recent-identities.ts";
import { openStream, type Stream } from "./stream.ts";
import {
  parsed,
  refuseAhead,
  SECONDS_MAX,
  type StreamSettings,
  streamSettings,
} from "./stream-settings.ts";

type Context = { readonly read: PropertyReader; readonly now: number };

const VERSION = 1;
/** What is kept beside the identities, at most, in characters. */
const FRAME_LENGTH = 64;

export function startDedupe(
  settings: Settings,
  kept: string | undefined,
  context: Context,
): Started {
  return choiceIn(settings, "by", ["identity", "reading"]) === "identity"
    ? startByIdentity(settings, kept, context)
    : startByReading(settings, kept, context);
}

function startByReading(
  settings: Settings,
  kept: string | undefined,
  { read, now }: Context,
): Started {
  // When a message came says nothing about when it was measured.
  const shared = streamSettings({ ...settings, timeFrom: "message" }, read);
  const duplicateRing = wholeIn(settings, "ring", { min: 1, max: flowLimits.duplicateRingMax });
  if (duplicateRing * shared.options.keysMax > flowLimits.panesMax) {
    throw new Error(
      `${shared.options.keysMax} keys with ${duplicateRing} readings each are over ${flowLimits.panesMax}: set fewer`,
    );
  }
  const { stream, trouble } = openStream({ ...shared.options, duplicateRing }, parsed(kept), now);
  return {
    machine: new ReadingMachine(stream, shared.readingOf),
    leftover: nothing,
    ...(trouble === undefined ? {} : { trouble }),
  };
}

class ReadingMachine implements Machine {
  readonly #stream: Stream;
  readonly #readingOf: StreamSettings["readingOf"];
  #dropped = 0;

  constructor(stream: Stream, readingOf: StreamSettings["readingOf"]) {
    this.#stream = stream;
    this.#readingOf = readingOf;
  }

  take(message: Message, now: number): Outputs {
    const reading = this.#readingOf(message);
    const { outcome } = this.#stream.take(reading, now);
    if (outcome === "ahead") refuseAhead(reading);
    if (outcome !== "duplicate") return [[message]];
    this.#dropped += 1;
    return [[], [message]];
  }

  wake(): Outputs {
    return nothing;
  }

  wakeAt(): number {
    return Number.POSITIVE_INFINITY;
  }

  keep(): string | undefined {
    const kept = this.#stream.keep();
    return kept === undefined ? undefined : JSON.stringify(kept);
  }

  counts(): Readonly<Record<string, number>> {
    return { keys: this.#stream.keyCount, dropped: this.#dropped };
  }
}

type Kept = {
  readonly version: number;
  readonly identities: readonly (readonly [identity: string, usedAt: number])[];
};

function startByIdentity(
  settings: Settings,
  kept: string | undefined,
  { read, now }: Context,
): Started {
  const identitiesMax = wholeIn(settings, "remember", { min: 1, max: flowLimits.identitiesMax });
  const withinMs = numberIn(settings, "withinSeconds", { min: 0, max: SECONDS_MAX }) * 1_000;
  const keyPath = textIn(settings, "keyProperty", true);
  const idPath = textIn(settings, "idProperty");
  const identityOf = (message: Message): string =>
    JSON.stringify([keyOf(read, message, keyPath), textOf(read, message, idPath)]);
  const machine = new IdentityMachine({ identitiesMax, withinMs }, identityOf);
  if (kept === undefined) return { machine, leftover: nothing };
  const state = parsed(kept);
  if (!isKept(state)) {
    const trouble =
      "what was kept is of another version, or of another way to tell: it begins anew";
    return { machine, leftover: nothing, trouble };
  }
  machine.load(state, now);
  return { machine, leftover: nothing };
}

class IdentityMachine implements Machine {
  /** 0: for ever. */
  readonly #withinMs: number;
  readonly #identityOf: (message: Message) => string;
  /** As of when each came first: a resent message does not make it younger. */
  readonly #seen: RecentIdentities;
  #dropped = 0;
  #hasChanged = false;

  constructor(
    bounds: { readonly identitiesMax: number; readonly withinMs: number },
    identityOf: (message: Message) => string,
  ) {
    this.#withinMs = bounds.withinMs;
    this.#identityOf = identityOf;
    this.#seen = new RecentIdentities(
      bounds.identitiesMax,
      flowLimits.stateLengthMax - FRAME_LENGTH,
    );
  }

  take(message: Message, now: number): Outputs {
    const identity = this.#identityOf(message);
    if (this.#withinMs > 0) {
      this.#seen.clampTo(now);
      this.#seen.dropBefore(now - this.#withinMs);
    }
    if (this.#seen.has(identity)) {
      this.#dropped += 1;
      return [[], [message]];
    }
    this.#remember(identity, now);
    return [[message]];
  }

  wake(): Outputs {
    return nothing;
  }

  wakeAt(): number {
    return Number.POSITIVE_INFINITY;
  }

  keep(): string | undefined {
    if (!this.#hasChanged) return undefined;
    this.#hasChanged = false;
    const kept: Kept = { version: VERSION, identities: [...this.#seen.list()] };
    return JSON.stringify(kept);
  }

  load({ identities }: Kept, now: number): void {
    for (const [identity, at] of identities) this.#remember(identity, at);
    this.#seen.clampTo(now);
  }

  counts(): Readonly<Record<string, number>> {
    return { seen: this.#seen.size, dropped: this.#dropped };
  }

  #remember(identity: string, now: number): void {
    this.#seen.add(identity, now);
    this.#hasChanged = true;
  }
}

function isKept(value: unknown): value is Kept {
  if (typeof value !== "object" || value === null) return false;
  return "version" in value && value.version === VERSION && "identities" in value;
}
