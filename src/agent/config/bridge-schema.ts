/** The schema of an uplink's `mqtt` section; see schema.ts. */

import * as v from "valibot";
import { limits } from "../../core/limits.ts";
import { bridgeUplinkDefaults as defaults } from "./bridge-config.ts";
import type { BridgeSection } from "./bridge-section.ts";
import { bytesText, durationText } from "./quantity.ts";
import {
  clientIdSchema,
  connectTlsSchema,
  keepAliveMsMax,
  passwordSchema,
  userSchema,
  versionSchema,
} from "./remote-broker-schema.ts";
import {
  anyText,
  byteSize,
  choice,
  DAY_MS,
  duration,
  flag,
  SECOND_MS,
  section,
} from "./schema-parts.ts";

const expectedStatus = "off, or a duration from 1s to 1d";

const topics = section("Where they go; {agent} and {pipeline} stand for names.", {
  summaries: v.optional(anyText("Topic of summaries."), defaults.topics.summaries),
  alerts: v.optional(anyText("Topic of alerts."), defaults.topics.alerts),
  raw: v.optional(anyText("Topic of readings that are asked for."), defaults.topics.raw),
  status: v.optional(anyText("Topic of the retained status."), defaults.topics.status),
});

const timeouts = section("How long to wait for the broker.", {
  connect: v.optional(
    duration("For connection and TLS, and then for the login.", { min: 100, max: 120 * SECOND_MS }),
    durationText(defaults.connectMs),
  ),
  answer: v.optional(
    duration("For an acknowledgement, while it owes one.", { min: 100, max: 300 * SECOND_MS }),
    durationText(defaults.answerMs),
  ),
});

export const bridgeSchema: v.GenericSchema<unknown, BridgeSection> = section(
  "Another MQTT broker: at least once, each record with an id that stays.",
  {
    url: anyText("mqtts://host:port, mqtt://..., wss://host:port/path or ws://..."),
    version: v.optional(versionSchema, 5),
    clientId: v.exactOptional(clientIdSchema),
    user: v.exactOptional(userSchema),
    password: v.exactOptional(passwordSchema),
    tls: v.exactOptional(connectTlsSchema),
    topics: v.optional(topics, {}),
    retain: v.optional(flag("The broker keeps the last record of each topic."), defaults.retain),
    attributes: v.optional(
      choice("cloudevents describes each message; minimal has its id only. MQTT 5.", [
        "cloudevents",
        "minimal",
      ]),
      "cloudevents",
    ),
    status: v.optional(
      v.union(
        [
          v.literal("off", expectedStatus),
          duration("How often the retained status is renewed; a will says offline.", {
            min: SECOND_MS,
            max: DAY_MS,
          }),
        ],
        expectedStatus,
      ),
      durationText(defaults.statusMs ?? 0),
    ),
    linger: v.optional(
      duration("Summaries wait so long for others; alerts never do.", {
        min: 0,
        max: 3_600 * SECOND_MS,
      }),
      durationText(defaults.lingerMs),
    ),
    batch: v.optional(
      byteSize("Records of one delivery: a crash repeats at most so many.", {
        min: 1_024,
        max: limits.bridgeBatchBytesMax,
      }),
      bytesText(defaults.batchBytesMax),
    ),
    keepAlive: v.optional(
      duration("So often a silent connection is tried.", { min: SECOND_MS, max: keepAliveMsMax }),
      durationText(defaults.keepAliveMs),
    ),
    timeouts: v.optional(timeouts, {}),
  },
);
