/**
 * When to let messages of a busy broker come together. A broker writes each message by itself, and a
 * process that is faster than they come is woken for each: the system's part of a message is then
 * many times ours. Readings wait for their sync anyway, so while many come the socket is left alone
 * for a moment, and one read brings what came meanwhile:
 *
 *   many reads within a span -> busy: after each read, a pause
 *   a read after a pause that brought only a few -> not busy
 *
 * Slow sensors are read at once. A broker that sends only a few messages before it waits for us
 * (send-quota.ts) is read at once too: it would wait for the end of the pause.
 */

const SPAN_MS = 10;
/** So many reads in a span are many: 800 a second. */
const READS_MAX = 8;
const PAUSE_MS = 4;
/** Messages of a pause that were worth it. */
const WORTH = 3;
/** A quota of as many messages is not emptied in a pause, or not much sooner. */
const QUOTA_MIN = 128;

export class Gather {
  #spanAt = Number.NEGATIVE_INFINITY;
  #reads = 0;
  #isBusy = false;

  /**
   * After a read that brought `messages`: for how long not to read, in ms, 0 for going on at once.
   * `quota`: what the broker sends before it waits, by what is known.
   */
  pauseAfter(
    messages: number,
    { quota, now }: { readonly quota: number; readonly now: number },
  ): number {
    if (this.#isBusy) {
      this.#isBusy = messages >= WORTH && quota >= QUOTA_MIN;
      if (this.#isBusy) return PAUSE_MS;
    }
    if (now - this.#spanAt >= SPAN_MS) {
      this.#spanAt = now;
      this.#reads = 0;
    }
    this.#reads += 1;
    if (this.#reads < READS_MAX || quota < QUOTA_MIN) return 0;
    this.#isBusy = true;
    this.#spanAt = Number.NEGATIVE_INFINITY;
    return PAUSE_MS;
  }
}
