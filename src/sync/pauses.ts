/**
 * Uplinks that somebody paused: nothing begins to be sent to them until they are resumed, or the pause is
 * over by itself. What was paused stays so across restarts.
 *
 *   pause ──▶ in force at once ──▶ stored ──▶ answered
 *   over, or resumed ──▶ the key is removed
 *
 * An end is a time of the gateway's clock, as far as that is trusted. Where it is not, or was put back, a pause
 * lasts as long as it was meant to by the monotonic clock, from when it began or this process did: so a
 * clock that is never set holds nothing for ever. Stored as JSON under pauseKey:
 *
 *   {"v":1,"since":ms,"until":ms,"for":ms}      since, until: absent where the clock was not trusted;
 *                                               until, for: absent where there is no end
 */

import type { Clock, Kv, KvWrite } from "../core/doors.ts";
import { Fault, isEnvironmental } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import { behindKeys, nameOfPause, pauseKey, pausePrefix } from "../store/state/kv-key.ts";
import { decodeJson, encodeJson, type StoredObject, wholeOf } from "../store/state/stored-json.ts";

export type StoredPause = {
  /** Milliseconds since 1970; undefined: the clock was not trusted then. */
  readonly since: number | undefined;
  readonly until: number | undefined;
  /** How long it was meant to last; undefined: until it is resumed. */
  readonly forMs: number | undefined;
};

export type PauseStatus = {
  /** Milliseconds since 1970; undefined: the clock was not trusted then. */
  readonly since: number | undefined;
  /** When it is over by itself, as far as the clock knows; undefined: that is not known, or it is not. */
  readonly until: number | undefined;
  /** Whole milliseconds that are left; undefined: until it is resumed. */
  readonly leftMs: number | undefined;
};

export type PausesOptions = {
  readonly clock: Clock;
  /** Milliseconds since 1970; undefined while the gateway's clock is not trusted. */
  readonly trustedNow: () => number | undefined;
  readonly get: (key: string) => Uint8Array | undefined;
  /** StateStore.advance. */
  readonly store: (writes: readonly KvWrite[]) => Promise<void>;
};

type Pause = StoredPause & {
  /** By the monotonic clock, when it began or this process did. */
  readonly begunMs: number;
};

export class Pauses {
  readonly #options: PausesOptions;
  readonly #pauses = new Map<string, Pause>();
  /** Of those that are over the keys may still be there. */
  readonly #over = new Set<string>();
  #forgetting: Promise<void> | undefined;
  #cancelRetry: (() => void) | undefined;
  #isClosed = false;

  /** `uplinks`: the names of all there are. Faults: STORE_FAILED, FORMAT_TOO_NEW. */
  constructor(uplinks: readonly string[], options: PausesOptions) {
    this.#options = options;
    const begunMs = options.clock.monotonic();
    for (const uplink of uplinks) {
      const stored = options.get(pauseKey(uplink));
      if (stored !== undefined) this.#pauses.set(uplink, { ...decode(uplink, stored), begunMs });
    }
  }

  /** Milliseconds until the uplink may send again, as far as is known; 0: it may, Infinity: when it is resumed. */
  leftMs(uplink: string): number {
    const pause = this.#pauses.get(uplink);
    if (pause === undefined) return 0;
    const left = this.#leftOf(pause);
    if (left > 0) return left;
    this.#pauses.delete(uplink);
    this.#over.add(uplink);
    this.#forget();
    return 0;
  }

  /** Undefined: it is not paused. */
  statusOf(uplink: string): PauseStatus | undefined {
    // The process's clock counts parts of milliseconds, too.
    const left = Math.ceil(this.leftMs(uplink));
    const pause = this.#pauses.get(uplink);
    if (pause === undefined) return undefined;
    const hasEnd = left !== Infinity;
    const now = this.#options.trustedNow();
    const until = hasEnd && now !== undefined ? now + left : pause.until;
    return { since: pause.since, until, leftMs: hasEnd ? left : undefined };
  }

