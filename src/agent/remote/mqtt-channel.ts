/** Configurations as a retained message at a broker elsewhere. */

import type { Clock, Net, Random } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { subscribeMqtt } from "../../sync/mqtt/client/mqtt-js.ts";
import type { BrokerConfig } from "../ingest/mqtt/subscriber/subscriber-config.ts";
import { Channel } from "./channel.ts";
import type { Offer } from "./remote-status.ts";

export function openMqttChannel({
  broker,
  topic,
  net,
  clock,
  random,
  offer,
}: {
  readonly broker: BrokerConfig;
  readonly topic: string;
  readonly net: Net;
  readonly clock: Clock;
  readonly random: Random;
  readonly offer: (offer: Offer) => void;
}): Channel {
  const { addresses, level, clientId, user, password, keepAliveMs, answerMs } = broker;
  return new Channel({
    kind: "mqtt",
    topic,
    clock,
    random,
    session: async ({ onOpen, closing, tries }) => {
      const { promise: ended, resolve: end } = Promise.withResolvers<string>();
      const address = addresses[tries % addresses.length];
      if (address === undefined) return;
      const onMessage = (payload: Uint8Array): void => {
        // Nothing: the broker was told to retain it no more.
        if (payload.length === 0) return;
        offer({ bytes: payload, from: "mqtt", isHistory: false, isShared: false });
      };
      const { url, connect } = address;
      const subscription = await subscribeMqtt(
        {
          url,
          net,
          clock,
          address: connect,
          level,
          // Another than that of the readings' session, which would be taken over.
          clientId: `${clientId}-remote`,
          user,
          password,
          keepAliveMs,
          connectMs: answerMs,
          topic,
          packetBytesMax: limits.packetBytesMax,
        },
        { onMessage, onEnded: end },
      );
      onOpen();
      const why = await Promise.race([ended, closing]);
      if (why !== undefined) throw new Fault("UPLINK_UNREACHABLE", `${url}: ${why}`);
      await subscription.close();
    },
  });
}
