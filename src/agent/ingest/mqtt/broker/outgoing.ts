/**
 * Messages of QoS 1 and 2 on their way to sessions that the broker keeps, until the client has
 * answered: what a client that is away, or comes back, is given. It takes the place of the broker's
 * own store, which knows a message by the packet id it has not got yet: there, overlapping
 * subscriptions and refused messages take the place of others, whose client is then closed.
 *
 *   queued --first sent--> numbered --PUBACK--> gone
 *                             \--PUBREC--> PUBREL kept --PUBCOMP--> gone
 *
 * A message is queued once for each client, with the highest QoS its subscriptions allow, and sent
 * again with DUP. Bounds: messages of one client, bytes of all; over them a message is given to who
 * is here, is not kept, and counts as dropped.
 */

import { Readable } from "node:stream";
import { hidesFrom } from "./filter.ts";
import type { ClientName, Message, Numbered } from "./sessions.ts";

export type OutgoingLimits = {
  readonly waitingPerSessionMax: number;
  readonly waitingBytesMax: number;
};

export type OutgoingMessage = Message &
  Numbered & {
    readonly cmd: string;
    readonly qos: number;
    readonly brokerCounter: number;
  };

/** A subscription that a message matches; `topic`: its filter. */
type Matched = { readonly clientId: string; readonly topic?: string; readonly qos?: number };

type Kept = {
  /** As the broker is given it; replaced, not changed, once its client was sent it. */
  packet: OutgoingMessage & { readonly dup?: boolean };
  readonly bytes: number;
};

/** Of one client: by the broker's number in the order of the messages; numbers by packet id. */
type Queue = { readonly kept: Map<number, Kept>; readonly numberOf: Map<number, number> };

export class Outgoing {
  readonly #limits: OutgoingLimits;
  readonly #bytesOf: (message: Message) => number;
  readonly #onDrop: () => void;
  readonly #queues = new Map<string, Queue>();
  #bytes = 0;
  /** The message that a client was just refused, by its number. */
  #refused: number | undefined;

  constructor(options: {
    readonly limits: OutgoingLimits;
    readonly bytesOf: (message: Message) => number;
    readonly onDrop: () => void;
  }) {
    this.#limits = options.limits;
    this.#bytesOf = options.bytesOf;
    this.#onDrop = options.onDrop;
  }

  /** The message is not to be given to the client about whom the broker asks next. */
  refused(packet: { readonly brokerCounter?: number }): void {
    this.#refused = packet.brokerCounter;
  }

  outgoingEnqueue(matched: Matched, packet: OutgoingMessage): Promise<void> {
    return this.outgoingEnqueueCombi([matched], packet);
  }

  outgoingEnqueueCombi(matched: readonly Matched[], packet: OutgoingMessage): Promise<void> {
    const qosOf = new Map<string, number>();
    for (const { clientId, topic, qos = packet.qos } of matched) {
      if (topic !== undefined && hidesFrom(topic, packet.topic)) continue;
      qosOf.set(clientId, Math.max(qosOf.get(clientId) ?? 0, Math.min(qos, packet.qos)));
    }
    const bytes = this.#bytesOf(packet);
    for (const [clientId, qos] of qosOf) {
      if (qos > 0) this.#queue(clientId, { ...packet, qos, messageId: undefined }, bytes);
    }
    return Promise.resolve();
  }

  /** The client is being sent the message under this packet id; or its PUBREL takes its place. */
  outgoingUpdate(client: ClientName, packet: OutgoingMessage): Promise<void> {
    const queue = this.#queues.get(client.id);
    const { messageId } = packet;
    if (queue === undefined || messageId === undefined) return Promise.resolve();
    const kept = queue.kept.get(packet.brokerCounter);
    if (kept !== undefined && packet.cmd === "publish") {
      kept.packet = { ...kept.packet, messageId, dup: true };
      queue.numberOf.set(messageId, packet.brokerCounter);
      return Promise.resolve();
    }
    const numbered = queue.kept.get(queue.numberOf.get(messageId) ?? -1);
    if (numbered !== undefined && packet.cmd !== "publish") numbered.packet = packet;
    return Promise.resolve();
  }

  /** The client has answered for good, or was refused the message. */
  outgoingClearMessageId(
    client: ClientName,
    packet: OutgoingMessage,
  ): Promise<OutgoingMessage | undefined> {
    const refused = this.#refused;
    this.#refused = undefined;
    const queue = this.#queues.get(client.id);
    if (queue === undefined) return Promise.resolve(undefined);
    const { messageId } = packet;
    // Without a packet id it is a message that another subscription brings, or one that is refused.
    const isRefused = refused !== undefined && refused === packet.brokerCounter;
    const number =
      messageId === undefined ? (isRefused ? refused : -1) : queue.numberOf.get(messageId);
    const kept = queue.kept.get(number ?? -1);
    if (kept === undefined || number === undefined) return Promise.resolve(undefined);
    if (messageId !== undefined) queue.numberOf.delete(messageId);
    queue.kept.delete(number);
    this.#bytes -= kept.bytes;
    if (queue.kept.size === 0) this.#queues.delete(client.id);
    return Promise.resolve(kept.packet);
  }

  outgoingStream(client: ClientName): Readable {
    const kept = this.#queues.get(client.id)?.kept.values() ?? [];
    return Readable.from([...kept].map(({ packet }) => packet));
  }

  /** Packet ids of what was sent and is not answered. */
  idsOf(id: string): Iterable<number> {
    return this.#queues.get(id)?.numberOf.keys() ?? [];
  }

  /** The session is over. */
  forget(id: string): void {
    const queue = this.#queues.get(id);
    if (queue === undefined) return;
    for (const { bytes } of queue.kept.values()) this.#bytes -= bytes;
    this.#queues.delete(id);
  }

  #queue(clientId: string, packet: OutgoingMessage, bytes: number): void {
    const { waitingPerSessionMax, waitingBytesMax } = this.#limits;
    const queue = this.#queues.get(clientId) ?? { kept: new Map(), numberOf: new Map() };
    if (queue.kept.size >= waitingPerSessionMax || this.#bytes + bytes > waitingBytesMax) {
      this.#onDrop();
      return;
    }
    this.#queues.set(clientId, queue);
    queue.kept.set(packet.brokerCounter, { packet, bytes });
    this.#bytes += bytes;
  }
}
