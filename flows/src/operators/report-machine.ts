/**
 * Report by exception: a message passes when its value left the band around the one that passed last, or
 * when none of its key has passed for so long. One output.
 *
 *   absolute   |value - last| > band
 *   percent    |value - last| > band % of |last|
 *   change     value is another; texts and booleans, too
 *
 * The band is around what was reported, not around what came last: a slow drift is reported, too.
 */

import { flowLimits } from "../../../src/core/flow-limits.ts";
import type { Settings } from "../migrations.ts";
import type { Message, Outputs } from "../red.ts";
import { choiceIn, numberIn, textIn, wholeIn } from "../settings.ts";
import { BoundedKeys } from "./bounded-keys.ts";
import { type Machine, nothing, type Started } from "./machine.ts";
import { keyOf, numberOf, type PropertyReader, textOf } from "./reading.ts";
import { parsed, SECONDS_MAX } from "./stream-settings.ts";

type Rule = {
  readonly mode: "absolute" | "percent" | "change";
  readonly band: number;
  readonly silenceMs: number;
  readonly keysMax: number;
  readonly forgetMs: number;
};

type Reported = { readonly value: number | string; readonly at: number };

const VERSION = 1;

type Kept = {
  readonly version: number;
  readonly reported: readonly (readonly [key: string, Reported, usedAt: number])[];
};

export function startReport(
  settings: Settings,
  kept: string | undefined,
  { read, now }: { readonly read: PropertyReader; readonly now: number },
): Started {
  const seconds = { min: 0, max: SECONDS_MAX };
  const rule: Rule = {
    mode: choiceIn(settings, "mode", ["absolute", "percent", "change"]),
    band: numberIn(settings, "band", { min: 0, max: Number.MAX_VALUE }),
    silenceMs: numberIn(settings, "silenceSeconds", seconds) * 1_000,
    keysMax: wholeIn(settings, "keysMax", { min: 1, max: flowLimits.keysMax }),
    forgetMs: numberIn(settings, "forgetSeconds", seconds) * 1_000,
  };
  const keyPath = textIn(settings, "keyProperty", true);
  const valuePath = textIn(settings, "valueProperty");
  const valueOf = rule.mode === "change" ? textOf : numberOf;
  const machine = new ReportMachine(rule, (message) => ({
    key: keyOf(read, message, keyPath),
    value: valueOf(read, message, valuePath),
  }));
  if (kept === undefined) return { machine, leftover: nothing };
  const state = parsed(kept);
  if (!isKept(state)) {
    const trouble = "what was kept is of another version of this package: it begins anew";
    return { machine, leftover: nothing, trouble };
  }
  machine.load(state, now);
  return { machine, leftover: nothing };
}

class ReportMachine implements Machine {
  readonly #rule: Rule;
  readonly #readingOf: (message: Message) => { key: string; value: number | string };
  readonly #reported: BoundedKeys<Reported>;
  #passed = 0;
  #dropped = 0;
  #hasChanged = false;

  constructor(
    rule: Rule,
    readingOf: (message: Message) => { key: string; value: number | string },
  ) {
    this.#rule = rule;
    this.#readingOf = readingOf;
    this.#reported = new BoundedKeys(rule);
  }

  take(message: Message, now: number): Outputs {
    const { key, value } = this.#readingOf(message);
    const last = this.#reported.get(key);
    const isDue = last === undefined || this.#isDue(last, value, now);
    this.#reported.set(key, isDue ? { value, at: now } : last, now);
    this.#hasChanged = true;
    if (!isDue) {
      this.#dropped += 1;
      return nothing;
    }
    this.#passed += 1;
    return [[message]];
  }

  /** Silence is ended by a message: without one there is nothing new to say. */
  wake(): Outputs {
    return nothing;
  }

  wakeAt(): number {
    return Number.POSITIVE_INFINITY;
  }

  keep(): string | undefined {
    if (!this.#hasChanged) return undefined;
    this.#hasChanged = false;
    const kept: Kept = { version: VERSION, reported: [...this.#reported.list()] };
    return JSON.stringify(kept);
  }

  /** What does not fit any more is the oldest. */
  load({ reported }: Kept, now: number): void {
    for (const [key, value, usedAt] of reported.slice(-this.#rule.keysMax)) {
      this.#reported.set(key, value, Math.min(usedAt, now));
    }
  }

  counts(): Readonly<Record<string, number>> {
    return { keys: this.#reported.size, passed: this.#passed, dropped: this.#dropped };
  }

  #isDue(last: Reported, value: number | string, now: number): boolean {
    const { mode, band, silenceMs } = this.#rule;
    const silentMs = now - last.at;
    // A clock that was set back says nothing about how long it was.
    if (silenceMs > 0 && (silentMs >= silenceMs || silentMs < 0)) return true;
    if (typeof value === "string" || typeof last.value === "string") return value !== last.value;
    const apart = Math.abs(value - last.value);
    return apart > (mode === "percent" ? (band / 100) * Math.abs(last.value) : band);
  }
}

function isKept(value: unknown): value is Kept {
  if (typeof value !== "object" || value === null) return false;
  return "version" in value && value.version === VERSION && "reported" in value;
}
