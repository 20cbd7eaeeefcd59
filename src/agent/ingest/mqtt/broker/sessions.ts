/**
 * Bounds for what the broker keeps in memory for its clients: sessions that are away, messages that
 * wait for them, retained messages, and QoS 2 packet ids. The broker's own store has none.
 *
 * Over a bound nothing is silently wrong: a waiting or retained message is dropped and counted, a
 * QoS 2 message is refused, which closes the connection before its PUBREC. Of a QoS 2 message only
 * the packet id is kept, which is all the handshake needs.
 *
 * The store's methods are replaced on the one instance the broker uses: its own code calls them
 * through that instance, and everything not named here stays as it is.
 */

import { Readable } from "node:stream";
import { BROKERS_OWN, hidesFrom } from "./filter.ts";
import { KeptSessions } from "./kept-sessions.ts";
import type { Outgoing, OutgoingLimits, OutgoingMessage } from "./outgoing.ts";
import type { PacketIdsOfClients } from "./packet-ids.ts";
import type { Subscriptions } from "./subscriptions.ts";

export type ClientName = { readonly id: string };
export type Message = { readonly topic: string; readonly payload: Uint8Array | string };
export type Numbered = { readonly messageId?: number | undefined };

type StoredSubscription = { readonly topic: string; readonly qos: number };

/**
 * Stands for a session without subscriptions where the broker restores one: it takes a session with
 * at least one for present. Nothing is ever published there.
 */
export const SESSION_MARK: string = `${BROKERS_OWN}session`;

/** What is used of the broker's store. */
export type SessionStore = {
  addSubscriptions(client: ClientName, subs: readonly { topic: string }[]): Promise<void>;
  removeSubscriptions(client: ClientName, topics: readonly string[]): Promise<void>;
  cleanSubscriptions(client: ClientName): Promise<void>;
  subscriptionsByClient(client: ClientName): Promise<readonly StoredSubscription[]>;
  createRetainedStreamCombi(filters: readonly string[]): Readable;
  storeRetained(packet: Message): Promise<void>;
  incomingStorePacket(client: ClientName, packet: Message & Numbered): Promise<void>;
  incomingGetPacket(client: ClientName, packet: Numbered): Promise<unknown>;
  incomingDelPacket(client: ClientName, packet: Numbered): Promise<void>;
  cleanIncoming(client: ClientName): Promise<void>;
};

/** Forgets a session: its subscriptions, what waits for it, and its QoS 2 packet ids. */
export async function endSession(
  store: SessionStore,
  outgoing: Outgoing,
  id: string,
): Promise<void> {
  await store.cleanSubscriptions({ id });
  await store.cleanIncoming({ id });
  outgoing.forget(id);
}

export type SessionLimits = OutgoingLimits & {
  readonly keptSessionsMax: number;
  readonly retainedMax: number;
  readonly retainedBytesMax: number;
  readonly qos2OpenMax: number;
};

/** Bounds `store` in place; drops are reported to `onDrop`. Persistent subscriptions are counted in `subscriptions`. */
export function boundSessions(
  store: SessionStore,
  options: {
    readonly limits: SessionLimits;
    readonly subscriptions: Subscriptions;
    readonly outgoing: Outgoing;
    readonly packetIds: PacketIdsOfClients;
    /** Bytes that a payload takes beyond its own. */
    readonly extraBytesOf: (payload: Uint8Array) => number;
    readonly onDrop: (what: "retained" | "qos2") => void;
  },
): void {
  Object.assign(
    store,
    countedSubscriptions(bound(store), options.subscriptions),
    outgoingOf(options.outgoing, options.packetIds),
    boundedRetained(bound(store), options),
    boundedQos2(bound(store), options),
    hiding(bound(store)),
  );
  // On top of what was replaced so far.
  Object.assign(store, presentSessions(bound(store), options.limits));
}

/** The store's own methods, before they are replaced. */
function bound(store: SessionStore): SessionStore {
  return {
    addSubscriptions: store.addSubscriptions.bind(store),
    removeSubscriptions: store.removeSubscriptions.bind(store),
    cleanSubscriptions: store.cleanSubscriptions.bind(store),
    subscriptionsByClient: store.subscriptionsByClient.bind(store),
    storeRetained: store.storeRetained.bind(store),
    incomingStorePacket: store.incomingStorePacket.bind(store),
    incomingGetPacket: store.incomingGetPacket.bind(store),
    incomingDelPacket: store.incomingDelPacket.bind(store),
    cleanIncoming: store.cleanIncoming.bind(store),
    createRetainedStreamCombi: store.createRetainedStreamCombi.bind(store),
  };
}

function countedSubscriptions(
  store: SessionStore,
  subscriptions: Subscriptions,
): Partial<SessionStore> {
  const filtersOf = new Map<string, Set<string>>();
  const remove = (id: string, filters: Iterable<string>): void => {
    const known = filtersOf.get(id);
    if (known === undefined) return;
    for (const filter of filters) if (known.delete(filter)) subscriptions.remove(filter);
    if (known.size === 0) filtersOf.delete(id);
  };
  return {
    addSubscriptions: (client, subs) => {
      const known = filtersOf.get(client.id) ?? new Set();
      filtersOf.set(client.id, known);
      for (const { topic } of subs) {
        if (known.has(topic)) continue;
        known.add(topic);
        subscriptions.add(topic);
      }
      return store.addSubscriptions(client, subs);
    },
    removeSubscriptions: (client, topics) => {
      remove(client.id, topics);
      return store.removeSubscriptions(client, topics);
    },
    cleanSubscriptions: (client) => {
      remove(client.id, filtersOf.get(client.id) ?? []);
      return store.cleanSubscriptions(client);
    },
  };
}

