/** The schema of an uplink's `http` section; see schema.ts. */

import * as v from "valibot";
import { limits } from "../../core/limits.ts";
import { postUplinkDefaults as defaults } from "./post-config.ts";
import type { PostSection } from "./post-section.ts";
import { bytesText, durationText } from "./quantity.ts";
import { connectTlsSchema, passwordSchema, userSchema } from "./remote-broker-schema.ts";
import {
  anyText,
  byteSize,
  choice,
  duration,
  SECOND_MS,
  secretText,
  section,
  sectionByName,
} from "./schema-parts.ts";

const timeouts = section("How long to wait for the endpoint.", {
  connect: v.optional(
    duration("For connection and TLS.", { min: 100, max: 120 * SECOND_MS }),
    durationText(defaults.connectMs),
  ),
  answer: v.optional(
    duration("For each piece of a body to leave, and then for the whole answer.", {
      min: 100,
      max: 300 * SECOND_MS,
    }),
    durationText(defaults.answerMs),
  ),
});

export const postSchema: v.GenericSchema<unknown, PostSection> = section(
  "An HTTP endpoint that takes POSTs: at least once, each record with an id that stays.",
  {
    url: anyText("https://host:port/path, or http://... without TLS."),
    headers: v.optional(
      sectionByName("Headers of every POST, by name.", secretText("Its value; never shown.")),
      {},
    ),
    token: v.exactOptional(
      secretText("Bearer token; better ${file:/run/secrets/name} than the word itself."),
    ),
    tokenFile: v.exactOptional(
      anyText("File of the bearer token, where it changes: read at each POST."),
    ),
    user: v.exactOptional(userSchema),
    password: v.exactOptional(passwordSchema),
    tls: v.exactOptional(connectTlsSchema),
    format: v.optional(
      choice("ndjson is one record to a line; cloudevents a JSON batch of CloudEvents 1.0.", [
        "ndjson",
        "cloudevents",
      ]),
      defaults.format,
    ),
    compress: v.optional(
      choice("gzip is a tenth of it on the wire; not every endpoint reads it.", ["gzip", "none"]),
      defaults.compress,
    ),
    linger: v.optional(
      duration("Summaries wait so long for others to share a POST; alerts never do.", {
        min: 0,
        max: 3_600 * SECOND_MS,
      }),
      durationText(defaults.lingerMs),
    ),
    batch: v.optional(
      byteSize("Records of one POST, before compression.", {
        min: limits.postBatchBytesMin,
        max: limits.postBatchBytesMax,
      }),
      bytesText(defaults.batchBytesMax),
    ),
    timeouts: v.optional(timeouts, {}),
  },
);