  /**
   * `forMs`: then it is over by itself; undefined: never. Resolves when it is durable. What was paused before is
   * paused anew. Faults of the store: then it is as it was.
   */
  async pause(uplinks: readonly string[], forMs: number | undefined): Promise<void> {
    const since = this.#options.trustedNow();
    const until = since === undefined || forMs === undefined ? undefined : since + forMs;
    const begunMs = this.#options.clock.monotonic();
    await this.#change(uplinks, { since, until, forMs, begunMs });
  }

  /** As `pause`. */
  async resume(uplinks: readonly string[]): Promise<void> {
    await this.#change(
      uplinks.filter((uplink) => this.#pauses.has(uplink)),
      undefined,
    );
  }

  /** What is over and could not be removed yet is removed by the next process. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry?.();
    await this.#forgetting;
  }

  /** In force before it is stored: what is removed meanwhile because it is over is another one. */
  async #change(uplinks: readonly string[], pause: Pause | undefined): Promise<void> {
    if (uplinks.length === 0) return;
    const before = new Map(uplinks.map((uplink) => [uplink, this.#pauses.get(uplink)]));
    const over = uplinks.filter((uplink) => this.#over.has(uplink));
    for (const uplink of uplinks) {
      this.#over.delete(uplink);
      this.#set(uplink, pause);
    }
    const value = pause && encode(pause);
    try {
      await this.#options.store(uplinks.map((uplink) => ({ key: pauseKey(uplink), value })));
    } catch (error) {
      for (const [uplink, old] of before) {
        if (this.#pauses.get(uplink) === pause) this.#set(uplink, old);
      }
      for (const uplink of over) this.#over.add(uplink);
      if (over.length > 0) this.#forget();
      throw error;
    }
  }

  #set(uplink: string, pause: Pause | undefined): void {
    if (pause === undefined) this.#pauses.delete(uplink);
    else this.#pauses.set(uplink, pause);
  }

  #leftOf({ until, forMs, begunMs }: Pause): number {
    if (forMs === undefined) return Infinity;
    const { clock, trustedNow } = this.#options;
    const byProcess = begunMs + forMs - clock.monotonic();
    const now = trustedNow();
    const byClock = until === undefined || now === undefined ? Infinity : until - now;
    return Math.max(0, Math.min(byProcess, byClock));
  }

  /** Removes the keys of what is over: with a clock that is not trusted they would hold the next process. */
  #forget(): void {
    if (this.#isClosed || this.#forgetting !== undefined || this.#over.size === 0) return;
    const { store, clock } = this.#options;
    const names = [...this.#over];
    this.#forgetting = store(names.map((name) => ({ key: pauseKey(name), value: undefined }))).then(
      () => {
        for (const name of names) this.#over.delete(name);
        this.#forgetting = undefined;
        this.#forget();
      },
      (error: unknown) => {
        this.#forgetting = undefined;
        if (!isEnvironmental(error)) throw error;
        if (this.#isClosed) return;
        this.#cancelRetry = clock.after(limits.diskRetryMs, () => this.#forget());
      },
    );
  }
}

/** What a state store has, by uplink, whether or not it is over. Faults: STORE_FAILED, FORMAT_TOO_NEW. */
export function readPauses(kv: Pick<Kv, "range">): ReadonlyMap<string, StoredPause> {
  const range = { from: pausePrefix, to: behindKeys(pausePrefix) };
  return new Map(
    kv.range(range).map(({ key, value }) => {
      const uplink = nameOfPause(key);
      return [uplink, decode(uplink, value)] as const;
    }),
  );
}

function encode({ since, until, forMs }: StoredPause): Uint8Array {
  return encodeJson({ v: 1, since, until, for: forMs });
}

function decode(uplink: string, value: Uint8Array): StoredPause {
  const place = `the state store's ${pauseKey(uplink)}`;
  const stored = decodeJson(value, place);
  const version = wholeOf(stored, "v");
  if (version !== 1) {
    const message = `${place} has version ${version}, this weir knows 1; start the newer weir again`;
    throw new Fault("FORMAT_TOO_NEW", message, { facts: { version } });
  }
  return {
    since: wholeOrNone(stored, "since"),
    until: wholeOrNone(stored, "until"),
    forMs: wholeOrNone(stored, "for"),
  };
}

function wholeOrNone(stored: StoredObject, name: string): number | undefined {
  return stored.fields[name] === undefined ? undefined : wholeOf(stored, name);
}
