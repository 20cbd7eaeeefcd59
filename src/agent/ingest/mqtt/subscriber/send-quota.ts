/**
 * How many messages the broker sends before it waits for an acknowledgement. MQTT 5 knows a bound
 * that we announce; what a broker keeps to besides is not told (Mosquitto: 20, HiveMQ: 10), so it is
 * learned. A sync that waits for company while the broker waits for us costs the whole wait for a
 * handful of messages: 20 messages in 200 ms are 100 a second. When as many are unacknowledged as
 * the broker sends, waiting brings nothing, and the frame is sealed at once.
 *
 *   more arrive than the quota is                           -> it is larger: as many
 *   quiet, then an acknowledgement, and at once half of
 *   what was unacknowledged arrives                         -> it was full: it is as many as were
 *   full so and so often                                    -> look for a moment whether more comes
 *
 * Never a sync more than every `size` messages: at low rates the wait ends first.
 *
 * Source: MQTT 5 (OASIS), 4.9 flow control, whose word for it is send quota.
 */

const SIZE_AT_FIRST = 20;
/** A broker that has nothing to send, or may not, is silent for so long. */
const QUIET_MS = 20;
const PROBE_AFTER_MIN = 64;
const PROBE_AFTER_MAX = 4_096;

export class SendQuota {
  readonly #max: number;
  #size: number;
  /** What a message and its answer take, there and back. */
  #roundTripMs = 0;
  #arrivedAt = Number.NEGATIVE_INFINITY;
  /** After an acknowledgement that may have unblocked the broker: until when, and how many then. */
  #watchUntil = Number.NEGATIVE_INFINITY;
  #watched = 0;
  #seen = 0;
  #probeAfter = PROBE_AFTER_MIN;
  #fullsToProbe = PROBE_AFTER_MIN;

  constructor(options: { readonly max: number }) {
    this.#max = options.max;
    this.#size = Math.min(SIZE_AT_FIRST, options.max);
  }

  get size(): number {
    return this.#size;
  }

  /** A new connection: what it takes there and back. */
  begin(roundTripMs: number): void {
    this.#roundTripMs = roundTripMs;
    this.#arrivedAt = this.#watchUntil = Number.NEGATIVE_INFINITY;
  }

  /** `count` messages came at once; now so many are unacknowledged. */
  arrived(count: number, unacknowledged: number, now: number): void {
    if (now <= this.#watchUntil) {
      this.#seen += count;
      if (2 * this.#seen >= this.#watched) {
        this.#watchUntil = Number.NEGATIVE_INFINITY;
        this.#size = Math.min(this.#size, this.#watched);
      }
    }
    this.#arrivedAt = now;
    if (unacknowledged <= this.#size) return;
    this.#size = Math.min(unacknowledged, this.#max);
    this.#probeAfter = this.#fullsToProbe = PROBE_AFTER_MIN;
  }

  /** Acknowledgements are sent; before that so many were due. */
  released(unacknowledged: number, now: number): void {
    if (unacknowledged === 0 || unacknowledged >= this.#size) return;
    if (now - this.#arrivedAt < QUIET_MS) return;
    this.#watchUntil = now + this.#waitMs;
    this.#watched = unacknowledged;
    this.#seen = 0;
  }

  /** How long to wait still for more, in ms, where the quota is used up; undefined where it is not. */
  usedUpBy(unacknowledged: number): number | undefined {
    if (unacknowledged < this.#size) return undefined;
    if (this.#size === this.#max) return 0;
    this.#fullsToProbe -= 1;
    if (this.#fullsToProbe > 0) return 0;
    this.#probeAfter = Math.min(this.#probeAfter * 2, PROBE_AFTER_MAX);
    this.#fullsToProbe = this.#probeAfter;
    return this.#waitMs;
  }

  get #waitMs(): number {
    return QUIET_MS + 2 * this.#roundTripMs;
  }
}
