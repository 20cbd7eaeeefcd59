/**
 * Which clients have a session that outlives their connection, so that CONNACK can say so.
 *
 * The broker says that a session is present where it has subscriptions. One without is nothing to
 * it, but something to the client: told that there is none, a sensor that only publishes would
 * forget the messages it has not seen acknowledged (MQTT 3.1.1, 3.2.2.2 and 4.4).
 *
 * Invariant: at most `count` names, none longer than `nameUnitsMax`; the one that
 * connected longest ago is forgotten first, and told that there is no session when it comes back.
 */

/** Longer names are not remembered. */
const nameUnitsMax = 256;

export class KeptSessions {
  readonly #countMax: number;
  /** In the order in which they connected. */
  readonly #names = new Set<string>();

  constructor(options: { readonly countMax: number }) {
    this.#countMax = options.countMax;
  }

  /** A client connects that keeps its session: whether it had one. */
  arrive(name: string): boolean {
    const isKnown = this.#names.delete(name);
    if (name.length > nameUnitsMax) return false;
    this.#names.add(name);
    if (this.#names.size > this.#countMax) {
      const [oldest] = this.#names;
      if (oldest !== undefined) this.#names.delete(oldest);
    }
    return isKnown;
  }

  /** The session is over. */
  end(name: string): void {
    this.#names.delete(name);
  }
}
