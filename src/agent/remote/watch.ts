/**
 * Watches an agent with a new configuration: well where at the end nothing is wrong that was not wrong
 * before, or has been wrong for less than half of the time.
 *
 *   every second or so          what cannot heal: ill, at once
 *   after `forMs`               what has been wrong since half of it: ill; else well
 */

import type { Clock } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { expiredTrouble, isHopeless, newTroubles, type Trouble } from "./health.ts";

export type Verdict =
  | { readonly kind: "well" }
  | { readonly kind: "ill"; readonly code: "unhealthy" | "expired"; readonly reason: string };

export type WatchOptions = {
  readonly clock: Clock;
  readonly forMs: number;
  readonly troubles: () => readonly Trouble[];
  /** Names of those there were before. */
  readonly before: readonly string[];
  /** Names that count begin with one of these. */
  readonly blames: readonly string[];
  /** Called once, unless it is closed before. */
  readonly onVerdict: (verdict: Verdict) => void;
};

export class Watch {
  readonly #options: WatchOptions;
  readonly #beganAt: number;
  /** When each trouble was first seen without a pause, by the monotonic clock. */
  #since = new Map<string, number>();
  #cancel: () => void = () => undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#beganAt = options.clock.monotonic();
    this.#schedule();
  }

  close(): void {
    this.#cancel();
  }

  #schedule(): void {
    const { clock, forMs } = this.#options;
    const leftMs = this.#beganAt + forMs - clock.monotonic();
    const everyMs = Math.min(limits.remoteLookMs, forMs / limits.remoteLooksMin);
    const waitMs = Math.min(everyMs, Math.max(0, leftMs));
    this.#cancel = clock.after(waitMs, () => this.#look());
  }

  #look(): void {
    const { clock, forMs, before, blames, troubles, onVerdict } = this.#options;
    const now = clock.monotonic();
    const ours = newTroubles(troubles(), before).filter(({ name }) =>
      blames.some((beginning) => name.startsWith(beginning)),
    );
    this.#since = new Map(ours.map(({ name }) => [name, this.#since.get(name) ?? now]));
    const isOver = now - this.#beganAt >= forMs;
    const lasting = ours.filter(({ name }) => now - (this.#since.get(name) ?? now) >= forMs / 2);
    const ill = [...ours.filter(isHopeless), ...(isOver ? lasting : [])];
    const [first] = ill;
    if (first !== undefined) {
      const code = first.name === expiredTrouble ? expiredTrouble : "unhealthy";
      onVerdict({ kind: "ill", code, reason: `${first.name}: ${first.message}` });
    } else if (isOver) onVerdict({ kind: "well" });
    else this.#schedule();
  }
}
