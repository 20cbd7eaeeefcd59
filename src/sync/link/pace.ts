/**
 * The pace of a link: whoever wants to send over it asks for each piece, and has its turn when the
 * bucket has so many bytes and the quota has them stored.
 *
 *   wire of alerts     ─ piece ─▶ ┐
 *   wire of summaries  ─ piece ─▶ ├─ nextLane ─ bucket ─ quota ─▶ go: charged, then sent
 *   wire of backfill   ─ piece ─▶ ┘
 *
 * Pieces are small, so an alert waits for one of them and not for a whole delivery. What a lane has
 * waiting is bounded by who asks: a socket asks for its next piece when the last is gone.
 */

import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { type Lane, lanes } from "../../store/outbox/lane.ts";
import {
  type Bucket,
  filled,
  emptyBucket,
  msUntil,
  nextLane,
  taken,
  type Usage,
  unused,
  used,
} from "./bucket.ts";
import type { LinkPolicy } from "./policy.ts";

type Waiting = { readonly lane: Lane; readonly bytes: number; readonly go: () => void };

export type PaceOptions = Pick<LinkPolicy, "bandwidth" | "shares"> & {
  readonly clock: Clock;
  /** Whether so many bytes may be charged; where not, `goOn` is called when they may. */
  readonly isCovered: (bytes: number) => boolean;
  /** They are on their way. */
  readonly charge: (lane: Lane, bytes: number) => void;
};

export class Pace {
  readonly #options: PaceOptions;
  readonly #waiting: Waiting[] = [];
  readonly #usage = new Map<Lane, Usage>();
  #bucket: Bucket | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(options: PaceOptions) {
    this.#options = options;
    const { bandwidth, clock } = options;
    this.#bucket = bandwidth === undefined ? undefined : emptyBucket(bandwidth, clock.monotonic());
  }

  get pieceBytesMax(): number {
    const { burst = Number.POSITIVE_INFINITY } = this.#bucket ?? {};
    return Math.min(Math.floor(burst / limits.linkBurstPieces), limits.linkPieceBytesMax);
  }

  /** As Wire.send. */
  send(lane: Lane, bytes: number, go: () => void): () => void {
    assert(bytes <= this.pieceBytesMax, "what is sent at once is at most a piece");
    const waiting = { lane, bytes, go };
    this.#waiting.push(waiting);
    this.goOn();
    return () => {
      const at = this.#waiting.indexOf(waiting);
      if (at >= 0) this.#waiting.splice(at, 1);
    };
  }

  /** Bytes of lanes that go before this one wait for their turn. */
  isBehind(lane: Lane): boolean {
    const waiting = this.#lanesWaiting();
    return (
      waiting.some((other) => lanes.indexOf(other) < lanes.indexOf(lane)) &&
      this.#next([...new Set([...waiting, lane])].toSorted(byOrder)) !== lane
    );
  }

  /** Lets go whoever may. */
  goOn(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    for (;;) {
      const lane = this.#next(this.#lanesWaiting());
      const index = this.#waiting.findIndex((each) => each.lane === lane);
      const next = this.#waiting[index];
      if (next === undefined || !this.#isDue(next.bytes)) return;
      if (!this.#options.isCovered(next.bytes)) return;
      this.#waiting.splice(index, 1);
      this.#charge(next);
      next.go();
    }
  }

  close(): void {
    this.#cancelTimer?.();
    this.#waiting.length = 0;
  }

  #isDue(bytes: number): boolean {
    if (this.#bucket === undefined) return true;
    const { clock } = this.#options;
    this.#bucket = filled(this.#bucket, clock.monotonic());
    const waitMs = msUntil(this.#bucket, bytes);
    if (waitMs === 0) return true;
    this.#cancelTimer = clock.after(Math.ceil(waitMs), () => this.goOn());
    return false;
  }

  #charge({ lane, bytes }: Waiting): void {
    const nowMs = this.#options.clock.monotonic();
    this.#usage.set(lane, used(this.#usage.get(lane) ?? unused, { bytes, nowMs }));
    if (this.#bucket !== undefined) this.#bucket = taken(this.#bucket, bytes);
    this.#options.charge(lane, bytes);
  }

  #lanesWaiting(): readonly Lane[] {
    return lanes.filter((lane) => this.#waiting.some((each) => each.lane === lane));
  }

  #next(waiting: readonly Lane[]): Lane | undefined {
    const { shares, clock } = this.#options;
    const [first] = lanes;
    return nextLane(waiting, {
      usage: this.#usage,
      shareOf: (lane) => shares[lane] ?? (lane === first ? 1 : undefined),
      nowMs: clock.monotonic(),
    });
  }
}

function byOrder(a: Lane, b: Lane): number {
  return lanes.indexOf(a) - lanes.indexOf(b);
}
