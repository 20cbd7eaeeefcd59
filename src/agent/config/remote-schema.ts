/** The schema of `remote`; see schema.ts. */

import * as v from "valibot";
import { limits } from "../../core/limits.ts";
import { durationText } from "./quantity.ts";
import { type RemoteSection, type RemoteSectionName, remoteSections } from "./remote-section.ts";
import {
  anyText,
  choice,
  DAY_MS,
  duration,
  integer,
  list,
  name,
  SECOND_MS,
  section,
} from "./schema-parts.ts";

/**
 * What says where data goes, and with which secrets, is left out until it is named: whoever can sign
 * should be able to do no more than the gateway's owner wants.
 */
const allowDefault: RemoteSectionName[] = [
  "sources",
  "pipelines",
  "links",
  "commit",
  "store",
  "limits",
];

export const remoteSchema: v.GenericSchema<unknown, RemoteSection> = section(
  "Parts of the configuration that come, signed, from a topic.",
  {
    keys: list(
      "Who may sign: public keys, as weir remote keygen prints them.",
      section("A key.", {
        name: name("Name of the key, for the audit log."),
        key: anyText("The public key (Ed25519), base64 of its 32 bytes."),
      }),
      { min: 1, max: limits.remoteKeysMax, such: "{ name: ops, key: ... } (weir remote keygen)" },
    ),
    mqtt: v.exactOptional(
      section("A retained message at a broker elsewhere.", {
        broker: name("The broker among brokers, as this file has it."),
        topic: anyText("Its topic; {agent} stands for the agent's name."),
      }),
    ),
    kafka: v.exactOptional(
      section("A compacted topic in the cluster of the Kafka uplink, as this file has it.", {
        topic: anyText("Name of the topic."),
        poll: v.optional(
          duration("How often it is looked at.", {
            min: SECOND_MS,
            max: DAY_MS,
          }),
          durationText(limits.remotePollMs),
        ),
      }),
    ),
    allow: v.optional(
      list("Sections that may be set remotely.", choice("A section.", remoteSections), {
        min: 1,
        max: remoteSections.length,
        such: "pipelines",
      }),
      allowDefault,
    ),
    watch: v.optional(
      duration("So long a new configuration must run well before it stays.", {
        min: SECOND_MS,
        max: DAY_MS,
      }),
      durationText(limits.remoteWatchMs),
    ),
    tries: v.optional(
      integer("Starts that a new configuration gets before it is rolled back.", {
        min: 1,
        max: limits.remoteTriesMax,
      }),
      limits.remoteTries,
    ),
  },
);
