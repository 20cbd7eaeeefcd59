/** The schema of an item of `brokers`; see schema.ts. */

import * as v from "valibot";
import { limits } from "../../core/limits.ts";
import { brokerDefaults as defaults } from "../ingest/mqtt/subscriber/subscriber-config.ts";
import type { BrokerSection } from "./broker-section.ts";
import { durationText } from "./quantity.ts";
import {
  clientIdSchema,
  connectTlsSchema,
  keepAliveMsMax,
  passwordSchema,
  userSchema,
  versionSchema,
} from "./remote-broker-schema.ts";
import {
  DAY_MS,
  duration,
  integer,
  list,
  name,
  SECOND_MS,
  section,
  type Value,
} from "./schema-parts.ts";

const url = (about: string): Value<string> => {
  const expected = "an address such as mqtt://10.0.0.5 or mqtt://broker.example:1883";
  return v.pipe(v.string(expected), v.nonEmpty(expected), v.description(about));
};

const session: Value<BrokerSection["session"]> = v.union(
  [
    v.literal("clean", "clean, or a duration"),
    duration(
      "So long the broker keeps our session, and what is published for it, while we are away.",
      {
        min: SECOND_MS,
        max: 366 * DAY_MS,
      },
    ),
  ],
  "clean, or a duration such as 1h or 7d",
);

export const brokerSchema: v.GenericSchema<unknown, BrokerSection> = section(
  "A broker that a site already runs: sources take from it what others publish there.",
  {
    name: name("Name of the broker; sources name it."),
    urls: list(
      "Its addresses, tried in turn.",
      url("mqtt://host:port, mqtts:// for TLS, ws:// or wss:// for WebSocket."),
      {
        min: 1,
        max: limits.brokerAddressesMax,
        such: '"mqtt://broker.example:1883"',
      },
    ),
    version: v.optional(versionSchema, defaults.level === 5 ? 5 : "3.1.1"),
    clientId: v.exactOptional(clientIdSchema),
    session: v.optional(session, durationText(defaults.sessionMs ?? 0)),
    user: v.exactOptional(userSchema),
    password: v.exactOptional(passwordSchema),
    tls: v.exactOptional(connectTlsSchema),
    keepAlive: v.optional(
      duration("After so long a silence the broker is asked whether it is there.", {
        min: SECOND_MS,
        max: keepAliveMsMax,
      }),
      durationText(defaults.keepAliveMs),
    ),
    answerWait: v.optional(
      duration("How long to wait for an answer of the broker.", {
        min: 100,
        max: 300 * SECOND_MS,
      }),
      durationText(defaults.answerMs),
    ),
    qos: v.optional(integer("QoS of the subscriptions.", { min: 0, max: 2 }), defaults.qos),
    inFlight: v.optional(
      integer("Messages the broker may send before we acknowledge (MQTT 5).", {
        min: 1,
        max: limits.brokerInFlightMax,
      }),
      defaults.receiveMax,
    ),
    share: v.exactOptional(
      name("Group whose members get each message once between them: $share/<group>/<filter>."),
    ),
    canary: v.exactOptional(
      duration("So often a message is published and expected back, to prove the whole way.", {
        min: SECOND_MS,
        max: DAY_MS,
      }),
    ),
  },
);
