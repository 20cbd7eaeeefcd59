/**
 * The brokers of one session, each by its address and connected to when it is first needed. Keyed by
 * address, so that the broker of the bootstrap list and the one that the cluster names share a
 * connection where they are the same. One that failed stays failed for the session, unless dropped.
 */

import { Fault } from "../../../core/faults.ts";
import { Broker } from "./broker.ts";
import type { ClusterOptions } from "./cluster-options.ts";
import type { Protocol } from "./protocol.ts";

type Entry = { readonly broker: Broker; readonly opened: Promise<void> };

export class BrokerPool {
  readonly #parts: { readonly protocol: Protocol; readonly options: ClusterOptions };
  readonly #entries = new Map<string, Entry>();
  /** Closed before the session, kept for their traffic. */
  readonly #dropped: Broker[] = [];
  #isClosed = false;

  constructor(protocol: Protocol, options: ClusterOptions) {
    this.#parts = { protocol, options };
  }

  /** One of those that the session uses was lost. */
  get isLost(): boolean {
    return [...this.#entries.values()].some(({ broker }) => broker.isLost);
  }

  /** Bytes of all connections so far, those lost among them. */
  get traffic(): { readonly sent: number; readonly received: number } {
    const open = [...this.#entries.values()].map(({ broker }) => broker);
    const each = [...open, ...this.#dropped].map(({ traffic }) => traffic);
    return {
      sent: each.reduce((sum, { sent }) => sum + sent, 0),
      received: each.reduce((sum, { received }) => sum + received, 0),
    };
  }

  /** The broker at "host:port", connected and logged in. */
  async at(address: string): Promise<Broker> {
    if (this.#isClosed) throw new Fault("UPLINK_UNREACHABLE", "the session has been closed");
    const { broker, opened } = this.#entries.get(address) ?? this.#open(address);
    await opened;
    return broker;
  }

  /** Closes the broker at "host:port" and forgets what became of it. */
  drop(address: string): void {
    const entry = this.#entries.get(address);
    if (entry === undefined) return;
    this.#entries.delete(address);
    entry.broker.close();
    this.#dropped.push(entry.broker);
  }

  close(): void {
    this.#isClosed = true;
    for (const { broker } of this.#entries.values()) broker.close();
  }

  #open(address: string): Entry {
    const broker = new Broker(address, this.#parts);
    const entry = { broker, opened: broker.open() };
    this.#entries.set(address, entry);
    return entry;
  }
}
