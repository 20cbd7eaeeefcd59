/** The schema of an item of `links`; see schema.ts. */

import * as v from "valibot";
import { limits } from "../../core/limits.ts";
import { linkDefaults } from "./link-config.ts";
import { type LinkSection, weekdays } from "./link-section.ts";
import { bytesText, durationText } from "./quantity.ts";
import {
  anyText,
  byteSize,
  choice,
  DAY_MS,
  duration,
  flag,
  list,
  name,
  SECOND_MS,
  section,
  sectionByName,
  type Value,
  weight,
} from "./schema-parts.ts";

const timeOfDay = (about: string): Value<string> => {
  const expected = 'a time of day in quotes, such as "22:00", from "00:00" to "24:00"';
  return v.pipe(
    v.string(expected),
    v.regex(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, expected),
    v.description(about),
  );
};

const quota = section("Bytes sent and received in a day or month; then summaries wait.", {
  bytes: byteSize("In all.", { min: 1_000_000, max: 1_099_511_627_776 }),
  per: choice("It begins anew with each.", ["day", "month"]),
  reserve: v.optional(
    byteSize("The last part of it, for alerts only.", { min: 0, max: 1_099_511_627_776 }),
    "0B",
  ),
});

const window = section("A time of day; over midnight where it ends before it begins.", {
  from: timeOfDay("It begins."),
  to: timeOfDay("It ends."),
  days: v.optional(
    list("Days on which it begins.", choice("A day.", weekdays), { min: 1, max: 7, such: "mon" }),
    [...weekdays],
  ),
});

export const linkSchema: v.GenericSchema<unknown, LinkSection> = section(
  "A network that uplinks go over (via), and what it may cost.",
  {
    name: name("Name of the link."),
    bandwidth: v.exactOptional(
      byteSize("Sent per second, TLS included, over any 10 seconds.", {
        min: limits.linkBandwidthMin,
        max: 1_073_741_824,
      }),
    ),
    shares: v.optional(
      sectionByName(
        "Lane to the part of the bandwidth it has although others before it wait.",
        weight("Part of the bandwidth."),
      ),
      {},
    ),
    quota: v.exactOptional(quota),
    windows: v.optional(
      list("When it may be used; empty at any time.", window, {
        min: 0,
        max: limits.linkWindowsMax,
      }),
      [],
    ),
    alerts: v.optional(
      choice("always: alerts do not wait for the windows.", ["always", "windows"]),
      linkDefaults.alerts,
    ),
    timezone: v.optional(
      anyText("Of windows, days and months, such as Europe/Berlin."),
      linkDefaults.timezone,
    ),
    metered: v.optional(flag("Summaries wait until a delivery is worth it."), false),
    minBatch: v.exactOptional(
      byteSize(
        `Metered: so much waits before a delivery. Default: ${bytesText(linkDefaults.minBatchBytes)}.`,
        {
          min: 1_024,
          max: 1_073_741_824,
        },
      ),
    ),
    maxDelay: v.exactOptional(
      duration(
        `Metered: a delivery begins although it is less. Default: ${durationText(linkDefaults.maxDelayMs)}.`,
        {
          min: SECOND_MS,
          max: 7 * DAY_MS,
        },
      ),
    ),
    localAddress: v.exactOptional(anyText("IP address of this gateway to connect from.")),
    failAfter: v.optional(
      duration("Deliveries that fail for so long make the next link the one in use.", {
        min: 0,
        max: DAY_MS,
      }),
      durationText(linkDefaults.failMs),
    ),
    retryAfter: v.optional(
      duration("So long after that it is tried again.", { min: SECOND_MS, max: DAY_MS }),
      durationText(linkDefaults.retryMs),
    ),
  },
);
