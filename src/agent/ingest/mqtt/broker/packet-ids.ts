/**
 * Packet identifiers of deliveries to one client: one that is in flight is not given to another
 * message (MQTT 3.1.1, 2.3.1; MQTT 5, 2.2.1). The broker counts from 1 to 65,535 and around, without
 * a look at what is acknowledged; here it counts past those.
 *
 * Invariant: at most `openMax` are remembered; of more, the one that is open longest is forgotten,
 * and could be given again a whole round later.
 */

/** What is used of a client of the broker. */
export type NumberingClient = { _nextId: number };

const ID_MAX = 65_535;

export class PacketIds {
  readonly #openMax: number;
  /** In the order in which they were given. */
  readonly #open = new Set<number>();
  #next: number;

  constructor(next: number, options: { readonly openMax: number }) {
    this.#next = next;
    this.#openMax = options.openMax;
  }

  /** The next one that is free; asked again it is the same. */
  get next(): number {
    while (this.#open.has(this.#next)) this.#next = after(this.#next);
    return this.#next;
  }

  /** `next` was given to a message. */
  give(): void {
    this.reopen(this.next);
    this.#next = after(this.#next);
  }

  /** The message with this one is in flight, from an earlier connection of the session. */
  reopen(id: number): void {
    this.#open.add(id);
    if (this.#open.size <= this.#openMax) return;
    const [oldest] = this.#open;
    if (oldest !== undefined) this.#open.delete(oldest);
  }

  settle(id: number): void {
    this.#open.delete(id);
  }
}

function after(id: number): number {
  return id >= ID_MAX ? 1 : id + 1;
}

/** Of all clients of a broker. */
export class PacketIdsOfClients {
  readonly #openMax: number;
  readonly #of = new WeakMap<object, PacketIds>();

  constructor(options: { readonly openMax: number }) {
    this.#openMax = options.openMax;
  }

  /** Takes over the numbering of a client that connects: the broker sets what follows what it gave. */
  attach(client: NumberingClient): void {
    const ids = new PacketIds(Math.max(1, client._nextId), { openMax: this.#openMax });
    this.#of.set(client, ids);
    Object.defineProperty(client, "_nextId", {
      get: () => ids.next,
      set: () => {
        ids.give();
      },
    });
  }

  reopen(client: object, id: number): void {
    this.#of.get(client)?.reopen(id);
  }

  settle(client: object, id: number): void {
    this.#of.get(client)?.settle(id);
  }
}
