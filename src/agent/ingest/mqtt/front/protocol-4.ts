/**
 * MQTT 3.1 and 3.1.1: what the broker speaks too, so packets pass as they are. Who breaks the
 * protocol is closed without a word (MQTT 3.1.1, 4.8).
 */

import { copyOf } from "../broker/broker-feed.ts";
import { DISCONNECT, type ProtocolFault, readPublish } from "../packet/parser.ts";
import { shapeFault4 } from "../packet/shape-4.ts";
import type { Publish5Offsets } from "../packet/publish-5.ts";
import { OutboundFramer } from "./outbound-framer.ts";
import { RepeatedFilters } from "./repeated-filters.ts";
import { type Peer, type Protocol, topicOf } from "./protocol.ts";

const SUBSCRIBE = 8;
const DUP = 0x08;

export class Protocol4 implements Protocol {
  readonly #peer: Peer;
  readonly #framer = new OutboundFramer();
  readonly #repeated = new RepeatedFilters();
  /** The broker knows all of its session. */
  readonly sessionName = undefined;
  readonly isSessionOver = false;
  readonly hearsItself: boolean;

  constructor(peer: Peer, options?: { readonly hearsItself: boolean }) {
    this.#peer = peer;
    this.hearsItself = options?.hearsItself ?? true;
  }

  arrive(clientId: string): undefined {
    this.#peer.host.sessions.yield(clientId);
  }

  takeNote(): undefined {
    return undefined;
  }

  wantsRetained(): boolean {
    return true;
  }

  readPublish(
    bytes: Uint8Array,
    start: number,
    body: number,
    end: number,
    out: Publish5Offsets,
  ): ProtocolFault | undefined {
    return readPublish(bytes, start, body, end, out);
  }

  forward(_bytes: Uint8Array, offsets: Publish5Offsets, payload: Uint8Array): void {
    const { retain, qos } = offsets;
    this.#peer.host.broker.publish(topicOf(offsets), payload, {
      retain,
      qos: qos === 1 ? 1 : 0,
      from: this.#peer.clientId,
    });
  }

  publish(bytes: Uint8Array, start: number, end: number): boolean {
    // The broker would pass DUP on to subscribers, who would take it for theirs [MQTT-3.3.1-3].
    bytes[start]! &= ~DUP;
    return this.#peer.give(bytes, start, end);
  }

  deny(): false {
    this.#peer.destroy();
    return false;
  }

  packet(type: number, bytes: Uint8Array, start: number, body: number, end: number): boolean {
    const fault = shapeFault4(type, bytes, body, end);
    if (fault !== undefined) return this.#peer.fail(fault);
    if (type === DISCONNECT) {
      // Nothing follows it.
      this.leave(bytes, start, body, end);
      this.#peer.end();
      return true;
    }
    const isGiven = this.#peer.give(bytes, start, end);
    if (isGiven && type === SUBSCRIBE) this.#repeated.subscribe(bytes, body, end);
    return isGiven;
  }

  leave(bytes: Uint8Array, start: number, _body: number, end: number): void {
    this.#peer.push(copyOf(bytes, start, end));
  }

  fromBroker(pieces: readonly Uint8Array[]): void {
    const { bytes, connack } = this.#framer.push(pieces);
    if (bytes !== undefined) this.#peer.send(this.#repeated.answer(bytes));
    if (connack === undefined) return;
    if (connack === 0) this.#peer.admitted();
    else this.#peer.turnedAway();
  }

  fail(): void {
    this.#peer.destroy();
  }

  farewell(): void {
    // It has none.
  }

  gone(): void {
    this.#peer.letGo();
  }
}