/** Remembers sessions that the store has nothing of. */
function presentSessions(store: SessionStore, limits: SessionLimits): Partial<SessionStore> {
  const kept = new KeptSessions({ countMax: limits.keptSessionsMax });
  return {
    // Asked for once, when a client connects that keeps its session.
    subscriptionsByClient: async (client) => {
      const isKnown = kept.arrive(client.id);
      const stored = await store.subscriptionsByClient(client);
      return stored.length === 0 && isKnown ? [{ topic: SESSION_MARK, qos: 0 }] : stored;
    },
    // When one connects that does not.
    cleanSubscriptions: (client) => {
      kept.end(client.id);
      return store.cleanSubscriptions(client);
    },
  };
}

type Bounds = {
  readonly limits: SessionLimits;
  readonly extraBytesOf: (payload: Uint8Array) => number;
  readonly onDrop: (what: "retained" | "qos2") => void;
};

/** Keeps `$` topics from filters that begin with a wildcard. */
function hiding(store: SessionStore): Partial<SessionStore> {
  return {
    createRetainedStreamCombi: (filters) => {
      if (!filters.some((filter) => hidesFrom(filter, "$"))) {
        return store.createRetainedStreamCombi(filters);
      }
      const [hiding, plain] = [
        filters.filter((filter) => hidesFrom(filter, "$")),
        filters.filter((filter) => !hidesFrom(filter, "$")),
      ];
      return Readable.from(
        (async function* () {
          yield* store
            .createRetainedStreamCombi(hiding)
            .filter(({ topic }: Message) => !topic.startsWith("$"));
          yield* store.createRetainedStreamCombi(plain);
        })(),
      );
    },
  };
}

function boundedRetained(store: SessionStore, bounds: Bounds): Partial<SessionStore> {
  const { limits, onDrop } = bounds;
  const bytesOfTopic = new Map<string, number>();
  let bytesInAll = 0;
  return {
    storeRetained: async (packet) => {
      const known = bytesOfTopic.get(packet.topic);
      const bytes = packet.payload.length === 0 ? 0 : bytesOf(packet, bounds);
      const after = bytesInAll - (known ?? 0) + bytes;
      const full = after > limits.retainedBytesMax || bytesOfTopic.size >= limits.retainedMax;
      if (bytes > 0 && (known === undefined ? full : after > limits.retainedBytesMax)) {
        onDrop("retained");
        return;
      }
      bytesInAll = after;
      if (bytes === 0) bytesOfTopic.delete(packet.topic);
      else bytesOfTopic.set(packet.topic, bytes);
      await store.storeRetained(packet);
    },
  };
}

function boundedQos2(store: SessionStore, { limits, onDrop }: Bounds): Partial<SessionStore> {
  const idsOf = new Map<string, Set<number | undefined>>();
  let open = 0;
  return {
    incomingStorePacket: async (client, packet) => {
      const ids = idsOf.get(client.id) ?? new Set();
      if (!ids.has(packet.messageId)) {
        if (open >= limits.qos2OpenMax) {
          onDrop("qos2");
          throw new Error("too many QoS 2 messages wait for their PUBREL");
        }
        open += 1;
        idsOf.set(client.id, ids.add(packet.messageId));
      }
      await store.incomingStorePacket(client, { ...packet, payload: Buffer.alloc(0) });
    },
    incomingDelPacket: async (client, packet) => {
      await store.incomingDelPacket(client, packet);
      const ids = idsOf.get(client.id);
      if (ids?.delete(packet.messageId)) open -= 1;
      if (ids?.size === 0) idsOf.delete(client.id);
    },
    cleanIncoming: (client) => {
      open -= idsOf.get(client.id)?.size ?? 0;
      idsOf.delete(client.id);
      return store.cleanIncoming(client);
    },
  };
}

/** A PUBREL has neither topic nor payload. */
export function bytesOf(
  { topic, payload }: Partial<Message>,
  { extraBytesOf }: Pick<Bounds, "extraBytesOf">,
): number {
  const extra = payload === undefined || typeof payload === "string" ? 0 : extraBytesOf(payload);
  return (topic?.length ?? 0) + (payload?.length ?? 0) + 64 + extra;
}

/** The store's part that `outgoing` takes over. */
function outgoingOf(outgoing: Outgoing, packetIds: PacketIdsOfClients): object {
  return {
    outgoingEnqueue: outgoing.outgoingEnqueue.bind(outgoing),
    outgoingEnqueueCombi: outgoing.outgoingEnqueueCombi.bind(outgoing),
    outgoingUpdate: outgoing.outgoingUpdate.bind(outgoing),
    // Asked for with every PUBACK and PUBCOMP.
    outgoingClearMessageId: (client: ClientName, packet: OutgoingMessage) => {
      if (packet.messageId !== undefined) packetIds.settle(client, packet.messageId);
      return outgoing.outgoingClearMessageId(client, packet);
    },
    outgoingStream: (client: ClientName) => {
      for (const id of outgoing.idsOf(client.id)) packetIds.reopen(client, id);
      return outgoing.outgoingStream(client);
    },
  };
}
